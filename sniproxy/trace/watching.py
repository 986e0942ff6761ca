"""Record what happens to requests, and report each as a `Trace` when it is over.

`Watch` is an observer (`sniproxy.observer`): it is called at the steps of a request and keeps what
will not be known any more at the end. What belongs to a connection is kept under its number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..facts import Connection, Facts
from ..message import Handshake, Level
from ..observer import Observer
from ..running import Running
from ..site.paths import Paths
from .gathering import Handled, Over, handled, handshake_trace, request_trace
from .record import Trace

Told = Callable[[Trace], None]


@dataclass(slots=True)
class _ConnectionState:
    """What was seen of one connection since its last request."""

    handshake: Handshake | None = None
    handled: list[Handled] = field(default_factory=list)
    handlers: list[tuple[int, int, str]] = field(default_factory=list)
    """Of handlers that run now: detours and attempts before them, and the path."""
    lines: list[str] = field(default_factory=list)


class Watch(Observer):
    """Calls `told` with the trace of every request when it is over, and of failed handshakes."""

    log_level = Level.INFO
    wants_handshakes = True

    def __init__(self, told: Told, paths: Paths) -> None:
        """`paths` resolve the names of certificate files."""
        self._told = told
        self._paths = paths
        self._running: Running | None = None
        self._connections: dict[int, _ConnectionState] = {}

    def configuration_opened(self, running: object) -> None:
        assert isinstance(running, Running)
        self._running = running

    def connection_accepted(self, connection: Connection) -> None:
        self._connections[connection.number] = _ConnectionState()

    def connection_closed(self, connection: Connection) -> None:
        self._connections.pop(connection.number, None)

    def handshake_finished(self, connection: Connection, handshake: Handshake) -> None:
        state = self._connections[connection.number]
        state.handshake = handshake

    def handler_started(self, facts: Facts) -> None:
        state = self._connections[facts.connection.number]
        state.handlers.append((len(facts.detours), len(facts.tries), facts.uri))

    def handler_finished(self, facts: Facts) -> None:
        state = self._connections[facts.connection.number]
        detours, tries, path = state.handlers.pop()
        state.handled.append(handled(facts, facts.location, path, detours, tries))

    def line_logged(self, level: Level, line: str, connection: int | None) -> None:
        state = None if connection is None else self._connections.get(connection)
        if state is None:
            return
        state.lines.append(line.rstrip("\n"))
        if state.handshake is not None and state.handshake.failure is not None:
            # Its line follows at once.
            assert self._running is not None
            self._told(handshake_trace(state.handshake, state.lines, self._running))
            state.handshake = None

    def request_finished(self, facts: Facts) -> None:
        if facts.is_subrequest:
            return
        state = self._connections[facts.connection.number]
        assert self._running is not None
        over = Over(facts, state.handshake, state.handled, state.lines)
        trace = request_trace(over, self._running, self._paths)
        state.handled, state.lines = [], []
        self._told(trace)
