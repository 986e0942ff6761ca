"""Tasks of a request that run beside its response.

Copies of the request (`mirror`) start before its content handler, updates of the cache
(`proxy_cache_background_update`) when the response is known, `post_action` when it was sent. The
connection, or the stream of
HTTP/2, stays busy until they are over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from ..context import RequestContext
from ..models import ProxyError
from ..phases import RequestPhases
from ..subrequests import LazyNursery


async def write_beside_tasks(ctx: RequestContext, write: Callable[[], Awaitable[bool]]) -> bool:
    """Call `write` while the request's background tasks run; returns its result when all are over.

    Raises `ProxyError` from `write`, as it is and not in an exception group.
    """
    async with trio.open_nursery() as nursery:
        for task in ctx.background_tasks:
            nursery.start_soon(task)
        outcome = await _outcome(write)
    return _returned(outcome)


async def respond_and_do_more(
    phases: RequestPhases, respond: Callable[[], Awaitable[bool]]
) -> bool:
    """Call `respond`, which runs `phases`, while copies of the request are sent (`mirror`).

    Runs `post_action` after it. Returns the result when all are over. Raises `ProxyError` as
    `write_beside_tasks`.
    """
    async with LazyNursery() as phases.copies:
        outcome = await _outcome(respond)
        if phases.location.settings.core.post_action:
            await phases.run_post_action()
    return _returned(outcome)


async def _outcome(run: Callable[[], Awaitable[bool]]) -> bool | ProxyError:
    try:
        return await run()
    except ProxyError as failed:
        return failed


def _returned(outcome: bool | ProxyError) -> bool:
    if isinstance(outcome, ProxyError):
        raise outcome
    return outcome
