"""The interface of content handlers, and what they use of the client."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from ..context import RequestContext
from ..logs.error import ConnectionLog
from ..models import HandlerResult, RequestBody, Response, SpecialResponse, StreamedBody
from ..observer import Observer
from ..upstream.request import EarlyHintsSender


class Client(EarlyHintsSender, Protocol):
    """What phases and handlers use of the client's connection."""

    observer: Observer | None

    @property
    def has_body(self) -> bool:
        """Whether the request has a body, or the client waits for a 100 before it sends one."""
        ...

    async def read_body(
        self, ctx: RequestContext
    ) -> RequestBody | SpecialResponse | Response | None:
        """The request's body, read whole; None without one, a response if it is rejected."""
        ...

    async def stream_body(
        self, ctx: RequestContext
    ) -> StreamedBody | RequestBody | SpecialResponse | Response | None:
        """The body as it arrives; read whole if all of it is here already."""
        ...

    def abort(self) -> AbstractContextManager[None]:
        """A context in which the request is cancelled if the client closes its side."""
        ...


class Handler(Protocol):
    """Answers the requests of one location (nginx's content handler)."""

    async def handle(
        self, ctx: RequestContext, client: Client, log: ConnectionLog
    ) -> HandlerResult:
        """The response, or what leads to one. Raises `Failed` if the client is gone.

        `client` has the request's body, which is read only by a handler that uses it.
        """
        ...
