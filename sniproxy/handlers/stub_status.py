"""`stub_status`: numbers of connections and requests, for monitoring."""

from __future__ import annotations

from ..connection_statistics import ConnectionStatistics
from ..context import RequestContext
from ..logs.error import ConnectionLog
from ..models import HandlerResult, Response, SpecialResponse
from .base import Client


class StatusHandler:
    """Answers with the numbers."""

    def __init__(self, statistics: ConnectionStatistics) -> None:
        self._statistics = statistics

    async def handle(
        self, ctx: RequestContext, client: Client, log: ConnectionLog
    ) -> HandlerResult:
        if ctx.method not in ("GET", "HEAD"):
            return SpecialResponse(405)
        page = status_page(*self._statistics.read()).encode()
        return Response(200, page, "text/plain", content_length=len(page), allow_conditional=True)


def status_page(
    accepted: int,
    handled: int,
    requests: int,
    active: int,
    reading: int,
    writing: int,
    waiting: int,
) -> str:
    """The page, which monitoring programs parse."""
    return (
        f"Active connections: {active} \n"
        "server accepts handled requests\n"
        f" {accepted} {handled} {requests} \n"
        f"Reading: {reading} Writing: {writing} Waiting: {waiting} \n"
    )
