"""Runtime objects built from a `Config`, shared by all connections (nginx's `ngx_cycle_t`).

`build` creates them and opens the files they need; this module opens nothing.
"""

from __future__ import annotations

import errno
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol

import trio
from OpenSSL import SSL

from .client_abort import ClientAbortMonitor
from .config.directives.files import TryFiles
from .config.directives.mirror import Mirror
from .config.directives.rewrite import RewriteStatement
from .config.model import Location, Server
from .connection_statistics import ConnectionStatistics
from .context import Connection, RequestContext
from .handlers.access import AccessPhase
from .handlers.base import Handler
from .handlers.filter_chain import FilterChain
from .handlers.more_headers import RequestHeaderChanges
from .handlers.real_ip import RealIPPhase
from .http.header_fields import valid_host
from .http.request_head import HeadRules
from .logs.access_format import AccessFormat
from .logs.error import ConnectionLog, ErrorLog
from .logs.sinks import FileSink, Sink
from .models import ConfigError, Failure, Level
from .observer import Observer, RecentRequests
from .routing import Locations, NamedT, ServerNames
from .template import Template, VariableLookup
from .tls.errors import NATIVE, Dialect
from .variables import lookup
from .variables.files import document_root

if TYPE_CHECKING:  # imported if a configuration needs them
    from .handlers.preaccess import LimitPhase
    from .ocsp.client_check import ClientCertificateCheck


class AccessLogWriter(Protocol):
    """Writes a line for each finished request, or session."""

    def write(self, ctx: Any, log: ConnectionLog) -> None: ...


@dataclass(frozen=True, slots=True)
class AccessLog:
    """An `access_log` and its format."""

    sink: Sink
    format: AccessFormat
    condition: Template | None
    lookup: Callable[[Any], VariableLookup] = lookup
    """Returns the function that evaluates variables."""

    def write(self, ctx: Any, log: ConnectionLog) -> None:
        """Write the line of a request or session; errors are logged to `log`."""
        if self.condition is None or self.condition.render(self.lookup(ctx)) not in ("", "0"):
            self.sink.write(self.format.line(ctx))


@dataclass(frozen=True, slots=True)
class VariableAccessLog:
    """An `access_log` whose file name contains variables; the file is opened for each line."""

    file: Template
    """Relative to `prefix`."""
    prefix: str
    format: AccessFormat
    condition: Template | None
    lookup: Callable[[Any], VariableLookup] = lookup
    """Returns the function that evaluates variables."""
    has_root: bool = True
    """Whether nothing is written if the folder `root` does not exist."""

    def write(self, ctx: Any, log: ConnectionLog) -> None:
        """As `AccessLog.write`."""
        values = self.lookup(ctx)
        if self.condition is not None and self.condition.render(values) in ("", "0"):
            return
        root = document_root(ctx, values) if self.has_root else ""
        if self.has_root and not os.path.isdir(root.encode("latin-1")):
            failure = Failure(f'testing "{root}" existence failed', errno=_why_no_folder(root))
            log.write_failure(failure)
            return
        path = os.path.join(self.prefix, self.file.render(values))
        try:
            sink = FileSink(path)
        except ConfigError as error:
            log.write_failure(Failure(error.message, Level.CRIT, errno=error.errno))
            return
        sink.write(self.format.line(ctx))
        sink.close()


def _why_no_folder(path: str) -> int:
    return errno.ENOTDIR if os.path.exists(path.encode("latin-1")) else errno.ENOENT


@dataclass(frozen=True, slots=True, eq=False)
class LocationRuntime:
    """A location with its logs, its content handler, and the phases that it needs."""

    settings: Location
    error_log: ErrorLog
    access_logs: tuple[AccessLogWriter, ...]
    handler: Handler
    rewrite: tuple[RewriteStatement, ...] | None
    """Rewrite directives; None if there are none. Those of the server are not included."""
    real_ip: RealIPPhase | None
    """None if `set_real_ip_from` of the location is that of its server, or is not set."""
    limits: LimitPhase | None
    """None if the location has neither `limit_req` nor `limit_conn`."""
    access: AccessPhase | None
    """None if the location has no access restrictions."""
    try_files: TryFiles | None
    request_changes: RequestHeaderChanges | None
    """Changes to the fields of requests (`more_set_input_headers`); None without any."""
    filters: FilterChain | None
    """Filters of responses, apart from `add_header`; None without any."""
    mirror: Mirror | None
    """None if requests are not copied."""

    def log_request(
        self,
        ctx: RequestContext,
        log: ConnectionLog,
        observer: Observer | None,
        *,
        client_left: bool,
    ) -> None:
        """Write the access logs of a finished request; `client_left`: whether it was cancelled."""
        log.action = "logging request"
        if not client_left and trio.current_effective_deadline() == -math.inf:
            return  # a fast stop: nginx writes no line
        for access_log in self.access_logs:
            access_log.write(ctx, log)
        if observer is not None:
            observer.request_finished(ctx)


@dataclass(frozen=True, slots=True, eq=False)
class ServerTLS:
    """TLS contexts of a virtual server."""

    base: SSL.Context
    """The context in which handshakes start, before the ClientHello is read; they fail if it has no
    certificate."""
    context: Callable[[Connection], SSL.Context]
    """Returns the context for a connection after the SNI was read; raises `ConfigError` if a
    certificate whose name contains variables cannot be loaded."""
    ca_path: str = ""
    """The CA that clients have to trust, for `ssl_certificate auto`; "" for other certificates."""
    client_check: ClientCertificateCheck | None = None
    """Checks client certificates by OCSP; None without `ssl_ocsp`."""


@dataclass(frozen=True, slots=True, eq=False)
class VirtualServer:
    """A virtual server."""

    settings: Server
    name: str
    """The first `server_name` (`$server_name`)."""
    head_rules: HeadRules
    default_location: LocationRuntime
    """Used for requests that match no location."""
    rewrite: tuple[RewriteStatement, ...] | None
    """Rewrite directives of the server block; None if there are none."""
    early_body: tuple[tuple[Template, ...], ...] | None
    """Whether request bodies are read first, by variables (`client_body_early_read`)."""
    named: Mapping[str, LocationRuntime]
    """Named locations by name, including the `@`."""
    locations: Locations
    location_runtimes: Mapping[Location, LocationRuntime]
    tls: ServerTLS | None
    """None without a certificate."""
    does_more: bool = False
    """Whether any location sends copies of requests (`mirror`) or has a `post_action`."""


@dataclass(frozen=True, slots=True, eq=False)
class Listener(Generic[NamedT]):
    """A listening address with its virtual servers."""

    text: str
    """`127.0.0.1:443`, as in log lines."""
    ssl: bool
    names: ServerNames[NamedT]
    proxy_protocol: bool = False
    """Whether connections begin with a header of the PROXY protocol."""
    http2: bool = False
    """Whether `listen` enables HTTP/2, for all servers."""
    may_use_http2: bool = False
    """Whether HTTP/2 is enabled by `listen` or one of the servers."""


@dataclass(slots=True, eq=False)
class Runtime:
    """State shared by all connections of a running configuration."""

    servers: Mapping[Server, VirtualServer]
    listeners: tuple[Listener[Server], ...]
    keep_hellos: bool = False
    """Whether to store ClientHello messages, because a variable depends on them."""
    dialect: Dialect = NATIVE
    """The OpenSSL release whose error strings are used in log messages (`ssl_error_dialect`)."""
    statistics: ConnectionStatistics | None = None
    """What counts connections and requests; None if nothing needs that."""
    client_aborts: ClientAbortMonitor = field(default_factory=ClientAbortMonitor)
    next_connection_id: Callable[[], int] = lambda: 0
    """Returns a new connection number; clients and upstreams share a counter."""
    observer: Observer | None = None
    recent: RecentRequests | None = None
    """Where finished requests are stored while the observer does not see their steps."""
    untrusted_reported: bool = False
    """Whether it was logged that a client does not trust the development CA."""
    stopping: bool = False
    """Whether the server is shutting down: connections finish their current request and close."""

    def server_for(self, listener: Listener[Server], host: str) -> VirtualServer:
        return self.servers[listener.names.find(host)]

    def tls_of(self, listener: Listener[Server], server: VirtualServer) -> ServerTLS:
        """The TLS settings of `server`: its own, else those of the default server."""
        tls = server.tls or self.servers[listener.names.default].tls
        assert tls is not None, "a configuration without is refused"
        return tls

    def negotiated(
        self, listener: Listener[Server], server_name: str | None
    ) -> tuple[str, VirtualServer] | None:
        """The normalized name and the server for an SNI; None if it selects no server."""
        name = valid_host(server_name) if server_name else None
        server = listener.names.negotiated(name) if name else None
        return (name, self.servers[server]) if name and server else None


class HostSelector:
    """Selects the virtual server of each request of a connection by its host.

    nginx's `ngx_http_set_virtual_server`. The reader of a request head calls `select` once, when
    it knows the host, and continues with the rules of the selected server.
    """

    __slots__ = ("_names", "_servers", "captures", "server", "sni")

    def __init__(self, running: Runtime, listener: Listener[Server]) -> None:
        self._names = listener.names
        self._servers = running.servers
        self.sni = ""
        """The SNI, if it selected a server."""
        self.server = running.servers[listener.names.default]
        """The server selected last; the listener's default until then."""
        self.captures: re.Match[str] | None = None
        """The match of the `server_name` expression that selected it."""

    def select(self, host: str) -> HeadRules | None:
        """The rules of the server for `host` ("" without one); None if the server must not be
        used on this connection, because that would bypass `ssl_verify_client`."""
        settings, self.captures = self._names.match(host)
        server = self.server = self._servers[settings]
        if self.sni and host != self.sni and settings.ssl.ssl_verify_client != "off":
            return None
        return server.head_rules
