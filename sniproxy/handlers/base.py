"""The interfaces of content handlers and of the client."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from ..context import RequestContext
from ..logs.error import ConnectionLog
from ..models import HandlerResult, RequestBody, Response, SpecialResponse, StreamedBody
from ..observer import Observer
from ..upstream.request import EarlyHintsSender


class Client(EarlyHintsSender, Protocol):
    """The client's connection, as used by phases and handlers."""

    observer: Observer | None

    @property
    def has_body(self) -> bool:
        """Whether the request has a body, also if the client waits for status 100 to send it."""
        ...

    async def read_body(
        self, ctx: RequestContext
    ) -> RequestBody | SpecialResponse | Response | None:
        """Read the complete body: None if there is none, a response if it is rejected."""
        ...

    async def stream_body(
        self, ctx: RequestContext
    ) -> StreamedBody | RequestBody | SpecialResponse | Response | None:
        """The body as it arrives; read completely if it has arrived already."""
        ...

    def abort(self) -> AbstractContextManager[None]:
        """A context in which the request is cancelled if the client closes its side."""
        ...


class Handler(Protocol):
    """Handles the requests of one location (nginx's content handler)."""

    async def handle(
        self, ctx: RequestContext, client: Client, log: ConnectionLog
    ) -> HandlerResult:
        """Handle a request. Raises `ProxyError` if the client has disconnected.

        `client` provides the request body; a handler that does not need it does not read it.
        """
        ...
