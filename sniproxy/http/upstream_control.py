"""Frames that HTTP/2 upstreams send about a connection, and the windows for sending (pure).

nginx's `ngx_http_grpc_parse_settings`, `…_window_update`, `…_ping`, `…_goaway` and their sisters
of the proxy module, with their messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .http2_frames import (
    ACK,
    GOAWAY,
    LARGEST_WINDOW,
    PING,
    PREFACE,
    PUSH_PROMISE,
    SETTINGS,
    WINDOW_UPDATE,
    Frame,
    window_update,
)

DEFAULT_WINDOW: Final = 65535
_INITIAL_WINDOW: Final = 4
_MOST_UNANSWERED: Final = 1001
"""Number of SETTINGS, or of PING frames, that may arrive before answers were sent."""
_LENGTHS: Final = {WINDOW_UPDATE: ("window update", 4), PING: ("ping", 8)}
_ON_CONNECTION: Final = {SETTINGS: "settings", PING: "ping", GOAWAY: "goaway"}
_SETTINGS_ACK: Final = Frame(SETTINGS, ACK, 0, b"").raw

CONNECTION_START: Final = (
    PREFACE
    + Frame(SETTINGS, 0, 0, b"\0\1\0\0\0\0" + b"\0\2\0\0\0\0" + b"\0\4\x7f\xff\xff\xff").raw
    + window_update(0, LARGEST_WINDOW - DEFAULT_WINDOW)
)
"""What is sent first on a connection: no dynamic table, no push, the largest windows."""


class UpstreamFrameError(ValueError):
    """The upstream broke the protocol, or refused the request.

    `lines` are nginx's messages at level error, in their order; the last one is the failure.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__(lines[-1])
        self.lines = lines


@dataclass(slots=True)
class ConnectionWindows:
    """The windows of a connection to an upstream, and its last stream."""

    initial: int = DEFAULT_WINDOW
    """Window for sending on new streams (SETTINGS_INITIAL_WINDOW_SIZE of the upstream)."""
    to_send: int = DEFAULT_WINDOW
    to_receive: int = LARGEST_WINDOW
    last_stream: int = -1

    def next_stream(self) -> int:
        """The number of the next request's stream."""
        self.last_stream += 2
        return self.last_stream


class ControlFrames:
    """The state of one stream that control frames change, and the answers to them."""

    def __init__(self, windows: ConnectionWindows) -> None:
        self.windows = windows
        self.stream = windows.next_stream()
        self.send_window = windows.initial
        """Bytes that may be sent on the stream; negative if the upstream has reduced it."""
        self.goaway = False
        """Whether the upstream accepts no further requests on the connection."""
        self.free_buffers = 0
        """Frames that were sent since, whose memory nginx uses again."""
        self._receive_window = LARGEST_WINDOW
        self._answers = bytearray()
        self._queued = 0
        """Number of answers."""
        self._unanswered = {SETTINGS: 0, PING: 0}

    # --- for the sender ---

    @property
    def has_answers(self) -> bool:
        return bool(self._answers)

    def take_answers(self) -> bytes:
        """The answers to what was received; they count as sent."""
        answers = bytes(self._answers)
        self._answers.clear()
        self.free_buffers += self._queued
        self._queued = 0
        return answers

    def data_frame(self, data: bytes, *, ends: bool) -> bytes:
        """A DATA frame within the windows."""
        self.send_window -= len(data)
        self.windows.to_send -= len(data)
        self.free_buffers += 2
        return Frame(0, int(ends), self.stream, data).raw

    @property
    def data_room(self) -> int:
        """Bytes of data that may be sent."""
        return max(0, min(self.send_window, self.windows.to_send))

    # --- frames received ---

    def check_control(self, kind: int, flags: int, stream: int, length: int) -> None:
        """Check a control frame by its first nine bytes. Raises `UpstreamFrameError`."""
        if kind == PUSH_PROMISE:
            raise UpstreamFrameError("upstream sent unexpected push promise frame")
        name = _ON_CONNECTION.get(kind)
        if name is not None and stream:
            raise UpstreamFrameError(
                f"upstream sent {name} frame with non-zero stream id: {stream}"
            )
        if kind in _LENGTHS:
            name, expected = _LENGTHS[kind]
            if length != expected:
                raise _invalid_length(name, length)
        if kind == GOAWAY and length < 8:
            raise _invalid_length("goaway", length)
        if kind == SETTINGS:
            if flags & ACK and length:
                raise UpstreamFrameError(
                    f"upstream sent settings frame with ack flag and non-zero length: {length}"
                )
            if length % 6:
                raise _invalid_length("settings", length)
            if not flags & ACK:
                self._count_unanswered(kind, "settings")
        if kind == PING:
            if flags & ACK:
                raise UpstreamFrameError("upstream sent ping frame with ack flag")
            self._count_unanswered(kind, "ping")

    def _count_unanswered(self, kind: int, name: str) -> None:
        if self.free_buffers:
            return
        if self._unanswered[kind] >= _MOST_UNANSWERED:
            raise UpstreamFrameError(f"upstream sent too many {name} frames")
        self._unanswered[kind] += 1

    def take_control(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        """Process a control frame. Raises `UpstreamFrameError`."""
        if kind == GOAWAY:
            self._take_goaway(payload)
        elif kind == WINDOW_UPDATE:
            self._take_window_update(stream, payload)
        elif kind == PING:
            self._answer(Frame(PING, ACK, 0, payload).raw)
        elif kind == SETTINGS and not flags & ACK:
            for start in range(0, len(payload), 6):
                if int.from_bytes(payload[start : start + 2], "big") == _INITIAL_WINDOW:
                    self._change_window(int.from_bytes(payload[start + 2 : start + 6], "big"))
            self._answer(_SETTINGS_ACK)

    def _answer(self, frame: bytes) -> None:
        self._answers += frame
        self._queued += 1
        self.free_buffers = max(0, self.free_buffers - 1)

    def _take_goaway(self, payload: bytes) -> None:
        last = int.from_bytes(payload[:4], "big") & LARGEST_WINDOW
        if last < self.stream:
            code = int.from_bytes(payload[4:8], "big")
            raise UpstreamFrameError(f"upstream sent goaway with error {code}")
        self.goaway = True

    def _take_window_update(self, stream: int, payload: bytes) -> None:
        increment = int.from_bytes(payload, "big") & LARGEST_WINDOW
        window = self.send_window if stream else self.windows.to_send
        if increment > LARGEST_WINDOW - window:
            raise UpstreamFrameError("upstream sent too large window update")
        if stream:
            self.send_window += increment
        else:
            self.windows.to_send += increment

    def _change_window(self, value: int) -> None:
        change = value - self.windows.initial
        if value > LARGEST_WINDOW or (
            self.send_window > 0 and change > LARGEST_WINDOW - self.send_window
        ):
            raise UpstreamFrameError(
                f"upstream sent settings frame with too large initial window size: {value}"
            )
        self.windows.initial = value
        self.send_window += change

    def count_data(self, length: int) -> None:
        """Account for a DATA frame, and renew the windows. Raises `UpstreamFrameError`."""
        windows = self.windows
        for scope, window in (("stream", self._receive_window), ("connection", windows.to_receive)):
            if length > window:
                raise UpstreamFrameError(
                    f"upstream violated {scope} flow control, "
                    f"received {length} data frame with window {window}"
                )
        self._receive_window -= length
        windows.to_receive -= length
        if min(self._receive_window, windows.to_receive) < LARGEST_WINDOW // 4:
            self._answer(
                window_update(0, LARGEST_WINDOW - windows.to_receive)
                + window_update(self.stream, LARGEST_WINDOW - self._receive_window)
            )
            self._receive_window = windows.to_receive = LARGEST_WINDOW


def _invalid_length(name: str, length: int) -> UpstreamFrameError:
    return UpstreamFrameError(f"upstream sent {name} frame with invalid length: {length}")
