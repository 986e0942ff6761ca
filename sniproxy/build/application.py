"""Build an `Application` from a `Config`, in nginx's order, so that the same error is first."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ..config.blocks import NOWHERE
from ..config.directives.log import ErrorLogDirective
from ..config.directives.main import DEFAULT_USER
from ..config.directives.upstream_settings import UpstreamSettings
from ..config.model import Config, Http, Location, Server, iter_locations
from ..connection_statistics import ConnectionStatistics
from ..context import Connection, RequestContext
from ..handlers.access import access_phase
from ..handlers.base import Handler
from ..handlers.empty_gif import EmptyGifHandler
from ..handlers.filter_chain import filter_chain
from ..handlers.missing_content import MissingContentHandler
from ..handlers.more_headers import request_header_changes
from ..handlers.proxy import PassingRules
from ..handlers.real_ip import RealIPPhase
from ..handlers.static import StaticHandler
from ..handlers.stub_status import StatusHandler
from ..http.request_head import HeadRules
from ..logs.error import ErrorLog
from ..logs.sinks import Sinks
from ..models import ConfigError, Level, RequestHead
from ..observer import Observer
from ..routing import Locations
from ..runtime import LocationRuntime, Runtime, ServerTLS, VirtualServer
from ..template import VariableLookup
from ..tls.dialects import find_dialect
from ..tls.errors import Dialect
from ..upstream.dynamic import DynamicUpstream
from ..upstream.pool import IdleMonitor
from ..upstream.selector import Upstream
from ..variables import lookup
from ..variables.connections import STATUS_VARIABLES
from .caches import CacheStore
from .client_tls import ContextStore, ServerContextFactory
from .groups import GroupStore
from .limits import LimitStore
from .listeners import BoundSocket, ListenSocket, bind_all, bindings, check_binding
from .logs import LogFactory
from .ocsp import OCSPFactory, OCSPStore, TLSServer
from .paths import Paths
from .protocols import handler_of, protocol_of
from .tls import ContextFactory, KeyLog
from .upstreams import UpstreamRegistry, find_name_servers

with contextlib.suppress(ImportError):  # Windows
    import pwd
if TYPE_CHECKING:
    from ..stream.stream_runtime import StreamRuntime
    from ..upstream.group_names import GroupNames
    from ..upstream.resolver import Resolver
    from .stream import LoadedStream

_OF_THE_HELLO = frozenset({"ssl_ciphers", "ssl_curves", "ssl_sigalgs"})
"""Variables for which the ClientHello is stored."""
STDERR = (ErrorLogDirective("stderr", Level.ERROR),)


@dataclass(slots=True)
class Application:
    """A configuration with all its files open, ready to bind its addresses."""

    config: Config
    runtime: Runtime
    bindings: tuple[ListenSocket, ...]
    error_log: ErrorLog
    """Error log of the main level."""
    sinks: Sinks
    paths: Paths
    idle_monitor: IdleMonitor
    """Monitors idle connections to upstreams."""
    resolvers: Sequence[Resolver]
    groups: GroupStore
    stream_groups: GroupStore | None
    contexts: ContextStore
    """For the next configuration."""
    caches: CacheStore
    limits: LimitStore
    statistics: ConnectionStatistics | None
    """Numbers of connections; None if no directive or variable needs them."""
    statuses: OCSPStore
    new_ca: str = ""
    """The file of the development CA, if it was created for this configuration."""
    stream: StreamRuntime | None = None
    """The servers of `stream {}`; None without it."""

    @property
    def group_names(self) -> tuple[GroupNames, ...]:
        """The resolving tasks of `server … resolve`, in groups of `http {}` and `stream {}`."""
        of_stream = () if self.stream_groups is None else self.stream_groups.names
        return (*self.groups.names, *of_stream)

    def bind(
        self,
        report: Callable[[ConfigError], None],
        previous_sockets: Sequence[BoundSocket] = (),
        workers: int = 1,
    ) -> list[BoundSocket]:
        """Bind every address (`listeners.bind_all`); raises `ConfigError`."""
        return bind_all(self.bindings, report, previous_sockets, workers)

    def check_binding(self) -> None:
        """Bind and release every address, as `-t` does; raises `ConfigError`."""
        check_binding(self.bindings)

    def reopen_logs(self) -> None:
        """Open all log files again, which may have been renamed; what fails is logged."""
        for failure in self.sinks.reopen():
            self.error_log.write(failure.level, str(failure))

    def close(self) -> None:
        self.idle_monitor.stop()
        self.sinks.close()
        self.caches.close()
        self.limits.close()
        self.groups.close()
        if self.stream_groups is not None:
            self.stream_groups.close()
        self.statuses.close()
        if self.statistics is not None:
            self.statistics.close()


def build_application(
    config: Config,
    paths: Paths,
    *,
    default_error_log: Sequence[ErrorLogDirective] = STDERR,
    observer: Observer | None = None,
    default_access_log: bool = True,
    state: str | None = None,
    previous: Application | None = None,
) -> Application:
    """Open everything that `config` needs; raises `ConfigError` with nginx's message.

    `default_error_log` is used without `error_log` (`-e`); `default_access_log` is whether
    requests without `access_log` are logged to nginx's default file; `state` is the folder of
    the development CA; `previous` is what was served before, whose TLS contexts may be reused.
    """
    prepared = load(config, paths, state=state, previous=previous)
    return prepared.open(
        default_error_log=default_error_log,
        observer=observer,
        default_access_log=default_access_log,
    )


def load(
    config: Config,
    paths: Paths,
    *,
    state: str | None = None,
    previous: Application | None = None,
    next_connection_id: Callable[[], int] | None = None,
) -> LoadedConfig:
    """Load keys and certificates, and resolve hosts; raises `ConfigError`.

    `next_connection_id` returns the number of the next connection; by default they count from 1.
    """
    if config.http is not None:
        find_name_servers(config.http.resolvers)
    servers = config.http.servers if config.http is not None else ()
    groups = config.http.groups if config.http is not None else {}
    bound = tuple(bindings(servers))
    number = next_connection_id or itertools.count(1).__next__
    idle_monitor = IdleMonitor()
    dialect = find_dialect(config.main.ssl_error_dialect)
    caches = CacheStore(config, paths, None if previous is None else previous.caches)
    limits = LimitStore(config, None if previous is None else previous.limits)
    statistics = _statistics(config, None if previous is None else previous.statistics)
    maker = _HandlerFactory(
        UpstreamRegistry(
            groups, number, idle_monitor, None if previous is None else previous.groups
        ),
        ContextFactory(paths, state, dialect),
        caches,
        statistics,
    )
    end = config.http.end if config.http is not None else NOWHERE
    store = ContextStore(None if previous is None else previous.contexts)
    statuses = OCSPStore(None if previous is None else previous.statuses)
    ocsp = OCSPFactory(statuses, maker.upstreams.resolver, maker.tls.certificate, end)
    clients = ServerContextFactory(maker.tls, ocsp, end, store)
    defaults = _default_servers(bound)
    contexts, handlers = {}, {}
    for server in servers:
        for location in (server.default_location, *_below(server.default_location)):
            handlers[location] = maker.handler(location)
        secured = TLSServer(
            server.ssl, server.name, server.default_location.core, partial(_values, server)
        )
        contexts[server] = clients.for_server(secured, defaults.get(server, server).ssl)
    stream = None
    if config.stream is not None:
        # Imported here: most configurations have no `stream {}`.
        from .stream import load_stream

        old = None if previous is None else previous.stream_groups
        stream = load_stream(config.stream, maker.tls, store, statuses, number, idle_monitor, old)
        bound += stream.bindings
    store.release_previous()
    statuses.release_previous()
    caches.release_previous()
    return LoadedConfig(
        config,
        paths,
        bound,
        handlers,
        contexts,
        number,
        idle_monitor,
        (*maker.upstreams.resolvers, *(() if stream is None else stream.upstreams.resolvers)),
        maker.upstreams.groups,
        tuple(maker.tls.key_logs.values()),
        dialect,
        (*clients.warnings, *(() if stream is None else stream.warnings)),
        store,
        caches,
        limits,
        statistics,
        statuses,
        maker.tls.new_ca,
        stream,
    )


_NO_REQUEST = RequestHead("", "", "", "", "", 11, (), "", keepalive=False)


def _values(server: Server, connection: Connection) -> VariableLookup:
    """The variables during a TLS handshake, before there is a request."""
    location = server.default_location
    return lookup(RequestContext(connection, _NO_REQUEST, server, location, "", "", ""))


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A valid configuration with its keys and hosts, before its logs are opened."""

    config: Config
    paths: Paths
    bindings: tuple[ListenSocket, ...]
    handlers: Mapping[Location, Handler]
    contexts: Mapping[Server, ServerTLS | None]
    number: Callable[[], int]
    idle_monitor: IdleMonitor
    resolvers: Sequence[Resolver]
    groups: GroupStore
    key_logs: Sequence[KeyLog]
    dialect: Dialect
    warnings: tuple[str, ...]
    """Messages at level `warn` about keys and certificates."""
    store: ContextStore
    caches: CacheStore
    limits: LimitStore
    statistics: ConnectionStatistics | None
    statuses: OCSPStore
    new_ca: str = ""
    """The file of the development CA, if it was created for this configuration."""
    stream: LoadedStream | None = None

    def open(
        self,
        *,
        default_error_log: Sequence[ErrorLogDirective] = STDERR,
        observer: Observer | None = None,
        default_access_log: bool = True,
        sinks: Sinks | None = None,
    ) -> Application:
        """Open the logs, in `sinks` if given; raises `ConfigError`."""
        http = self.config.http or Http((), {}, {})
        sinks = sinks or Sinks()
        try:
            logs = LogFactory(
                sinks,
                self.paths,
                http.log_formats,
                default_error_log,
                observer,
                default_access_log=default_access_log,
            )
            main_log = logs.error_log(self.config.error_log)
            self.groups.log_to(main_log)
            for key_log in self.key_logs:
                key_log.open(sinks, _trusted_users(self.config))
            servers = {server: self._server(server, logs) for server in http.servers}
            stream = self._open_stream(sinks, default_error_log, observer)
        except BaseException:
            sinks.close()
            raise
        listeners = [
            listener
            for binding in self.bindings
            for listener in (() if binding.is_stream else binding.listeners)
        ]
        running = Runtime(
            servers,
            tuple(listeners),
            keep_hellos=not _OF_THE_HELLO.isdisjoint(http.variables),
            dialect=self.dialect,
            next_connection_id=self.number,
            observer=observer,
            statistics=self.statistics,
        )
        if observer is not None:
            observer.configuration_opened(running)
        return Application(
            self.config,
            running,
            self.bindings,
            main_log,
            sinks,
            self.paths,
            self.idle_monitor,
            self.resolvers,
            self.groups,
            None if self.stream is None else self.stream.upstreams.groups,
            self.store,
            self.caches,
            self.limits,
            self.statistics,
            self.statuses,
            self.new_ca,
            stream,
        )

    def _open_stream(
        self,
        sinks: Sinks,
        default_error_log: Sequence[ErrorLogDirective],
        observer: Observer | None,
    ) -> StreamRuntime | None:
        if self.stream is None:
            return None
        from .stream import SESSION_VARIABLES

        formats = self.stream.settings.log_formats
        logs = LogFactory(
            sinks, self.paths, formats, default_error_log, observer, variables=SESSION_VARIABLES
        )
        return self.stream.open(
            logs, self.limits, number=self.number, dialect=self.dialect, observer=observer
        )

    def _server(self, server: Server, logs: LogFactory) -> VirtualServer:
        core = server.core
        outside = self._location(server.default_location, server.default_location, logs)
        running = {
            location: self._location(location, server.default_location, logs)
            for location in _below(server.default_location)
        }
        return VirtualServer(
            server,
            server.name,
            HeadRules(
                core.client_header_buffer_size,
                core.large_client_header_buffers,
                core.ignore_invalid_headers,
                core.underscores_in_headers,
                core.merge_slashes,
                core.max_headers,
            ),
            outside,
            server.default_location.rewrite.statements or None,
            core.client_body_early_read or None,
            {
                location.name.name: running[location]
                for location in server.default_location.locations
                if location.name.modifier == "@"
            },
            Locations(server.default_location.locations),
            running,
            self.contexts[server],
            any(_does_more(one) for one in (outside, *running.values())),
        )

    def _location(self, location: Location, outside: Location, logs: LogFactory) -> LocationRuntime:
        return LocationRuntime(
            location,
            logs.error_log(location.log.error_log),
            logs.access_logs(location.log.access_log),
            self.handlers[location],
            None if location is outside else location.rewrite.statements or None,
            _real_ip(location, outside),
            self.limits.phase(location),
            access_phase(location.access, self.paths.conf_prefix),
            location.files.try_files,
            request_header_changes(location),
            filter_chain(location),
            location.filters.mirror if location.filters.mirror.uris else None,
        )


def _statistics(
    config: Config, previous: ConnectionStatistics | None
) -> ConnectionStatistics | None:
    """The counters of `stub_status`: those of the previous configuration, if it has any."""
    http = config.http
    if http is None:
        return None
    pages = (
        location.filters.status.stub_status
        for server in http.servers
        for location in iter_locations(server.default_location)
    )
    if STATUS_VARIABLES.isdisjoint(http.variables) and not any(pages):
        return None
    return ConnectionStatistics() if previous is None else previous.share()


def _real_ip(location: Location, outside: Location) -> RealIPPhase | None:
    """The phase that finds the client's address; None if it would only repeat the server's."""
    settings = location.real_ip
    if not settings.set_real_ip_from:
        return None
    if location is not outside and settings == outside.real_ip:
        return None
    return RealIPPhase(settings)


@dataclass(slots=True)
class _HandlerFactory:
    upstreams: UpstreamRegistry
    tls: ContextFactory
    caches: CacheStore
    statistics: ConnectionStatistics | None

    def handler(self, location: Location) -> Handler:
        if location.missing_content:
            return MissingContentHandler(location.missing_content)
        if location.filters.empty_gif.empty_gif:
            return EmptyGifHandler()
        if location.filters.status.stub_status:
            assert self.statistics is not None
            return StatusHandler(self.statistics)
        settings = location.upstreams.active
        if settings is None:
            return StaticHandler(location.gzip.gzip_static)
        rules = self._passing_rules(location, settings)
        if settings.cache is None and settings.store is None:
            return handler_of(rules)
        # Imported here: most configurations have no cache.
        from ..handlers.cached_proxy import CachingProxyHandler
        from ..handlers.storing_proxy import StoringProxyHandler

        folder = self.caches.temp_folder(settings)
        if settings.cache is None:
            return StoringProxyHandler(rules, folder)
        return CachingProxyHandler(rules, self.caches.caches, folder)

    def _passing_rules(self, location: Location, settings: UpstreamSettings) -> PassingRules:
        target = settings.target
        assert target is not None
        upstream: Upstream | DynamicUpstream
        if target.address is None:
            upstream = self.upstreams.dynamic(target, location.core)
        else:
            upstream = self.upstreams.of(target)
        context, certificate = None, None
        if settings.has_directive("ssl_verify") and (target.address is None or target.tls):
            context, certificate = self.tls.for_upstream(settings)
        return PassingRules(
            location,
            settings,
            protocol_of(location, settings),
            upstream,
            context,
            certificate,
            self.tls.dialect,
        )


def _default_servers(bound: Iterable[ListenSocket]) -> dict[Server, Server]:
    """The default server of the first TLS address that each server listens on."""
    found: dict[Server, Server] = {}
    for binding in bound:
        for listener in binding.listeners:
            for server in listener.names.servers if listener.ssl else ():
                found.setdefault(server, listener.names.default)
    return found


def _below(location: Location) -> Iterator[Location]:
    """All locations nested in `location`, outer ones first; not recursive, for any depth."""
    waiting = [location]
    while waiting:
        found = waiting.pop()
        if found is not location:
            yield found
        waiting += reversed((*found.locations, *found.conditional))


def _does_more(location: LocationRuntime) -> bool:
    return location.mirror is not None or bool(location.settings.core.post_action)


def _trusted_users(config: Config) -> set[int]:
    """The users whose files may get secrets: of this process, the system's, and of its workers."""
    if sys.platform == "win32":
        return {0}
    found = {os.geteuid(), 0}
    names = config.main.user
    if os.geteuid() == 0:
        # A file that is opened again (USR1) belongs to the user of the workers from then on.
        with contextlib.suppress(KeyError):
            found.add(pwd.getpwnam(DEFAULT_USER if names is None else names.user).pw_uid)
    return found
