"""Record what happens to requests, and report each as a `Trace` when it is over.

`Tracer` is an observer (`sniproxy.observer`): it is called at the steps of a request, and records
what is not available at the end, by connection number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..build.paths import Paths
from ..context import Connection, RequestContext
from ..models import Handshake, Level
from ..observer import Observer, SessionState
from ..runtime import Runtime
from .builder import FinishedRequest, handshake_trace, request_trace
from .concurrent_requests import HandlerCalls, take_lines
from .steps import Trace

TraceCallback = Callable[[Trace], None]


@dataclass(slots=True)
class _ConnectionState:
    """What was recorded of a connection since its last request."""

    handshake: Handshake | None = None
    handlers: HandlerCalls = field(default_factory=HandlerCalls)
    lines: list[str] = field(default_factory=list)
    is_of_http: bool = True
    """Whether nothing but its log line tells of a failed handshake."""


class Tracer(Observer):
    """Calls `callback` with the trace of each finished request and of each failed handshake."""

    log_level = Level.INFO
    wants_handshakes = True

    def __init__(self, callback: TraceCallback, paths: Paths) -> None:
        """`paths` resolves the names of certificate files."""
        self._callback = callback
        self._paths = paths
        self._running: Runtime | None = None
        self._connections: dict[int, _ConnectionState] = {}

    def configuration_opened(self, running: object) -> None:
        assert isinstance(running, Runtime)
        self._running = running

    def connection_accepted(self, connection: Connection) -> None:
        self._connections[connection.number] = _ConnectionState()

    def connection_closed(self, connection: Connection) -> None:
        self._connections.pop(connection.number, None)

    def handshake_finished(self, connection: Connection, handshake: Handshake) -> None:
        state = self._connections[connection.number]
        state.handshake = handshake
        assert self._running is not None
        listeners = self._running.listeners
        state.is_of_http = any(one.text == connection.listening for one in listeners)

    def handler_started(self, ctx: RequestContext) -> None:
        self._connections[ctx.connection.number].handlers.start(ctx)

    def handler_finished(self, ctx: RequestContext) -> None:
        self._connections[ctx.connection.number].handlers.finish(ctx)

    def line_logged(self, level: Level, line: str, connection: int | None) -> None:
        state = None if connection is None else self._connections.get(connection)
        if state is None:
            return
        state.lines.append(line.rstrip("\n"))
        if state.is_of_http and state.handshake is not None and state.handshake.failure is not None:
            # Its log line follows immediately.
            assert self._running is not None
            self._callback(handshake_trace(state.handshake, state.lines, self._running))
            state.handshake = None

    def request_finished(self, ctx: RequestContext) -> None:
        if ctx.is_subrequest:
            return
        state = self._connections[ctx.connection.number]
        assert self._running is not None
        lines, state.lines = take_lines(ctx, state.lines)
        over = FinishedRequest(ctx, state.handshake, state.handlers.take(ctx), lines)
        trace = request_trace(over, self._running, self._paths)
        self._callback(trace)

    def session_finished(self, ctx: SessionState) -> None:
        # Imported here: most configurations have no `stream {}`.
        from ..stream.session_context import SessionContext
        from .session_trace import session_trace

        assert isinstance(ctx, SessionContext)
        state = self._connections[ctx.connection.number]
        self._callback(session_trace(ctx, state.handshake, state.lines, self._paths))
