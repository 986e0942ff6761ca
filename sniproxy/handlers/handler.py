"""What all handlers have in common."""

from __future__ import annotations

from typing import Protocol

from ..facts import Facts
from ..logs.error import ConnectionLog
from ..message import Outcome
from ..upstream.sending import RequestBody, StreamedBody


class Handler(Protocol):
    """Answers the requests of one location."""

    reads_body: bool
    """Whether the request's body is read before `respond`; it is thrown away otherwise."""
    streams_body: bool
    """Whether it takes the body as it comes (`proxy_request_buffering off`)."""
    watches_client: bool
    """Whether a client that leaves meanwhile ends it (`proxy_ignore_client_abort off`)."""

    async def respond(
        self, facts: Facts, body: RequestBody | StreamedBody | None, log: ConnectionLog
    ) -> Outcome: ...
