"""The state of one session, filled in as it is processed (nginx's `ngx_stream_session_t`)."""

from __future__ import annotations

import re
import time

from ..config.stream_model import StreamServer
from ..context import Connection, LimitedConnections, UpstreamState, named_groups
from ..routing import ServerNames
from .preread import PrereadHello


class SessionContext:
    """The state of one session, which variables and logs read."""

    __slots__ = (
        "bytes_sent",
        "captures",
        "connection",
        "hello",
        "is_udp",
        "limit_conn_status",
        "limited_connections",
        "names",
        "proxy_connection",
        "received",
        "server",
        "started",
        "status",
        "upstream_states",
        "variables",
    )

    def __init__(self, connection: Connection, server: StreamServer, *, is_udp: bool) -> None:
        self.connection = connection
        self.server = server
        self.is_udp = is_udp
        self.started = time.time()
        """POSIX time."""
        self.names: ServerNames[StreamServer] | None = None
        """The servers of the address, for an observer of a session that is over."""
        self.status = 0
        self.received = 0
        """Bytes received from the client."""
        self.bytes_sent = 0
        """Bytes sent to the client."""
        self.hello: PrereadHello | None = None
        """What was read ahead by `ssl_preread`; None without a ClientHello."""
        self.proxy_connection: Connection | None = None
        """The connection as it is, if `connection` has the address that a proxy has sent."""
        self.limit_conn_status: str | None = None
        self.limited_connections: tuple[tuple[LimitedConnections, bytes], ...] = ()
        self.upstream_states: list[UpstreamState] = []
        self.variables: dict[str, str] = {}
        """Values of variables set by `set`, `map` and named groups of regular expressions."""
        self.captures: re.Match[str] | None = None
        """Match of the last regular expression, for `$1` to `$9`."""

    @property
    def server_name(self) -> str | None:
        """The SNI, as read ahead or received in a handshake; None without one."""
        if self.hello is not None:
            return self.hello.server_name or None
        tls = self.connection.tls
        return None if tls is None else tls.server_name

    def set_captures(self, match: re.Match[str]) -> None:
        """Set the captures and named variables from the match of a regular expression."""
        self.captures = match
        self.variables.update(named_groups(match))
