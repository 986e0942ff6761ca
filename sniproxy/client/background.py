"""Tasks of a request that run while its response is sent (`proxy_cache_background_update`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from ..context import RequestContext
from ..models import ProxyError


async def write_beside_tasks(ctx: RequestContext, write: Callable[[], Awaitable[bool]]) -> bool:
    """Call `write` while the request's background tasks run; returns its result when all are over.

    Raises `ProxyError` from `write`, as it is and not in an exception group.
    """
    outcome: bool | ProxyError
    async with trio.open_nursery() as nursery:
        for task in ctx.background_tasks:
            nursery.start_soon(task)
        try:
            outcome = await write()
        except ProxyError as failed:
            outcome = failed
    if isinstance(outcome, ProxyError):
        raise outcome
    return outcome
