"""The configuration come alive: what a connection looks things up in.

`site` makes these from a `Config` and opens what they need; nothing here opens anything.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from OpenSSL import SSL

from .config.model import Location, Server
from .departures import DepartureWatch
from .facts import Connection, Facts
from .handlers.access import AccessPhase
from .handlers.handler import Handler
from .http.fields import valid_host
from .http.head import HeadRules
from .logs.access import access_line
from .logs.error import ConnectionLog, ErrorLog
from .logs.sinks import FileSink, Sink
from .message import ConfigError, Failure, Handshake, Level
from .routing import Locations, ServerNames
from .script import Template
from .tls.errors import NATIVE, Dialect
from .tls.stream import TLSStream
from .tls.watch import HandshakeWatch
from .variables import lookup
from .variables.files import document_root


class AccessLog(Protocol):
    """Told of each request that is over."""

    def write(self, facts: Facts, log: ConnectionLog) -> None: ...


@dataclass(frozen=True, slots=True)
class AccessTarget:
    """One `access_log` with its format."""

    sink: Sink
    template: Template
    escape: str
    condition: Template | None

    def write(self, facts: Facts, log: ConnectionLog) -> None:
        """Write the line of a request; `log` is told what goes wrong with that."""
        values = lookup(facts)
        if self.condition is not None and self.condition.render(values) in ("", "0"):
            return
        self.sink.write(access_line(self.template, self.escape, values))


@dataclass(frozen=True, slots=True)
class NamedAccessTarget:
    """One `access_log` whose file is named by variables: opened for each line."""

    file: Template
    """Relative to `prefix`."""
    prefix: str
    template: Template
    escape: str
    condition: Template | None

    def write(self, facts: Facts, log: ConnectionLog) -> None:
        """As `AccessTarget.write`. Without the folder of `root` there is no line."""
        values = lookup(facts)
        if self.condition is not None and self.condition.render(values) in ("", "0"):
            return
        root = document_root(facts, values)
        if not os.path.isdir(root.encode("latin-1")):
            failure = Failure(f'testing "{root}" existence failed', errno=_why_no_folder(root))
            log.write_failure(failure)
            return
        path = os.path.join(self.prefix, self.file.render(values))
        try:
            sink = FileSink(path)
        except ConfigError as error:
            log.write_failure(Failure(error.message, Level.CRIT, errno=error.errno))
            return
        sink.write(access_line(self.template, self.escape, values))
        sink.close()


def _why_no_folder(path: str) -> int:
    return errno.ENOTDIR if os.path.exists(path.encode("latin-1")) else errno.ENOENT


@dataclass(frozen=True, slots=True, eq=False)
class RunningLocation:
    """One location with its logs and the handler that answers there."""

    settings: Location
    error_log: ErrorLog
    access_logs: tuple[AccessLog, ...]
    handler: Handler
    access: AccessPhase | None = None
    """None where whoever asks is answered."""


class FoundLocation(NamedTuple):
    """What a path leads to."""

    location: RunningLocation
    add_slash: bool
    """Whether the path lacks the slash of the location's name."""


@dataclass(frozen=True, slots=True, eq=False)
class ServerTLS:
    """What one virtual server makes handshakes with."""

    base: SSL.Context
    """Where a handshake begins, before the hello is read; and where it fails, when there is no
    certificate."""
    context: Callable[[Connection], SSL.Context]
    """The context for a connection whose SNI is known; raises `ConfigError` where a certificate
    that variables name does not load."""


@dataclass(frozen=True, slots=True, eq=False)
class RunningServer:
    """One virtual server."""

    settings: Server
    head_rules: HeadRules
    outside: RunningLocation
    """For what no location answers."""
    named: Mapping[str, RunningLocation]
    """By name with its `@`."""
    locations: Locations
    running: Mapping[Location, RunningLocation]
    tls: ServerTLS | None
    """None without a certificate."""

    def find(self, facts: Facts) -> FoundLocation:
        """The location for the path of a request; its captures are noted in the facts."""
        found = self.locations.find(facts.uri)
        if found.location is None:
            return FoundLocation(self.outside, False)
        if found.captures is not None:
            facts.matched(found.captures)
        return FoundLocation(self.running[found.location], found.add_slash)


@dataclass(frozen=True, slots=True, eq=False)
class Listener:
    """One address that is listened on, with the servers behind it."""

    text: str
    """`127.0.0.1:443`, as log lines show it."""
    ssl: bool
    names: ServerNames


@dataclass(slots=True, eq=False)
class Running:
    """All that the connections of one running configuration share."""

    servers: Mapping[Server, RunningServer]
    listeners: tuple[Listener, ...]
    handshakes: HandshakeWatch = field(default_factory=HandshakeWatch)
    keep_hellos: bool = False
    """Whether the configuration uses a variable that shows what the client offered."""
    dialect: Dialect = NATIVE
    """Whose OpenSSL's words failures are told in."""
    watch: DepartureWatch = field(default_factory=DepartureWatch)
    number: Callable[[], int] = lambda: 0
    """Draws a connection's number; one counter for clients and peers."""
    stopping: bool = False
    """Set once: connections finish what they are at and take no further request."""

    @property
    def on_handshake(self) -> Callable[[Handshake], None] | None:
        """Told of every handshake of either side."""
        return self.handshakes.on_handshake

    @on_handshake.setter
    def on_handshake(self, told: Callable[[Handshake], None] | None) -> None:
        self.handshakes.on_handshake = told

    def server_for(self, listener: Listener, host: str) -> RunningServer:
        return self.servers[listener.names.find(host)]

    def note(
        self, tls: TLSStream, peer: str, began: float, duration: float, failure: Failure | None
    ) -> None:
        """Tell whoever wants to know of a client's handshake that is over."""
        self.handshakes.note(
            lambda: tls.handshake(peer, began=began, duration=duration, failure=failure)
        )

    def tls_of(self, listener: Listener, server: RunningServer) -> ServerTLS:
        """What `server` makes handshakes with: its own, else what the default server has."""
        tls = server.tls or self.servers[listener.names.default].tls
        assert tls is not None, "a configuration without is refused"
        return tls

    def negotiated(
        self, listener: Listener, server_name: str | None
    ) -> tuple[str, RunningServer] | None:
        """The name that an SNI stands for, and its server; None where it chooses nothing."""
        name = valid_host(server_name) if server_name else None
        server = listener.names.negotiated(name) if name else None
        return (name, self.servers[server]) if name and server else None
