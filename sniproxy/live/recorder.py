"""Record requests for the live page: an observer that can be switched on and off.

While nobody looks at the page, requests are only collected (`observer.RecentRequests`), and error
lines recorded; `look` turns these into entries, and observes the steps of requests from then on.
Building the details of an entry takes longer than to serve a small request, so at most a tenth of
the time is spent on it: what is beyond gets a row without details.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..build.paths import Paths
from ..context import Connection, RequestContext
from ..logs.error import ErrorLog
from ..models import BodyReader, Handshake, Level, Response
from ..observer import Observer, RecentRequests, SessionState
from ..runtime import Runtime
from ..trace.builder import FinishedRequest, handshake_trace
from ..trace.concurrent_requests import HandlerCalls, lines_of, take_lines
from .entries import (
    MAX_BODY,
    Bodies,
    BodyExcerpt,
    call_at_end,
    connection_details,
    connection_row,
    request_details,
    request_row,
    session_row,
)

AddEntry = Callable[[dict[str, Any], dict[str, Any]], object]

RECENT = 64
"""Number of requests that are collected while nobody looks, and of failed ones."""
MAX_STATES = 1024
MAX_LINES = 100
"""Lines of an error log that are recorded of a connection."""
SHARE = 0.1
"""Share of the time that may be spent on details."""
MOST_CREDIT = 0.25
"""Seconds that may be spent at once, after a pause."""


class Budget:
    """A share of the time for CPU time to be spent, which accumulates while it is not used."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._credit = MOST_CREDIT
        self._updated = clock()

    def is_left(self) -> bool:
        now = self._clock()
        self._credit = min(self._credit + (now - self._updated) * SHARE, MOST_CREDIT)
        self._updated = now
        return self._credit > 0

    def spend(self, seconds: float) -> None:
        self._credit -= seconds


@dataclass(slots=True)
class _ObservedConnection:
    """What was recorded of a connection since its last request, or, with HTTP/2, of the requests
    in progress."""

    handshake: Handshake | None = None
    handlers: HandlerCalls = field(default_factory=HandlerCalls)
    lines: list[str] = field(default_factory=list)
    bodies: dict[RequestContext, CapturedBody] = field(default_factory=dict)
    is_session: bool = False
    """Whether it was a session of `stream {}`, which has an entry."""


class CapturedBody:
    """A response body whose beginning is recorded while it is read."""

    def __init__(self, body: BodyReader | None, data: bytes = b"") -> None:
        self._body = body
        self._data = bytearray(data[:MAX_BODY])
        self._length = len(data)

    async def read(self) -> bytes:
        assert self._body is not None
        piece = await self._body.read()
        self._length += len(piece)
        if len(self._data) < MAX_BODY:
            self._data += piece[: MAX_BODY - len(self._data)]
        return piece

    def discard(self) -> None:
        if self._body is not None:
            self._body.discard()

    def recorded(self) -> BodyExcerpt:
        return BodyExcerpt(bytes(self._data), self._length)


class LiveRecorder(Observer):
    """Calls `add` with the row and the details of each finished request, while `looking`.

    `alone` is whether it is the only observer, which can be switched off.
    """

    log_level = Level.ERROR
    wants_handshakes = True

    def __init__(self, add: AddEntry, paths: Paths, *, alone: bool = True) -> None:
        self._add = add
        self._paths = paths
        self._alone = alone
        self._running: Runtime | None = None
        self._states: OrderedDict[int, _ObservedConnection] = OrderedDict()
        self._sessions: deque[Callable[[], None]] = deque(maxlen=RECENT)
        """Makes the entries of sessions that have ended while nobody looked."""
        self._budget = Budget()
        self._failures = Budget()
        """A budget of its own, so that failures have details among many other requests."""
        self.looking = not alone
        if self.looking:
            self.log_level = Level.INFO

    # --- switching ---

    def configuration_opened(self, running: object) -> None:
        assert isinstance(running, Runtime)
        self._running = running
        if self._alone:
            running.observer = None
            running.recent = RecentRequests(RECENT)

    def look(self) -> None:
        """Make entries of what was collected, and observe all requests from now on."""
        running = self._running
        if self.looking or running is None:
            return
        recent, running.recent = running.recent, None
        self.looking = True
        self._set_level(Level.INFO)
        running.observer = self
        if recent is not None:
            self._add_collected(recent)

    def stop_looking(self) -> None:
        """Only collect requests from now on."""
        running = self._running
        if not self._alone or not self.looking or running is None:
            return
        self.looking = False
        running.observer, running.recent = None, RecentRequests(RECENT)
        self._set_level(Level.ERROR)
        self._states.clear()

    def _set_level(self, level: Level) -> None:
        self.log_level = level
        for log in self._logs():
            log.update_level()

    def _logs(self) -> Iterable[ErrorLog]:
        assert self._running is not None
        for server in self._running.servers.values():
            yield server.default_location.error_log
            for location in server.location_runtimes.values():
                yield location.error_log

    def _add_collected(self, recent: RecentRequests) -> None:
        found: list[tuple[float, Callable[[], None]]] = []
        for ctx in (*recent.served, *recent.failed):
            found.append((ctx.finished or 0.0, lambda ctx=ctx: self._add_later(ctx)))  # type: ignore[misc]
        now, monotonic = time.time(), time.monotonic()
        for connection, handshake in recent.handshakes:
            at = monotonic - (now - connection.started_at)
            found.append(
                (at, lambda c=connection, h=handshake: self._add_connection(c, h, []))  # type: ignore[misc]
            )
        for _, add in sorted(found, key=lambda one: one[0]):
            add()
        while self._sessions:
            self._sessions.popleft()()
        self._states.clear()

    def _add_later(self, ctx: RequestContext) -> None:
        """Add a request that was collected; what only its end could say is left out."""
        state = self._states.get(ctx.connection.number)
        lines = [] if state is None else lines_of(ctx, state.lines)[0]
        over = FinishedRequest(ctx, _client_handshake(ctx), [call_at_end(ctx)], lines)
        self._add_request(over, Bodies(), late=True)

    # --- steps ---

    def _state(self, number: int) -> _ObservedConnection:
        state = self._states.get(number)
        if state is None:
            state = self._states[number] = _ObservedConnection()
            if len(self._states) > MAX_STATES:
                self._states.popitem(last=False)
        return state

    def connection_closed(self, connection: Connection) -> None:
        state = self._states.pop(connection.number, None)
        if connection.requests or (state is None and not self.looking):
            return
        if state is not None and state.is_session:
            return
        state = state or _ObservedConnection()
        self._add_connection(connection, state.handshake, state.lines)

    def session_finished(self, ctx: SessionState) -> None:
        state = self._state(ctx.connection.number)
        state.is_session = True
        row = partial(session_row, ctx, state.handshake, tuple(state.lines), time.time())
        if self.looking:
            self._add_session(row, state.lines)
        else:
            self._sessions.append(partial(self._add_session, row, state.lines))

    def _add_session(self, row: Callable[[], dict[str, Any]], lines: list[str]) -> None:
        started = time.thread_time()
        made = row()
        made["detail"] = bool(lines) and self._failures.is_left()
        self._add(made, connection_details(None, lines) if made["detail"] else {})
        self._failures.spend(time.thread_time() - started)

    def handshake_finished(self, connection: Connection, handshake: Handshake) -> None:
        self._state(connection.number).handshake = handshake

    def handler_started(self, ctx: RequestContext) -> None:
        self._state(ctx.connection.number).handlers.start(ctx)

    def handler_finished(self, ctx: RequestContext) -> None:
        self._state(ctx.connection.number).handlers.finish(ctx)

    def response_started(self, ctx: RequestContext, response: Response) -> Response:
        bodies = self._state(ctx.connection.number).bodies
        if isinstance(response.body, bytes):
            bodies[ctx] = CapturedBody(None, response.body)
            return response
        bodies[ctx] = captured = CapturedBody(response.body)
        return response._replace(body=captured)

    def line_logged(self, level: Level, line: str, connection: int | None) -> None:
        if connection is not None:
            lines = self._state(connection).lines
            if len(lines) < MAX_LINES:
                lines.append(line.rstrip("\n"))

    def request_finished(self, ctx: RequestContext) -> None:
        if ctx.is_subrequest:
            return
        state = self._state(ctx.connection.number)
        captured = state.bodies.pop(ctx, None)
        calls = state.handlers.take(ctx) or [call_at_end(ctx)]
        lines, state.lines = take_lines(ctx, state.lines)
        over = FinishedRequest(ctx, state.handshake or _client_handshake(ctx), calls, lines)
        bodies = Bodies(_request_body(ctx), None if captured is None else captured.recorded())
        self._add_request(over, bodies)

    # --- entries ---

    def _add_request(self, over: FinishedRequest, bodies: Bodies, *, late: bool = False) -> None:
        assert self._running is not None
        started = time.thread_time()
        ctx = over.ctx
        row = request_row(ctx, over.handshake, over.lines)
        failed = bool(row["problem"]) or not 0 < ctx.status < 400
        budget = self._failures if failed else self._budget
        details: dict[str, Any] = {}
        row["detail"] = budget.is_left()
        if row["detail"]:
            details = request_details(over, self._running, self._paths, bodies)
            if late:
                details["trace"]["access_log"] = []
        self._add(row, details)
        budget.spend(time.thread_time() - started)

    def _add_connection(
        self, connection: Connection, handshake: Handshake | None, lines: list[str]
    ) -> None:
        assert self._running is not None
        trace = None
        row = connection_row(
            connection,
            handshake,
            lines,
            max(time.time() - connection.started_at, 0.0)
            if handshake is None
            else handshake.duration,
        )
        row["detail"] = self._failures.is_left()
        started = time.thread_time()
        details = {}
        if row["detail"]:
            if handshake is not None:
                trace = handshake_trace(handshake, lines, self._running, connection.listening)
            details = connection_details(trace, lines)
        self._add(row, details)
        self._failures.spend(time.thread_time() - started)


def _client_handshake(ctx: RequestContext) -> Handshake | None:
    """The handshake of a client, whose times are not known."""
    from ..tls.stream import TLSStream

    connection = ctx.connection
    if not isinstance(connection.tls, TLSStream):
        return None
    peer = f"{connection.client_address}:{connection.client_port}"
    return connection.tls.handshake(peer, began=connection.started_at)


def _request_body(ctx: RequestContext) -> BodyExcerpt | None:
    if ctx.body is None or ctx.body.held is None:
        return None
    data = ctx.body.held.encode("latin-1")
    return BodyExcerpt(data[:MAX_BODY], ctx.body_length or len(data))
