"""A client connection that speaks HTTP/2 (nginx's `ngx_http_v2.c`).

    socket ─► FrameReader (checks) ─► h2 (windows, settings) ─► Http2Stream, a task for each request
    socket ◄─ the task that writes ◄─ frames of all streams

`h2` keeps the windows and settings and makes the frames that are sent. Header blocks are decoded
and encoded here: their errors and their encoding are nginx's.
"""

from __future__ import annotations

import math
import time

import trio
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import H2Error, ProtocolError
from h2.settings import SettingCodes, Settings
from hpack import Decoder, HeaderTuple
from hpack.exceptions import HPACKError, OversizedHeaderListError

from ..connection_statistics import Statistic
from ..http import http2_frames as frames
from ..http.http2_fields import FieldDecoder, FieldEncoder, Fields
from ..http.http2_frames import Frame, FrameReader, Http2ConnectionError
from ..models import Header, Level, ProxyError, Side
from ..tls.errors import timeout_failure
from .client_state import ConnectionState
from .http2_stream import CLOSED_EARLY, Http2Stream
from .keepalive import lingering_close
from .request_reader import READ_SIZE

ACTION = "processing HTTP/2 connection"
_MOST_UNSENT = 65536
"""Bytes that may wait to be sent before the tasks that send more have to wait."""
_SKIPPED_DATA = 2**29
"""Bytes of data for closed streams after which the connection's window is renewed."""
_AFTER_BEGIN = frozenset((frames.DATA, frames.RST_STREAM, frames.SETTINGS, frames.WINDOW_UPDATE))
"""Frames that a new stream must not see before it has begun."""


class _DecodedBefore(Decoder):
    """The decoder that h2 uses: `FieldDecoder` has decoded the fields of a new stream before."""

    def decode(self, data: bytes, raw: bool = False) -> list[HeaderTuple]:
        """Return no fields."""
        return []


class Http2Connection:
    """Serves the requests of an HTTP/2 connection, each in a task of its own."""

    def __init__(self, state: ConnectionState, received: bytes = b"") -> None:
        """`received` is what was read from the socket already."""
        self.state = state
        settings = state.default.settings.http2
        self._most_streams = settings.http2_max_concurrent_streams
        self._preread_size = settings.http2_body_preread_size
        self._core = state.default.default_location.settings.core
        self._header_timeout = state.default.settings.core.client_header_timeout
        self._streams: dict[int, Http2Stream] = {}
        self._reader = FrameReader()
        self._reader.buffer += received
        self._h2 = H2Connection(
            H2Configuration(
                client_side=False,
                header_encoding=None,
                validate_inbound_headers=False,
                normalize_inbound_headers=False,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self._h2.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: 2**31,  # counted here, with nginx's answer
                SettingCodes.INITIAL_WINDOW_SIZE: self._preread_size,
            },
        )
        self._h2.encoder = FieldEncoder()  # type: ignore[assignment]
        self._h2.decoder = _DecodedBefore()
        count, largest = state.default.settings.core.large_client_header_buffers
        self._largest_block = count * largest
        self._decoder = FieldDecoder(8 * self._largest_block)
        self._block = bytearray()
        """The header block so far, if more of it follows."""
        self._block_ends = False
        """Whether the stream of that block has no body."""
        self._unsent = bytearray()
        self._is_sending = False
        self._to_send = trio.Event()
        self._sent = trio.Event()
        self._reading = trio.CancelScope()
        self._goaway_sent = False
        self._refused = 0
        self._new_streams = 0
        self._priorities_left = max(self._most_streams, 100)
        self._skipped = 0
        self._has_new = False
        """Whether there are streams whose tasks have not begun."""
        self._settings_acknowledged = False
        self.is_closed = False

    async def serve(self) -> None:
        """Serve requests until the connection is closed."""
        log = self.state.log
        log.action = ACTION
        self._h2.initiate_connection()
        self._h2.clear_outbound_data_buffer()
        self._write(frames.settings_frame(self._most_streams, self._preread_size))
        increment = frames.LARGEST_WINDOW - 65535
        self._h2.increment_flow_control_window(increment)
        self._take_output()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send_all)
            try:
                await self._receive_all(nursery)
            except Http2ConnectionError as error:
                await self._let_new_begin()
                log.write(Level.INFO, str(error))
                self._goaway(error.code)
            except ProxyError as failed:
                log.write_failure(failed.failure)
            finally:
                self.is_closed = True
                for stream in tuple(self._streams.values()):
                    stream.close()
            with trio.move_on_after(self._core.send_timeout):
                while self._unsent or self._is_sending or self._streams:
                    await self._wait_sent()
            nursery.cancel_scope.cancel()
        await lingering_close(self.state.stream, self._core, unread=True)

    def stop(self) -> None:
        """Accept no more requests, and close when those in progress are finished."""
        self._goaway(frames.NO_ERROR)
        if not self._streams:
            self._reading.cancel()

    # --- receiving ---

    async def _receive_all(self, nursery: trio.Nursery) -> None:
        """Receive frames until the connection is to be closed."""
        state, stream = self.state, self.state.stream
        preface = await self._preface()
        if not preface:
            return
        with self._reading:
            while True:
                self._new_streams = 0
                for frame in self._reader.frames():
                    await self._take(frame, nursery)
                    self._take_output()
                if self._is_done():
                    return
                if len(self._unsent) > _MOST_UNSENT:
                    await self.flush(self._core.send_timeout)
                self._set_deadline()
                state.waiting = not self._streams
                if state.counted is not None:
                    state.counted.enter(Statistic.WAITING if state.waiting else None)
                data = await stream.receive_some(math.inf, READ_SIZE)
                state.waiting = False
                if state.counted is not None:
                    state.counted.enter(None)
                if not data:
                    if self._streams or self._reader.buffer:
                        state.log.write_failure(CLOSED_EARLY)
                    return
                self._reading.deadline = math.inf
                self._reader.buffer += data
        if self._reading.cancelled_caught and not self._is_done():
            if self._reader.buffer or self._block:
                raise ProxyError(timeout_failure(Side.CLIENT))
            self._goaway(frames.NO_ERROR)

    async def _preface(self) -> bool:
        """Read the preface; False if the client closes instead."""
        buffer = self._reader.buffer
        state = self.state
        assert state.head_deadline is not None
        while len(buffer) < len(frames.PREFACE) and frames.PREFACE.startswith(bytes(buffer)):
            timeout = state.head_deadline - trio.current_time()
            data = await state.stream.receive_some(timeout, READ_SIZE)
            if not data:
                if buffer:
                    state.log.write_failure(CLOSED_EARLY)
                return False
            buffer += data
        if not buffer.startswith(frames.PREFACE):
            raise Http2ConnectionError("invalid connection preface")
        self._h2.receive_data(frames.PREFACE)
        del buffer[: len(frames.PREFACE)]
        return True

    def _is_done(self) -> bool:
        return self._goaway_sent and not self._streams

    def _set_deadline(self) -> None:
        """Limit the wait for the next frames: by the rest of one, else if there is no request."""
        now = trio.current_time()
        if self._reader.buffer or self._block:
            self._reading.deadline = now + self._header_timeout
        elif self._streams:
            self._reading.deadline = math.inf
        elif self.state.connection.requests:
            self._reading.deadline = now + self._core.keepalive_timeout[0]
        else:
            assert self.state.head_deadline is not None
            self._reading.deadline = self.state.head_deadline

    async def _take(self, frame: Frame, nursery: trio.Nursery) -> None:
        """Process a frame. Raises `Http2ConnectionError`."""
        kind = frame.kind
        if self._has_new and kind in _AFTER_BEGIN:
            await self._let_new_begin()
        if kind == frames.DATA:
            self._take_data(frame)
        elif kind == frames.HEADERS:
            self._block_ends = bool(frame.flags & frames.END_STREAM)
            await self._take_block(frames.header_block(frame), frame, nursery)
        elif kind == frames.CONTINUATION:
            await self._take_block(frame.payload, frame, nursery)
        elif kind == frames.SETTINGS:
            if frame.flags & frames.ACK:
                self._settings_acknowledged = True
            self._feed(frame)
            self._windows_changed()
        elif kind == frames.PING:
            if not frame.flags & frames.ACK:
                self._feed(frame)
        elif kind == frames.WINDOW_UPDATE:
            self._take_window(frame)
        elif kind == frames.RST_STREAM:
            self._take_reset(frame)
        elif kind == frames.PRIORITY:
            self._priorities_left -= 1
            if not self._priorities_left:
                raise Http2ConnectionError(
                    "client sent too many PRIORITY frames", frames.ENHANCE_YOUR_CALM
                )
        elif kind > frames.CONTINUATION:
            self.state.log.write(Level.INFO, f"client sent frame with unknown type {kind}")

    async def _let_new_begin(self) -> None:
        """Let new streams run until they wait: in nginx they do before the next frame is read."""
        self._has_new = False
        # A new task may run after the one that started it in the next round of the scheduler.
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()

    def _feed(self, frame: Frame) -> None:
        """Let h2 process a frame, which was checked."""
        try:
            self._h2.receive_data(frame.raw)
        except ProtocolError as error:
            # h2 has added a GOAWAY of its own.
            self._h2.clear_outbound_data_buffer()
            raise Http2ConnectionError(
                f"client sent invalid frame: {error}", error.error_code
            ) from None

    def _take_data(self, frame: Frame) -> None:
        length = len(frame.payload)
        stream = self._streams.get(frame.stream)
        if length > self._h2.inbound_flow_control_window - self._skipped:
            raise Http2ConnectionError(
                f"client violated connection flow control: received DATA frame length {length}, "
                f"available window {self._h2.inbound_flow_control_window - self._skipped}",
                frames.FLOW_CONTROL_ERROR,
            )
        if stream is None or stream.is_closed:
            self._skip(length)
            return
        if stream.data.ended:
            self.state.log.write(
                Level.INFO, f"client sent DATA frame for half-closed stream {frame.stream}"
            )
            self._skip(length)
            self._break(stream, 5)
            return
        window = self._h2.remote_flow_control_window(frame.stream)
        if length > window:
            self.state.log.write(
                Level.INFO,
                f"client violated flow control for stream {frame.stream}: "
                f"received DATA frame length {length}, available window {window}",
            )
            self._skip(length)
            self._break(stream, frames.FLOW_CONTROL_ERROR)
            return
        self._feed(frame)
        data = frames.body_data(frame)
        if len(data) < length:
            self.consumed(frame.stream, length - len(data))
        stream.data.feed(data, ended=bool(frame.flags & frames.END_STREAM))

    def _skip(self, length: int) -> None:
        """Account for data that no stream takes."""
        self._skipped += length
        if self._skipped >= _SKIPPED_DATA:
            self._write(frames.window_update(0, self._skipped))
            self._skipped = 0

    def _break(self, stream: Http2Stream, code: int) -> None:
        """End a stream because of an error of the client."""
        self.reset(stream.number, code)
        stream.close()

    def _take_window(self, frame: Frame) -> None:
        increment = int.from_bytes(frame.payload, "big") & frames.LARGEST_WINDOW
        if not frame.stream:
            if not increment:
                raise Http2ConnectionError(
                    "client sent WINDOW_UPDATE frame with incorrect window increment 0"
                )
            window = self._h2.outbound_flow_control_window
            if window + increment > frames.LARGEST_WINDOW:
                raise Http2ConnectionError(
                    "client violated connection flow control: received WINDOW_UPDATE frame with "
                    f"window increment {increment} not allowed for window {window}",
                    frames.FLOW_CONTROL_ERROR,
                )
            self._feed(frame)
            self._windows_changed()
            return
        stream = self._streams.get(frame.stream)
        if stream is None or stream.is_closed:
            return
        if not increment:
            self.state.log.write(
                Level.INFO, "client sent WINDOW_UPDATE frame with incorrect window increment 0"
            )
            self._break(stream, frames.PROTOCOL_ERROR)
            return
        window = self._h2.streams[frame.stream].outbound_flow_control_window
        if window + increment > frames.LARGEST_WINDOW:
            self.state.log.write(
                Level.INFO,
                f"client violated flow control for stream {frame.stream}: received WINDOW_UPDATE "
                f"frame with window increment {increment} not allowed for window {window}",
            )
            self._break(stream, frames.FLOW_CONTROL_ERROR)
            return
        self._feed(frame)
        stream.window_changed()

    def _windows_changed(self) -> None:
        for stream in self._streams.values():
            stream.window_changed()

    def _take_reset(self, frame: Frame) -> None:
        stream = self._streams.get(frame.stream)
        if stream is None or stream.is_closed:
            return
        code = int.from_bytes(frame.payload, "big")
        text = f"client terminated stream {frame.stream} with status {code}"
        if code == frames.CANCEL:
            text = f"client canceled stream {frame.stream}"
        elif code == frames.INTERNAL_ERROR:
            text = f"client terminated stream {frame.stream} due to internal error"
        stream.log.write(Level.INFO, text)
        self._feed(frame)
        stream.close()

    # --- header blocks ---

    async def _take_block(self, fragment: bytes, frame: Frame, nursery: trio.Nursery) -> None:
        self._block += fragment
        if len(self._block) > self._largest_block:
            raise Http2ConnectionError(
                "client sent too large header field", frames.ENHANCE_YOUR_CALM
            )
        if self._reader.continues:
            return
        block = bytes(self._block)
        self._block.clear()
        fields = self._decoded(block)
        if self._has_new and len(self._streams) >= self._most_streams:
            await self._let_new_begin()  # some may end at once
        if self._goaway_sent:
            return
        if self._refusal(frame.stream):
            if self._refused > max(self._most_streams, 100):
                raise Http2ConnectionError("client sent too many refused streams", frames.NO_ERROR)
            self._refused += 1
            refusal = Frame(frames.RST_STREAM, 0, frame.stream, b"\0\0\0\x07")
            self._write(refusal.raw)
            return
        self._open(frame.stream, fields, len(block), nursery)

    def _decoded(self, block: bytes) -> list[Header]:
        try:
            fields = self._decoder.decode(block)
        except OversizedHeaderListError:
            raise Http2ConnectionError(
                "client sent too large header field", frames.ENHANCE_YOUR_CALM
            ) from None
        except HPACKError:
            raise Http2ConnectionError(
                "client sent invalid encoded header field", frames.COMPRESSION_ERROR
            ) from None
        _, largest = self.state.default.settings.core.large_client_header_buffers
        for name, value in fields:
            if not name:
                raise Http2ConnectionError("client sent zero header name length")
            if len(name) + len(value) > largest:
                raise Http2ConnectionError(
                    "client sent too large header field", frames.ENHANCE_YOUR_CALM
                )
        return fields

    def _refusal(self, number: int) -> bool:
        """Whether a new stream is refused, which is logged."""
        log = self.state.log
        if len(self._streams) >= self._most_streams:
            log.write(Level.INFO, f"concurrent streams exceeded {len(self._streams)}")
            return True
        self._new_streams += 1
        if self._new_streams > 2 * self._most_streams:
            log.write(Level.INFO, "client sent too many streams at once")
            return True
        if not self._settings_acknowledged and not self._block_ends and self._preread_size < 65535:
            log.write(Level.INFO, "client sent stream with data before settings were acknowledged")
            return True
        return False

    def _open(self, number: int, fields: list[Header], length: int, nursery: trio.Nursery) -> None:
        connection, core = self.state.connection, self._core
        ended = self._block_ends
        flags = frames.END_HEADERS | (frames.END_STREAM if ended else 0)
        self._feed(Frame(frames.HEADERS, flags, number, b""))
        connection.requests += 1
        stream = Http2Stream(self, number, fields, length, ended=ended)
        self._streams[number] = stream
        self._priorities_left += 1
        if (
            core.keepalive_timeout[0] <= 0
            or connection.requests >= core.keepalive_requests
            or self._age() > core.keepalive_time
            or self.state.running.stopping
        ):
            self._goaway(frames.NO_ERROR)
        self._has_new = True
        nursery.start_soon(stream.run)

    def _age(self) -> float:
        return time.time() - self.state.connection.started_at

    # --- sending, for the streams (`http2_stream.StreamFrames`) ---

    def send_headers(self, stream: int, fields: Fields, *, ends: bool) -> int:
        self._h2.send_headers(stream, fields, end_stream=ends)
        length = self._take_output()
        self._reader.useful += length - frames.HEADER
        return length

    def send_data(self, stream: int, data: bytes, *, ends: bool) -> int:
        self._h2.send_data(stream, data, end_stream=ends)
        self._reader.useful += len(data)
        return self._take_output()

    def send_window(self, stream: int) -> int:
        """Bytes of data that may be sent on a stream."""
        return self._h2.local_flow_control_window(stream)

    def largest_frame(self) -> int:
        """The largest payload of a frame that the client takes."""
        return self._h2.max_outbound_frame_size

    def consumed(self, stream: int, length: int) -> None:
        """Renew the window of data that was read."""
        if self.is_closed or length <= 0:
            return
        try:
            self._h2.acknowledge_received_data(length, stream)
        except H2Error:
            return  # the stream is closed
        self._take_output()

    def open_window(self, stream: int) -> None:
        """Let the client send a complete body."""
        if self.is_closed or stream not in self._streams or self._streams[stream].data.ended:
            return
        window = self._h2.remote_flow_control_window(stream)
        try:
            self._h2.increment_flow_control_window(frames.LARGEST_WINDOW - window, stream)
        except H2Error:
            return
        self._take_output()

    def reset(self, stream: int, code: int) -> None:
        """Send RST_STREAM."""
        if self.is_closed:
            return
        try:
            self._h2.reset_stream(stream, ErrorCodes(code))
        except H2Error:
            return  # it is closed already
        self._take_output()

    async def flush(self, timeout: float) -> None:
        """Wait until the client has taken so much that more may be sent. Raises `ProxyError`."""
        if len(self._unsent) <= _MOST_UNSENT:
            return
        with trio.move_on_after(timeout) as waiting:
            while len(self._unsent) > _MOST_UNSENT and not self.is_closed:
                await self._wait_sent()
        if waiting.cancelled_caught:
            raise ProxyError(timeout_failure(Side.CLIENT))

    def stream_finished(self, stream: Http2Stream) -> None:
        """Forget a stream whose task ends."""
        self._streams.pop(stream.number, None)
        self.consumed(stream.number, len(stream.data.buffer))
        self._sent.set()
        if self._streams or self.is_closed:
            return
        if self._is_done():
            self._reading.cancel()
        else:
            self._set_deadline()

    async def _wait_sent(self) -> None:
        if self._sent.is_set():
            self._sent = trio.Event()
        await self._sent.wait()

    def _goaway(self, code: int) -> None:
        if self._goaway_sent and code == frames.NO_ERROR:
            return
        self._goaway_sent = True
        self._write(frames.goaway(self._reader.last_stream, code))

    def _take_output(self) -> int:
        """Take over what h2 has to send; returns its length."""
        data = self._h2.data_to_send()
        if data:
            self._write(data)
        return len(data)

    def _write(self, data: bytes) -> None:
        self._reader.total += len(data)
        self._unsent += data
        self._to_send.set()

    async def _send_all(self) -> None:
        """Send what the streams write, until cancelled."""
        stream = self.state.stream
        while True:
            await self._to_send.wait()
            self._to_send = trio.Event()
            data, self._unsent = self._unsent, bytearray()
            self._is_sending = True
            try:
                await stream.send_all(data, self._core.send_timeout)
            except ProxyError as failed:
                self.state.log.write_failure(failed.failure)
                self.is_closed = True
                for each in tuple(self._streams.values()):
                    each.close()
                self._reading.cancel()
                self._is_sending = False
                self._unsent.clear()
                self._sent.set()
                return
            self._is_sending = False
            self._sent.set()
