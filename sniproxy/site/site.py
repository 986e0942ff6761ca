"""`Config` → `Site`: assembled in nginx's order, so that of several mistakes the first is told."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from OpenSSL import SSL

from ..config.directives.log import ErrorLog as ErrorLogSaid
from ..config.model import Config, Http, Location, Server
from ..handlers.handler import Handler
from ..handlers.proxy import ProxyHandler
from ..handlers.returns import AddSlashHandler, PageHandler, ReturnHandler
from ..http.head import HeadRules
from ..logs.error import ErrorLog, Target
from ..logs.sinks import Sinks
from ..message import ConfigError, Level
from ..routing import Locations
from ..running import Listener, Running, RunningLocation, RunningServer
from .listeners import Binding, bind_all, bindings
from .logs import Logs
from .paths import Paths
from .tls import TLSContexts
from .upstreams import Upstreams

STDERR = (ErrorLogSaid("stderr", Level.ERROR),)


@dataclass(slots=True)
class Site:
    """A configuration with everything open but its sockets."""

    config: Config
    running: Running
    bindings: tuple[Binding, ...]
    error_log: ErrorLog
    """Of the main level."""
    sinks: Sinks
    paths: Paths

    def bind(self, report: Callable[[ConfigError], None]) -> list[tuple[Binding, socket.socket]]:
        """Bind every address; raises `ConfigError`."""
        return bind_all(self.bindings, report)

    def close(self) -> None:
        for server in self.running.servers.values():
            for location in (server.outside, *server.running.values()):
                if isinstance(location.handler, ProxyHandler):
                    location.handler.close()
        self.sinks.close()


def build_site(
    config: Config,
    paths: Paths,
    *,
    default_error_log: Sequence[ErrorLogSaid] = STDERR,
    observers: Sequence[Target] = (),
    state: str | None = None,
) -> Site:
    """Open all that `config` needs; raises `ConfigError` in nginx's words.

    `default_error_log` is where errors go that no `error_log` claims (`-e`); `observers` see
    every line besides; `state` is the folder of the development CA.
    """
    http = config.http or Http((), {}, {})
    sinks = Sinks()
    try:
        logs = Logs(sinks, paths, http.log_formats, default_error_log, observers)
        number = itertools.count(1).__next__
        maker = _Maker(logs, Upstreams(http.groups, number), TLSContexts(paths, state))
        main_log = logs.error_log(config.error_log)
        servers = {server: maker.server(server) for server in http.servers}
        bound = bindings(http.servers)
        listeners = [listener for binding in bound for listener in binding.listeners]
        running = Running(
            servers,
            tuple(listeners),
            {listener: maker.fallback(listener, servers) for listener in listeners if listener.ssl},
            number=number,
        )
    except BaseException:
        sinks.close()
        raise
    return Site(config, running, tuple(bound), main_log, sinks, paths)


@dataclass(slots=True)
class _Maker:
    logs: Logs
    upstreams: Upstreams
    tls: TLSContexts

    def server(self, server: Server) -> RunningServer:
        core = server.core
        outside = self.location(server.outside)
        return RunningServer(
            server,
            HeadRules(
                core.client_header_buffer_size,
                core.large_client_header_buffers,
                core.ignore_invalid_headers,
                core.underscores_in_headers,
                core.merge_slashes,
            ),
            outside,
            isinstance(outside.handler, ReturnHandler),
            Locations(server.outside.locations),
            {location: self.location(location) for location in _below(server.outside)},
            AddSlashHandler(),
            self.tls.for_server(server),
        )

    def location(self, location: Location) -> RunningLocation:
        return RunningLocation(
            location,
            self.logs.error_log(location.log.error_log),
            self.logs.access_logs(location.log.access_log),
            self.handler(location),
        )

    def handler(self, location: Location) -> Handler:
        if location.rewrite.return_:
            return ReturnHandler(location.rewrite.return_[0])
        target = location.proxy.proxy_pass
        if target is None:
            return PageHandler(404)
        if target.address is None:
            raise ConfigError(
                'variables in "proxy_pass" are not supported by sniproxy yet',
                target.file,
                target.line,
            )
        context = self.tls.for_upstream(location.proxy) if target.tls else None
        return ProxyHandler(location, self.upstreams.of(target), context)

    def fallback(self, listener: Listener, servers: dict[Server, RunningServer]) -> SSL.Context:
        """What a handshake on `listener` starts from, before the SNI is known."""
        default = servers[listener.names.default]
        chosen = default.context("", "") if default.context is not None else None
        return chosen if isinstance(chosen, SSL.Context) else self.tls.refusing()


def _below(location: Location) -> Iterator[Location]:
    for nested in location.locations:
        yield nested
        yield from _below(nested)
