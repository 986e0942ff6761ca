"""`memcached_pass`: send the value of `$memcached_key`."""

from __future__ import annotations

from ..context import RequestContext
from ..logs.error import ConnectionLog
from ..models import HandlerResult, SpecialResponse
from .base import Client
from .proxy import ProxyHandler


class MemcachedHandler(ProxyHandler):
    """The `memcached_pass` of one location; request bodies are discarded."""

    async def handle(
        self, ctx: RequestContext, client: Client, log: ConnectionLog
    ) -> HandlerResult:
        if ctx.method not in ("GET", "HEAD"):
            return SpecialResponse(405)
        return await super().handle(ctx, client, log)

    async def _read_body(self, ctx: RequestContext, client: Client) -> tuple[None, None]:
        return None, None
