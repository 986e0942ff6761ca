"""Split what an HTTP/2 client sends into frames, and check them in nginx's words (pure).

The library `h2` would refuse some frames that nginx accepts, and has other messages. So each frame
is checked here first, and `h2` receives only valid ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER: Final = 9
LARGEST_FRAME: Final = 16384
"""Largest payload that is accepted (SETTINGS_MAX_FRAME_SIZE)."""
LARGEST_WINDOW: Final = 2**31 - 1

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE = range(6)
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(6, 10)
END_STREAM = ACK = 0x01
END_HEADERS, PADDED, HAS_PRIORITY = 0x04, 0x08, 0x20

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = range(4)
FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 6, 7, 8, 9, 11

_FLOOD_TOLERANCE: Final = 1048576
_SETTING_WINDOW, _SETTING_FRAME, _SETTING_PUSH = 4, 5, 2


class Frame(NamedTuple):
    """A frame with its payload."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def raw(self) -> bytes:
        """The frame as sent."""
        head = len(self.payload).to_bytes(3, "big") + bytes((self.kind, self.flags))
        return head + self.stream.to_bytes(4, "big") + self.payload


class Http2ConnectionError(Exception):
    """The connection is closed with GOAWAY; `str(error)` is the log message."""

    def __init__(self, text: str, code: int = PROTOCOL_ERROR) -> None:
        super().__init__(text)
        self.code = code


class FrameReader:
    """Splits received data into frames, checks each by itself, and detects floods."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.total = 0
        """Bytes of all frames received and of answers sent."""
        self.useful = 0
        """Bytes of those that were fields and bodies."""
        self.last_stream = 0
        """The highest stream that the client has opened."""
        self.continues = 0
        """The stream whose header block is incomplete; 0 for none."""

    def frames(self) -> Iterator[Frame]:
        """Iterate over the complete frames in the buffer. Raises `Http2ConnectionError`."""
        buffer, position = self.buffer, 0
        try:
            while len(buffer) - position >= HEADER:
                length = int.from_bytes(buffer[position : position + 3], "big")
                kind, flags = buffer[position + 3], buffer[position + 4]
                stream = int.from_bytes(buffer[position + 5 : position + 9], "big") & LARGEST_WINDOW
                if length > LARGEST_FRAME:
                    raise Http2ConnectionError(
                        f"client sent too large frame: {length}", FRAME_SIZE_ERROR
                    )
                end = position + HEADER + length
                if len(buffer) < end:
                    return
                frame = Frame(kind, flags, stream, bytes(buffer[position + HEADER : end]))
                position = end
                self._count(frame)
                self._check(frame)
                yield frame
        finally:
            del buffer[:position]

    def _count(self, frame: Frame) -> None:
        self.total += HEADER + len(frame.payload)
        if frame.kind in (DATA, HEADERS, CONTINUATION):
            self.useful += len(frame.payload)
        self.check_flood()

    def check_flood(self) -> None:
        """Raise `Http2ConnectionError` if nearly everything received is of no use."""
        if self.total // 8 > self.useful + _FLOOD_TOLERANCE:
            raise Http2ConnectionError("http2 flood detected", NO_ERROR)

    def _check(self, frame: Frame) -> None:
        kind, stream = frame.kind, frame.stream
        if self.continues:
            if kind != CONTINUATION:
                raise Http2ConnectionError(
                    "client sent inappropriate frame while CONTINUATION was expected"
                )
            if stream != self.continues:
                raise Http2ConnectionError(
                    "client sent CONTINUATION frame with incorrect identifier"
                )
        elif kind == CONTINUATION:
            raise Http2ConnectionError("client sent unexpected CONTINUATION frame")
        check = _CHECKS.get(kind)
        if check is not None:
            check(self, frame)
        if kind in (HEADERS, CONTINUATION):
            self.continues = 0 if frame.flags & END_HEADERS else stream

    def _check_data(self, frame: Frame) -> None:
        if not frame.stream:
            raise Http2ConnectionError("client sent DATA frame with incorrect identifier")
        if frame.flags & PADDED:
            length = len(frame.payload)
            if not length:
                raise Http2ConnectionError(
                    "client sent padded DATA frame with incorrect length: 0", FRAME_SIZE_ERROR
                )
            if frame.payload[0] >= length:
                raise Http2ConnectionError(
                    "client sent padded DATA frame with incorrect length: "
                    f"{length - 1}, padding: {frame.payload[0]}"
                )

    def _check_headers(self, frame: Frame) -> None:
        flags, length = frame.flags, len(frame.payload)
        before = (1 if flags & PADDED else 0) + (5 if flags & HAS_PRIORITY else 0)
        if length < before:
            raise Http2ConnectionError(
                f"client sent HEADERS frame with incorrect length {length}", FRAME_SIZE_ERROR
            )
        if length == before:
            raise Http2ConnectionError(
                "client sent HEADERS frame with empty header block", FRAME_SIZE_ERROR
            )
        if flags & PADDED and frame.payload[0] >= length - before:
            raise Http2ConnectionError(
                "client sent padded HEADERS frame with incorrect length: "
                f"{length - before}, padding: {frame.payload[0]}"
            )
        if not frame.stream % 2 or frame.stream <= self.last_stream:
            raise Http2ConnectionError(
                f"client sent HEADERS frame with incorrect identifier {frame.stream}, "
                f"the last was {self.last_stream}"
            )
        self.last_stream = frame.stream

    def _check_priority(self, frame: Frame) -> None:
        _check_length(frame, "PRIORITY", 5)
        if not frame.stream:
            raise Http2ConnectionError("client sent PRIORITY frame with incorrect identifier")
        if int.from_bytes(frame.payload[:4], "big") & LARGEST_WINDOW == frame.stream:
            raise Http2ConnectionError(
                f"client sent PRIORITY frame for stream {frame.stream} with incorrect dependency"
            )

    def _check_reset(self, frame: Frame) -> None:
        _check_length(frame, "RST_STREAM", 4)
        if not frame.stream:
            raise Http2ConnectionError("client sent RST_STREAM frame with incorrect identifier")

    def _check_settings(self, frame: Frame) -> None:
        payload = frame.payload
        if frame.stream:
            raise Http2ConnectionError("client sent SETTINGS frame with incorrect identifier")
        if frame.flags & ACK and payload:
            raise Http2ConnectionError(
                "client sent SETTINGS frame with the ACK flag and nonzero length", FRAME_SIZE_ERROR
            )
        if len(payload) % 6:
            raise Http2ConnectionError(
                f"client sent SETTINGS frame with incorrect length {len(payload)}", FRAME_SIZE_ERROR
            )
        for start in range(0, len(payload), 6):
            key = int.from_bytes(payload[start : start + 2], "big")
            value = int.from_bytes(payload[start + 2 : start + 6], "big")
            name, code = "", PROTOCOL_ERROR
            if key == _SETTING_WINDOW and value > LARGEST_WINDOW:
                name, code = "INITIAL_WINDOW_SIZE", FLOW_CONTROL_ERROR
            elif key == _SETTING_FRAME and not 16384 <= value <= 16777215:
                name = "MAX_FRAME_SIZE"
            elif key == _SETTING_PUSH and value > 1:
                name = "ENABLE_PUSH"
            if name:
                raise Http2ConnectionError(
                    f"client sent SETTINGS frame with incorrect {name} value {value}", code
                )

    def _check_push(self, frame: Frame) -> None:
        raise Http2ConnectionError("client sent PUSH_PROMISE frame")

    def _check_ping(self, frame: Frame) -> None:
        _check_length(frame, "PING", 8)
        if frame.stream:
            raise Http2ConnectionError("client sent PING frame with incorrect identifier")

    def _check_goaway(self, frame: Frame) -> None:
        if len(frame.payload) < 8:
            _check_length(frame, "GOAWAY", 8)
        if frame.stream:
            raise Http2ConnectionError("client sent GOAWAY frame with incorrect identifier")

    def _check_window(self, frame: Frame) -> None:
        _check_length(frame, "WINDOW_UPDATE", 4)


def _check_length(frame: Frame, name: str, length: int) -> None:
    if len(frame.payload) != length:
        raise Http2ConnectionError(
            f"client sent {name} frame with incorrect length {len(frame.payload)}", FRAME_SIZE_ERROR
        )


_CHECKS: Final = {
    DATA: FrameReader._check_data,
    HEADERS: FrameReader._check_headers,
    PRIORITY: FrameReader._check_priority,
    RST_STREAM: FrameReader._check_reset,
    SETTINGS: FrameReader._check_settings,
    PUSH_PROMISE: FrameReader._check_push,
    PING: FrameReader._check_ping,
    GOAWAY: FrameReader._check_goaway,
    WINDOW_UPDATE: FrameReader._check_window,
}


def header_block(frame: Frame) -> bytes:
    """The fragment of a header block in a HEADERS frame, without padding and priority."""
    start, end = 0, len(frame.payload)
    if frame.flags & PADDED:
        start, end = 1, end - frame.payload[0]
    return frame.payload[start + (5 if frame.flags & HAS_PRIORITY else 0) : end]


def body_data(frame: Frame) -> bytes:
    """The body data in a DATA frame, without padding."""
    if frame.flags & PADDED:
        return frame.payload[1 : len(frame.payload) - frame.payload[0]]
    return frame.payload


def settings_frame(streams: int, window: int) -> bytes:
    """The SETTINGS frame of a server."""
    values = ((3, streams), (_SETTING_WINDOW, window))
    payload = b"".join(key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in values)
    return Frame(SETTINGS, 0, 0, payload).raw


def window_update(stream: int, increment: int) -> bytes:
    """A WINDOW_UPDATE frame; stream 0 is the connection."""
    return Frame(WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big")).raw


def goaway(last_stream: int, code: int) -> bytes:
    """A GOAWAY frame."""
    payload = last_stream.to_bytes(4, "big") + code.to_bytes(4, "big")
    return Frame(GOAWAY, 0, 0, payload).raw
