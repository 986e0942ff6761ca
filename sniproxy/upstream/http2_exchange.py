"""One request on an HTTP/2 connection to an upstream, whose body and response may overlap.

    request body ─► Http2Exchange.send ─► windows ─┐
                                                   ├─► flush ─► the connection
    response ◄─ receive ─► ResponseFrames ─► answers ┘

The body is sent by a task of its own, which goes on while the response is read (in nginx
`preserve_output`): gRPC streams in both directions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import trio

from ..context import UpstreamState
from ..http.http2_frames import LARGEST_FRAME
from ..http.upstream_control import ConnectionWindows
from ..http.upstream_frames import ResponseFrames
from ..logs.error import ConnectionLog
from ..models import (
    ClientAbortedError,
    Failure,
    FailureType,
    ProxyError,
    RequestBody,
    StreamedBody,
)
from ..tls.errors import timeout_failure
from ..tls.stream import SocketStream
from .request_writer import LATE, READING_HEAD, SENDING


@dataclass(slots=True)
class Http2Link:
    """What an HTTP/2 connection keeps from one request to the next."""

    module: str
    """The module that has opened it, by the prefix of its directives."""
    windows: ConnectionWindows


class Http2Exchange:
    """Sends the body of a request, and receives what answers it."""

    def __init__(
        self,
        stream: SocketStream,
        frames: ResponseFrames,
        state: UpstreamState,
        log: ConnectionLog,
        *,
        send_timeout: float,
        read_timeout: float,
    ) -> None:
        """`state` counts bytes; timeouts are in seconds."""
        self.frames = frames
        self.is_complete = False
        """Whether the request was sent completely."""
        self._stream = stream
        self._state = state
        self._log = log
        self._send_timeout = send_timeout
        self._read_timeout = read_timeout
        self._unsent = bytearray()
        self._is_flushing = False
        self._flushed = trio.Event()
        self._window_changed = trio.Event()
        self._scope: trio.CancelScope | None = None
        """Of the task that sends the body; None if there is none."""
        self._reading: trio.CancelScope | None = None
        """Of the present wait for the response."""
        self._awaits_head = True
        self._failure: Failure | ClientAbortedError | None = None
        """Why the body could not be sent."""

    # --- sending ---

    async def start(self, head: bytes, body: RequestBody | StreamedBody | None) -> None:
        """Send the head, and begin to send the body. Raises `ProxyError`."""
        self._unsent += head
        if body is None:
            self.is_complete = True
        elif not isinstance(body, StreamedBody) and body.length <= min(
            LARGEST_FRAME, self.frames.data_room
        ):
            data = b"".join(body.blocks())
            self._unsent += self.frames.data_frame(data, ends=True)
            self.is_complete = True
        else:
            self._scope = trio.CancelScope()
            trio.lowlevel.spawn_system_task(self._send_body, body, self._scope)
            return
        await self.flush()

    async def flush(self) -> None:
        """Send what waits, with the answers to control frames. Raises `ProxyError`.

        If the other task is sending already, it does that.
        """
        if self.frames.has_answers:
            self._unsent += self.frames.take_answers()
        if self._is_flushing:
            return
        self._is_flushing = True
        try:
            while self._unsent:
                data, self._unsent = self._unsent, bytearray()
                await self._stream.send_all(data, self._send_timeout)
                self._state.bytes_sent += len(data)
        finally:
            self._is_flushing = False
            self._flushed.set()
            self._flushed = trio.Event()

    async def _send_body(self, body: RequestBody | StreamedBody, scope: trio.CancelScope) -> None:
        with scope:
            try:
                await self.flush()
                if isinstance(body, StreamedBody):
                    await self._send_streamed(body)
                else:
                    await self._send_blocks(body)
            except ClientAbortedError as aborted:
                self._fail(aborted)
            except ProxyError as failed:
                self._fail(failed.failure)
            except trio.ClosedResourceError:
                pass
            else:
                self.is_complete = True
                if self._awaits_head and self._reading is not None:
                    self._reading.deadline = trio.current_time() + self._read_timeout

    async def _send_streamed(self, body: StreamedBody) -> None:
        left = body.length
        while piece := await body.read():
            left = None if left is None else left - len(piece)
            await self._send_piece(piece, ends=left == 0)
        if left != 0:
            await self._send_piece(b"", ends=True)

    async def _send_blocks(self, body: RequestBody) -> None:
        left = body.length
        for block in body.blocks():
            left -= len(block)
            await self._send_piece(block, ends=left == 0)

    async def _send_piece(self, piece: bytes, *, ends: bool) -> None:
        sent = 0
        if not piece:
            self._unsent += self.frames.data_frame(b"", ends=ends)
        while sent < len(piece):
            room = min(self.frames.data_room, LARGEST_FRAME, len(piece) - sent)
            if not room:
                await self._flush_all()
                await self._wait_for_window()
                continue
            data = piece[sent : sent + room]
            sent += room
            self._unsent += self.frames.data_frame(data, ends=ends and sent == len(piece))
        await self._flush_all()

    async def _flush_all(self) -> None:
        while self._unsent:
            if self._is_flushing:
                await self._flushed.wait()
            else:
                await self.flush()

    async def _wait_for_window(self) -> None:
        if self.frames.data_room:
            return
        self._window_changed = trio.Event()
        with trio.move_on_after(self._send_timeout) as waiting:
            await self._window_changed.wait()
        if waiting.cancelled_caught:
            raise ProxyError(timeout_failure(self._stream.side))

    def _fail(self, failure: Failure | ClientAbortedError) -> None:
        self._failure = failure
        if self._reading is not None:
            self._reading.cancel()

    def stop(self) -> None:
        """Stop sending the body."""
        if self._scope is not None:
            self._scope.cancel()

    # --- receiving ---

    async def receive(self, timeout: float, most: int) -> bytes:
        """Receive at most `most` bytes within `timeout` seconds; b"" at the end.

        Before the head of the response, time runs only when the request was sent. Raises
        `ProxyError` and `ClientAbortedError`, also if the body of the request cannot be sent.
        """
        if self._scope is None or self.is_complete:
            return await self._stream.receive_some(timeout, most, wait_first=self._awaits_head)
        if self._failure is not None:
            raise self._error(self._failure)
        waits = math.inf if self._awaits_head else timeout
        with trio.CancelScope() as self._reading:
            try:
                return await self._stream.receive_some(waits, most)
            finally:
                self._reading = None
        if self._failure is None:
            self._log.action = READING_HEAD
            raise ProxyError(LATE)
        raise self._error(self._failure)

    def _error(self, failure: Failure | ClientAbortedError) -> Exception:
        if isinstance(failure, ClientAbortedError):
            return failure
        self._log.action = SENDING
        return ProxyError(failure)

    @property
    def failed(self) -> bool:
        """Whether the body could not be sent."""
        return self._failure is not None

    def head_read(self) -> None:
        """Note that the head of the response was read."""
        self._awaits_head = False

    async def frames_read(self) -> None:
        """Answer what was read, and let the body go on in a larger window. Raises `ProxyError`."""
        self._window_changed.set()
        if self.frames.has_answers:
            await self.flush()


def invalid_response(text: str) -> Failure:
    """The failure of a response that breaks the protocol before its head is complete."""
    return Failure(text, kind=FailureType.INVALID_HEADER)
