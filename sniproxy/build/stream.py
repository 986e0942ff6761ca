"""Build the servers of `stream {}`: resolve hosts, load keys, open logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ..config.directives.stream_core import PassTo, ReturnText, StreamSsl
from ..config.stream_model import Stream, StreamServer
from ..context import Connection
from ..observer import Observer
from ..runtime import ServerTLS
from ..stream.contents import PassHandler, ReturnHandler
from ..stream.session_context import SessionContext
from ..stream.session_proxy import SessionProxy
from ..stream.session_variables import session_getter, session_lookup
from ..stream.stream_runtime import SessionHandler, StreamRuntime, StreamServerRuntime
from ..template import VariableLookup
from ..tls.errors import Dialect
from ..upstream.dynamic import DynamicUpstream
from ..upstream.pool import IdleMonitor
from ..upstream.selector import Upstream
from .client_tls import ContextStore, ServerContextFactory
from .groups import GroupStore
from .limits import LimitStore
from .listeners import ListenSocket, bindings
from .logs import LogFactory, LogVariables
from .ocsp import OCSPFactory, OCSPStore, TLSServer
from .tls import ContextFactory
from .upstreams import UpstreamRegistry, find_name_servers

if TYPE_CHECKING:
    from ..handlers.preaccess import BoundConnectionLimit

SESSION_VARIABLES = LogVariables(session_getter, session_lookup)
_OF_THE_HELLO = frozenset({"ssl_ciphers", "ssl_curves", "ssl_sigalgs"})


@dataclass(frozen=True, slots=True)
class LoadedStream:
    """A valid `stream {}` with its keys and hosts, before its logs are opened."""

    settings: Stream
    bindings: tuple[ListenSocket, ...]
    handlers: Mapping[StreamServer, SessionHandler | None]
    contexts: Mapping[StreamServer, ServerTLS | None]
    upstreams: UpstreamRegistry
    warnings: tuple[str, ...]

    def open(
        self,
        logs: LogFactory,
        limits: LimitStore,
        *,
        number: Callable[[], int],
        dialect: Dialect,
        observer: Observer | None,
    ) -> StreamRuntime:
        """Open the logs; raises `ConfigError`. `number` returns the number of a connection."""
        servers = {
            server: StreamServerRuntime(
                server,
                logs.error_log(server.log.error_log),
                logs.access_logs(server.log.access_log),
                self.handlers[server],
                self.contexts[server],
                _bound(limits, server),
                [
                    network
                    for trusted in server.real_ip.set_real_ip_from
                    for network in trusted.networks
                ],
                any(trusted.unix for trusted in server.real_ip.set_real_ip_from),
            )
            for server in self.settings.servers
        }
        listeners = [listener for binding in self.bindings for listener in binding.listeners]
        return StreamRuntime(
            servers,
            tuple(listeners),
            keep_hellos=not _OF_THE_HELLO.isdisjoint(self.settings.variables),
            dialect=dialect,
            next_connection_id=number,
            observer=observer,
        )


def load_stream(
    stream: Stream,
    shared: ContextFactory,
    store: ContextStore,
    statuses: OCSPStore,
    number: Callable[[], int],
    idle_monitor: IdleMonitor,
    previous: GroupStore | None,
) -> LoadedStream:
    """Load keys and certificates, and resolve hosts; raises `ConfigError`.

    `previous` is the groups of the `stream {}` that was served before.
    """
    find_name_servers(stream.resolvers)
    upstreams = UpstreamRegistry(stream.groups, number, idle_monitor, previous, session_lookup)
    sockets = (
        *bindings(stream.servers, is_stream=True),
        *bindings(stream.servers, is_stream=True, udp=True),
    )
    ocsp = OCSPFactory(statuses, upstreams.resolver, shared.certificate, stream.end)
    clients = ServerContextFactory(shared, ocsp, stream.end, store, alpn=_alpn)
    defaults = _default_servers(sockets)
    handlers: dict[StreamServer, SessionHandler | None] = {}
    contexts: dict[StreamServer, ServerTLS | None] = {}
    for server in stream.servers:
        handlers[server] = _handler(server, upstreams, shared)
        secured = TLSServer(server.ssl, server.name, server.core, partial(_values, server))
        contexts[server] = clients.for_server(secured, defaults.get(server, server).ssl)
    return LoadedStream(stream, sockets, handlers, contexts, upstreams, tuple(clients.warnings))


def _bound(limits: LimitStore, server: StreamServer) -> Sequence[BoundConnectionLimit]:
    settings = server.connection_limits
    return limits.bound(settings) if settings.limit_conn else ()


def _alpn(ssl: Any) -> tuple[str, ...]:
    assert isinstance(ssl, StreamSsl)
    return ssl.ssl_alpn


def _values(server: StreamServer, connection: Connection) -> VariableLookup:
    """The variables during a TLS handshake."""
    return session_lookup(SessionContext(connection, server, is_udp=False))


def _handler(
    server: StreamServer, upstreams: UpstreamRegistry, shared: ContextFactory
) -> SessionHandler | None:
    content = server.content.content
    if content is None:
        return None
    if isinstance(content, ReturnText):
        return ReturnHandler(content.text)
    if isinstance(content, PassTo):
        return PassHandler(content)
    upstream: Upstream | DynamicUpstream
    if content.address is None:
        upstream = upstreams.dynamic(content, server.core)
    else:
        upstream = upstreams.of(content)
    context, certificate = None, None
    if server.proxy.proxy_ssl:
        context, certificate = shared.for_upstream(server.proxy)
    return SessionProxy(content, server.proxy, upstream, context, certificate, shared.dialect)


def _default_servers(sockets: tuple[ListenSocket, ...]) -> dict[StreamServer, StreamServer]:
    """The default server of the first TLS address that each server listens on."""
    found: dict[StreamServer, StreamServer] = {}
    for binding in sockets:
        for listener in binding.listeners:
            for server in listener.names.servers if listener.ssl else ():
                found.setdefault(server, listener.names.default)
    return found
