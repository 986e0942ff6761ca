"""One request on an HTTP/2 connection: it runs the same phases as a request of HTTP/1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import trio

from ..client_abort import ClientAbort
from ..connection_statistics import CountedState, Statistic
from ..context import RequestContext
from ..handlers.response_rate import limit_response
from ..http.http2_fields import Fields
from ..http.http2_frames import INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR
from ..http.http2_request import read_http2_head
from ..http.request_head import READING_HEADERS, BadRequestError, ParsedHead
from ..logs.error import ConnectionLog
from ..models import (
    ClientAbortedError,
    Failure,
    Header,
    Level,
    ProxyError,
    Response,
    Side,
    SpecialResponse,
)
from ..phases import RequestPhases
from ..runtime import HostSelector, VirtualServer
from ..tls.errors import timeout_failure
from .background import respond_and_do_more, write_beside_tasks
from .client_state import ConnectionState
from .http2_body import CLIENT_CLOSED_REQUEST, Http2BodyReader, ReceivedData
from .http2_writer import Http2ResponseWriter
from .keepalive import TIMED_OUT
from .request_body import BodyReading
from .verify import tls_rejection

CLOSED_EARLY = Failure("client prematurely closed connection", Level.INFO)


class StreamClosedError(ProxyError):
    """The client has reset the stream or closed the connection."""


class StreamFrames(Protocol):
    """The connection, as used by its streams."""

    state: ConnectionState
    is_closed: bool
    """Whether the connection, and not only a stream, was closed."""

    def send_headers(self, stream: int, fields: Fields, *, ends: bool) -> int: ...
    def send_data(self, stream: int, data: bytes, *, ends: bool) -> int: ...
    def send_window(self, stream: int) -> int: ...
    def largest_frame(self) -> int: ...
    def consumed(self, stream: int, length: int) -> None: ...
    def open_window(self, stream: int) -> None: ...
    def reset(self, stream: int, code: int) -> None: ...
    async def flush(self, timeout: float) -> None: ...
    def stream_finished(self, stream: Http2Stream) -> None: ...


class Http2Stream(BodyReading):
    """A stream: the client of its request (`handlers.base.Client`), and the task that serves it."""

    def __init__(
        self,
        frames: StreamFrames,
        number: int,
        fields: Sequence[Header],
        length: int,
        *,
        ended: bool,
    ) -> None:
        """`fields` are those of a header block of `length` bytes; `ended` is whether no body
        follows."""
        state = frames.state
        self._state = state
        self._frames = frames
        self.number = number
        self._fields = fields
        self._length = length
        self.scope = trio.CancelScope()
        """Cancelled when the client leaves while its request is with an upstream."""
        self.observer = state.running.observer
        self._recent = state.running.recent
        self.data = ReceivedData(lambda length: frames.consumed(number, length))
        self.data.ended = self._ended_at_once = ended
        self.log = ConnectionLog(
            state.log.error_log,
            state.connection.number,
            state.connection.client_address,
            state.listener.text,
        )
        self.connection = state.connection.as_of_now(self.log.write)
        """The connection with its number of requests so far."""
        self.body = None
        self.is_closed = False
        """Whether the client has reset the stream, or closed the connection."""
        self._abort = ClientAbort(self.scope)
        self._window_changed = trio.Event()
        self._ended = False
        """Whether the response was sent completely."""

    # --- the client of the request ---

    @property
    def has_body(self) -> bool:
        return self.body is not None

    def abort(self) -> ClientAbort:
        return self._abort

    async def send_early_hints(self, ctx: RequestContext, headers: Sequence[Header]) -> None:
        """Send a 103. Raises `ClientAbortedError`."""
        try:
            await self._new_writer().early_hints(ctx, headers)
        except ProxyError:
            response = Response(CLIENT_CLOSED_REQUEST, close_without_response=True)
            raise ClientAbortedError(response) from None

    # --- what the connection reports ---

    def close(self) -> None:
        """Note that the client has reset the stream, or closed the connection."""
        self.is_closed = True
        self.data.close()
        self._window_changed.set()
        self._abort.set()

    def window_changed(self) -> None:
        """Let the task that waits for a window look again."""
        self._window_changed.set()

    # --- what the writer needs (`http2_writer.FrameSender`) ---

    def send_headers(self, fields: Fields, *, ends: bool) -> int:
        self._check_open()
        self._ended = ends
        return self._frames.send_headers(self.number, fields, ends=ends)

    def send_data(self, data: bytes, *, ends: bool) -> int:
        self._check_open()
        self._ended = ends
        return self._frames.send_data(self.number, data, ends=ends)

    async def window(self, timeout: float, on_blocked: Callable[[], None] | None) -> int:
        while True:
            self._check_open()
            size = self._frames.send_window(self.number)
            if size > 0:
                return size
            if on_blocked is not None:
                on_blocked()
            self._window_changed = trio.Event()
            with trio.move_on_after(timeout) as waiting:
                await self._window_changed.wait()
            if waiting.cancelled_caught:
                raise ProxyError(timeout_failure(Side.CLIENT))

    def largest_frame(self) -> int:
        return self._frames.largest_frame()

    async def flush(self, timeout: float) -> None:
        await self._frames.flush(timeout)

    def _check_open(self) -> None:
        if self.is_closed:
            raise StreamClosedError(CLOSED_EARLY)

    # --- the request ---

    async def run(self) -> None:
        """Serve the request."""
        try:
            with self.scope:
                await self._serve()
        finally:
            self._frames.stream_finished(self)

    async def _serve(self) -> None:
        state = self._state
        default = state.default
        selector = HostSelector(state.running, state.listener)
        selector.sni, selector.server = state.selector.sni, default
        self.log.action = READING_HEADERS
        try:
            head = read_http2_head(
                self._fields,
                self._length,
                default.head_rules,
                selector.select,
                ended=self._ended_at_once,
            )
        except BadRequestError as refused:
            await self._reject(refused, selector)
            return
        phases = self._begin(selector.server, head)
        ctx = phases.ctx
        if selector.captures is not None:
            ctx.set_captures(selector.captures)
        rejection = tls_rejection(ctx, ctx.connection.tls, self.log) if state.listener.ssl else None
        await self._respond(phases, rejection)

    def _begin(self, server: VirtualServer, head: ParsedHead) -> RequestPhases:
        phases = RequestPhases.begin(server, self.connection, head, self, self.log)
        if head.request.chunked or head.request.content_length:
            self.body = Http2BodyReader(
                self.data, self.log, lambda: self._frames.open_window(self.number)
            )
        if self.observer is not None:
            self.observer.request_read(phases.ctx)
        return phases

    async def _reject(self, refused: BadRequestError, selector: HostSelector) -> None:
        """Respond to a malformed head with an error page."""
        server = self._state.default
        if refused.name is not None:
            selector.select(refused.name)
            server = selector.server
        phases = self._begin(server, ParsedHead(refused.request(), refused.length, refused.notes))
        self.log.headers = refused.log_headers
        self.log.write(refused.level, refused.text)
        phases.ctx.refused = refused
        await self._respond(phases, SpecialResponse(refused.status))

    async def _respond(self, phases: RequestPhases, rejection: SpecialResponse | None) -> None:
        """Run the phases and send the response."""
        ctx, log = phases.ctx, self.log
        statistics = self._state.running.statistics
        counted = None if statistics is None else CountedState(statistics)
        if counted is not None:
            counted.enter(Statistic.WRITING, (Statistic.REQUESTS, 1))
        try:
            if phases.server.does_more:
                await respond_and_do_more(phases, partial(self._run, phases, rejection))
            else:
                await self._run(phases, rejection)
        except StreamClosedError as closed:
            if self._frames.is_closed:
                log.action = "sending response to client"
                log.write_failure(closed.failure)
        except ProxyError as failed:
            log.write_failure(failed.failure)
            self._end(PROTOCOL_ERROR)
        except BaseException:
            if self.scope.cancel_called and not (ctx.status and ctx.bytes_sent):
                ctx.status = CLIENT_CLOSED_REQUEST
            raise
        finally:
            if self.body is not None:
                self.body.close()
            if counted is not None:
                counted.enter(None)
            phases.finish(self._state.running, client_left=self.scope.cancel_called)

    async def _run(self, phases: RequestPhases, rejection: SpecialResponse | None) -> bool:
        ctx, log = phases.ctx, self.log
        response = await phases.run(rejection)
        if not response.allow_conditional:
            log.action = "sending to client"
        rate = ctx.location.filters.rate
        if rate.limit_rate is not None or rate.limit_rate_after is not None:
            limit_response(rate, ctx, log)
        return await self._send(ctx, response)

    async def _send(self, ctx: RequestContext, response: Response) -> bool:
        """Send the response; returns whether it was sent completely."""
        if response.upgraded is not None:
            # HTTP/2 has no Upgrade: the upstream switched protocols although no client asked.
            response.upgraded.close()
            response = Response(502, close_without_response=True)
        if self.observer is not None:
            response = self.observer.response_started(ctx, response)
        writer = self._new_writer()
        if ctx.background_tasks:
            complete = await write_beside_tasks(ctx, partial(writer.write, ctx, response))
        elif response.cancel_on_client_abort:
            with self._abort:
                complete = await writer.write(ctx, response)
        else:
            complete = await writer.write(ctx, response)
        if self.observer is not None:
            self.observer.response_sent(ctx)
        if complete:
            self._end(NO_ERROR)
        elif response.status in TIMED_OUT:
            self._end(PROTOCOL_ERROR)
        else:
            self._end(INTERNAL_ERROR)
        return complete

    def _new_writer(self) -> Http2ResponseWriter:
        # Not an attribute: it refers to the stream, and only the cyclic collector could free both.
        return Http2ResponseWriter(self, keep_head=self.observer is not None)

    def _end(self, code: int) -> None:
        """Reset the stream, unless both sides have ended it."""
        if not self.is_closed and not (self._ended and self.data.ended):
            self._frames.reset(self.number, NO_ERROR if self._ended else code)
