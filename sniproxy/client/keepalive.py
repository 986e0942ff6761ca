"""Decide whether a client connection is kept open, and close it as configured.

Directives: `keepalive_timeout`, `keepalive_requests`, `keepalive_time`, `keepalive_disable`;
`lingering_close`, `lingering_time`, `lingering_timeout`, `reset_timedout_connection`.
"""

from __future__ import annotations

import time

import trio

from ..config.directives.core import ALWAYS, NEVER, CoreLocation
from ..context import Connection
from ..models import ProxyError, RequestHead
from ..tls.stream import SocketStream

TIMED_OUT = frozenset((408, 444))
"""Statuses after which `reset_timedout_connection` applies."""


def keepalive_allowed(core: CoreLocation, request: RequestHead, connection: Connection) -> bool:
    """Whether the configuration allows another request after this one."""
    return (
        core.keepalive_timeout[0] > 0
        and connection.requests < core.keepalive_requests
        and time.time() - connection.started_at <= core.keepalive_time
        and not (
            (request.method == "POST" or "safari" in core.keepalive_disable)
            and _is_disabled(core.keepalive_disable, request)
        )
    )


def _is_disabled(disabled: frozenset[str], request: RequestHead) -> bool:
    """`keepalive_disable`: no keep-alive after POST for old MSIE, none at all for old Safari."""
    agent = request.header("user-agent") or ""
    if request.method == "POST" and "msie6" in disabled and is_msie6(agent):
        return True
    return "safari" in disabled and is_safari(agent)


def is_msie6(agent: str) -> bool:
    """Internet Explorer 4 to 6, except for that of Windows XP SP2."""
    start = agent.find("MSIE ")
    if start < 0 or start + 7 >= len(agent) or "Opera" in agent or agent[start + 6] != ".":
        return False
    version = agent[start + 5]
    return version in "45" or (version == "6" and "SV1" not in agent[start + 8 :])


def is_safari(agent: str) -> bool:
    """Safari on the Mac."""
    start = agent.find("MSIE ")
    others = ("Opera", "Gecko/", "Chrome/")
    if 0 <= start < len(agent) - 7 or any(word in agent for word in others):
        return False
    return "Safari/" in agent and "Mac OS X" in agent


async def lingering_close(stream: SocketStream, core: CoreLocation, *, unread: bool) -> None:
    """Close a connection; `unread` is whether the client may have sent data that was not read.

    If a socket is closed with unread data, the kernel resets the connection, and the client may
    lose the response: so data is read and discarded for a while (`lingering_close`).
    """
    if core.lingering_close == NEVER or not (unread or core.lingering_close == ALWAYS):
        if unread:
            stream.drain()
        stream.shutdown()
        return
    stream.shutdown_writing()
    with trio.move_on_after(core.lingering_time):
        try:
            while await SocketStream.receive_some(stream, core.lingering_timeout):
                pass
        except ProxyError:
            pass


def reset_on_timeout(stream: SocketStream, core: CoreLocation) -> None:
    """Apply `reset_timedout_connection`."""
    if core.reset_timedout_connection:
        stream.set_linger_reset()
