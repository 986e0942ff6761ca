"""The interface for observing the steps of requests and connections.

Captured logs, `proxy.handshakes`, `sniproxy trace` and the test fixtures are observers. An
observer is passed to `LoadedConfig.open`. Each method is named after a step and is called when that
step is done, in the task of the connection. Methods must neither wait nor raise. Without an
observer a step costs a comparison with None.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from .context import Connection, RequestContext, UpstreamState
from .models import Handshake, Level, Response


class SessionState(Protocol):
    """A session of `stream {}` that is over (`stream.session_context.SessionContext`)."""

    @property
    def connection(self) -> Connection: ...
    @property
    def status(self) -> int: ...
    @property
    def received(self) -> int: ...
    @property
    def bytes_sent(self) -> int: ...
    @property
    def started(self) -> float: ...
    @property
    def is_udp(self) -> bool: ...
    @property
    def server_name(self) -> str | None:
        """The SNI, as read ahead or received in a handshake."""
        ...

    @property
    def upstream_states(self) -> Sequence[UpstreamState]: ...


class Observer:
    """Base class of observers; its methods do nothing."""

    log_level = Level.EMERG
    """The least severe level of the lines that `line_logged` is to see."""
    wants_handshakes = False
    """Whether to assemble a `Handshake` record for each TLS handshake."""

    def configuration_opened(self, running: object) -> None:
        """The configuration is about to be served; `running` is its `runtime.Runtime`."""

    def connection_accepted(self, connection: Connection) -> None:
        """A client has connected."""

    def connection_closed(self, connection: Connection) -> None:
        """A client's connection is closed."""

    def handshake_finished(self, connection: Connection, handshake: Handshake) -> None:
        """A client's TLS handshake has ended, well or not. Only if `wants_handshakes`."""

    def request_read(self, ctx: RequestContext) -> None:
        """A request head was read, or rejected, and its virtual server selected."""

    def handler_started(self, ctx: RequestContext) -> None:
        """A location was chosen, and its content handler is about to run."""

    def handler_finished(self, ctx: RequestContext) -> None:
        """The content handler has returned, or was cancelled."""

    def attempt_started(self, ctx: RequestContext, attempt: UpstreamState) -> None:
        """A peer was selected for a request."""

    def upstream_handshake_finished(
        self, ctx: RequestContext, attempt: UpstreamState, handshake: Handshake
    ) -> None:
        """A TLS handshake with an upstream has ended, well or not. Only if `wants_handshakes`."""

    def response_head_read(self, ctx: RequestContext, attempt: UpstreamState) -> None:
        """An upstream's response head was read."""

    def response_started(self, ctx: RequestContext, response: Response) -> Response:
        """A response is about to be sent; returns it, or one whose body is recorded."""
        return response

    def response_sent(self, ctx: RequestContext) -> None:
        """The response was sent, completely or until the client disconnected."""

    def request_finished(self, ctx: RequestContext) -> None:
        """A request, or a subrequest, is over; its access log lines were written."""

    def session_finished(self, ctx: SessionState) -> None:
        """A session of `stream {}` is over; its access log lines were written."""

    def line_logged(self, level: Level, line: str, connection: int | None) -> None:
        """A line was written to an error log, or would have been at a higher `error_log` level.

        `connection` is the number of the client connection that it belongs to.
        """


class RecentRequests:
    """The last requests and failed handshakes, for an observer that looks at them later.

    A request is appended when it is over, and that is all it pays.
    """

    __slots__ = ("failed", "handshakes", "served")

    def __init__(self, size: int) -> None:
        self.served: deque[RequestContext] = deque(maxlen=size)
        self.failed: deque[RequestContext] = deque(maxlen=size)
        """Requests whose status is 400 or more, or that have no response."""
        self.handshakes: deque[tuple[Connection, Handshake]] = deque(maxlen=size)
        """Failed handshakes of clients."""


class Observers(Observer):
    """Passes every step on to several observers, in their order."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)
        self.log_level = max((one.log_level for one in observers), default=Level.EMERG)
        self.wants_handshakes = any(one.wants_handshakes for one in observers)

    def configuration_opened(self, running: object) -> None:
        for one in self._observers:
            one.configuration_opened(running)

    def connection_accepted(self, connection: Connection) -> None:
        for one in self._observers:
            one.connection_accepted(connection)

    def connection_closed(self, connection: Connection) -> None:
        for one in self._observers:
            one.connection_closed(connection)

    def handshake_finished(self, connection: Connection, handshake: Handshake) -> None:
        for one in self._observers:
            one.handshake_finished(connection, handshake)

    def request_read(self, ctx: RequestContext) -> None:
        for one in self._observers:
            one.request_read(ctx)

    def handler_started(self, ctx: RequestContext) -> None:
        for one in self._observers:
            one.handler_started(ctx)

    def handler_finished(self, ctx: RequestContext) -> None:
        for one in self._observers:
            one.handler_finished(ctx)

    def attempt_started(self, ctx: RequestContext, attempt: UpstreamState) -> None:
        for one in self._observers:
            one.attempt_started(ctx, attempt)

    def upstream_handshake_finished(
        self, ctx: RequestContext, attempt: UpstreamState, handshake: Handshake
    ) -> None:
        for one in self._observers:
            one.upstream_handshake_finished(ctx, attempt, handshake)

    def response_head_read(self, ctx: RequestContext, attempt: UpstreamState) -> None:
        for one in self._observers:
            one.response_head_read(ctx, attempt)

    def response_started(self, ctx: RequestContext, response: Response) -> Response:
        for one in self._observers:
            response = one.response_started(ctx, response)
        return response

    def response_sent(self, ctx: RequestContext) -> None:
        for one in self._observers:
            one.response_sent(ctx)

    def request_finished(self, ctx: RequestContext) -> None:
        for one in self._observers:
            one.request_finished(ctx)

    def session_finished(self, ctx: SessionState) -> None:
        for one in self._observers:
            one.session_finished(ctx)

    def line_logged(self, level: Level, line: str, connection: int | None) -> None:
        for one in self._observers:
            if level <= one.log_level:
                one.line_logged(level, line, connection)
