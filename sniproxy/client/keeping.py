"""Whether a connection is kept for another request, as far as the configuration has a say.

Directives: `keepalive_timeout`, `keepalive_requests`, `keepalive_time`, `keepalive_disable`.
"""

from __future__ import annotations

import time

from ..config.directives.core import CoreLocation
from ..facts import Connection
from ..message import Request


def keeps(core: CoreLocation, request: Request, connection: Connection) -> bool:
    """Whether another request may follow this one."""
    return (
        core.keepalive_timeout[0] > 0
        and connection.requests < core.keepalive_requests
        and time.time() - connection.began <= core.keepalive_time
        and not _is_disabled(core.keepalive_disable, request)
    )


def _is_disabled(disabled: frozenset[str], request: Request) -> bool:
    """Old browsers: some that cannot keep the connection of a POST, one that keeps none."""
    posts = request.method == "POST" and "msie6" in disabled
    if not posts and "safari" not in disabled:
        return False
    agent = request.header("user-agent") or ""
    return (posts and is_msie6(agent)) or ("safari" in disabled and is_safari(agent))


def is_msie6(agent: str) -> bool:
    """Internet Explorer 4 to 6, that of Windows XP SP2 left out."""
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
