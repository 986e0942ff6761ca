"""The servers of `stream {}` as they run, with their logs, contexts and upstreams."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ..config.cidr import Network
from ..config.stream_model import StreamServer
from ..logs.error import ErrorLog
from ..observer import Observer
from ..runtime import AccessLogWriter, Listener, ServerTLS
from ..tls.errors import NATIVE, Dialect
from .relay_loop import RelayLoop, TaskRelayLoop

if TYPE_CHECKING:
    from ..handlers.preaccess import BoundConnectionLimit


def _make_relay_loop() -> RelayLoop:
    """The loop of this system."""
    if sys.platform == "linux":
        from .epoll_relay_loop import EpollRelayLoop

        return EpollRelayLoop()
    return TaskRelayLoop()


class SessionHandler(Protocol):
    """Makes the content of a session: `proxy_pass`, `return` or `pass`."""

    async def handle(self, session: Any) -> int:
        """Process a `StreamSession`; returns its status. Raises `ProxyError`."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class StreamServerRuntime:
    """A server with its logs, its handler, and the phases that it needs."""

    settings: StreamServer
    error_log: ErrorLog
    access_logs: tuple[AccessLogWriter, ...]
    handler: SessionHandler | None
    """None without a directive that makes the content."""
    tls: ServerTLS | None
    limits: Sequence[BoundConnectionLimit]
    trusted_networks: Sequence[Network]
    """The proxies of `set_real_ip_from`."""
    trusts_unix: bool


@dataclass(slots=True, eq=False)
class StreamRuntime:
    """State shared by all sessions of a running configuration."""

    servers: Mapping[StreamServer, StreamServerRuntime]
    listeners: tuple[Listener[StreamServer], ...]
    keep_hellos: bool = False
    """Whether to store ClientHello messages, because a variable depends on them."""
    dialect: Dialect = NATIVE
    next_connection_id: Callable[[], int] = lambda: 0
    observer: Observer | None = None
    relays: RelayLoop = field(default_factory=_make_relay_loop)
    is_cut_off: Callable[[], bool] = lambda: False
    """Whether sessions that are cancelled have exceeded `worker_shutdown_timeout`."""

    def default_server(self, listener: Listener[StreamServer]) -> StreamServerRuntime:
        return self.servers[listener.names.default]

    def tls_of(self, listener: Listener[StreamServer], server: StreamServerRuntime) -> ServerTLS:
        """The TLS settings of `server`: its own, else those of the default server."""
        tls = server.tls or self.default_server(listener).tls
        assert tls is not None, "a configuration without is refused"
        return tls
