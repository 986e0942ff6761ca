"""The frames of one response of an HTTP/2 upstream, checked in nginx's words (pure).

nginx has one request at a time on a connection, and reads the frames by a parser of its own
(`ngx_http_grpc_module.c`, `ngx_http_proxy_v2_module.c`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..models import Header
from .http2_frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HAS_PRIORITY,
    HEADER,
    HEADERS,
    LARGEST_FRAME,
    LARGEST_WINDOW,
    PADDED,
    RST_STREAM,
    WINDOW_UPDATE,
)
from .response_head import EARLY_HINTS, ResponseHeadBuilder
from .upstream_control import ConnectionWindows, ControlFrames, UpstreamFrameError
from .upstream_fields import HeaderBlockDecoder, HeaderBlockError

CLOSED_STREAM: Final = "upstream prematurely closed stream"


class ResponseFrames(ControlFrames):
    """Reads the frames of one response: `read_head`, `begin_body`, `read_body` until `done`."""

    def __init__(
        self, windows: ConnectionWindows, *, limit: int, resets_to_start: bool = True
    ) -> None:
        """`limit` is the size of the buffer for the head, in bytes (`proxy_buffer_size`).

        nginx empties that buffer when it has read all frames before the head: completely if
        `resets_to_start` (gRPC), else what the last read has added.
        """
        super().__init__(windows)
        self.hints: list[Header] = []
        """The fields of early hints that `read_head` has found."""
        self.hints_size = 0
        """Bytes of all early hints, with the frames before them."""
        self._follows_hints = False
        """Whether what was read last were early hints."""
        self.head: ResponseHeadBuilder | None = None
        """The head, complete once `read_head` has returned True."""
        self.trailers: list[Header] = []
        self.ended_with_head = False
        """Whether the upstream has ended the stream with the head."""
        self.done = False
        """Whether the upstream has ended the stream."""
        self._limit = limit
        self._resets_to_start = resets_to_start
        self._filled = self._filled_before = 0
        """Bytes in nginx's buffer for the head, now and before the last read."""
        self._buffer = bytearray()
        self._position = 0
        self._in_body = False
        self._left: int | None = None
        """Bytes of the body that are missing by Content-Length; None if that is unknown."""
        self._in_payload = False
        self._kind = self._flags = self._id = 0
        """The present frame."""
        self._rest = self._padding = 0
        """Bytes of its payload that were not read yet, and how many of them are padding."""
        self._needs_padding = False
        """Whether the length of the padding is still to be read."""
        self._priority = 0
        """Bytes of a priority that are still to be read."""
        self._block: HeaderBlockDecoder | None = None
        """The header block that is being read."""
        self._ends_stream = False
        """Whether that block ends the stream."""
        self._was_reset = False

    @property
    def room(self) -> int:
        """Bytes that nginx's buffer for the head can take."""
        return self._limit - self._filled

    @property
    def unread(self) -> bytes:
        """What was received and not read yet."""
        return bytes(self._buffer[self._position :])

    @property
    def is_between_frames(self) -> bool:
        """Whether no part of a further frame was received."""
        return not self._in_payload and self._position == len(self._buffer)

    @property
    def is_finished(self) -> bool:
        """Whether the response has ended, and no frame after it is being read."""
        return self.done and not self._in_payload

    def feed(self, data: bytes) -> None:
        """Add received data."""
        del self._buffer[: self._position]
        self._position = 0
        self._buffer += data
        self._filled_before = self._filled
        self._filled += len(data)

    # --- the head ---

    def read_head(self) -> bool:
        """Read up to the end of the head, or of early hints: then `head.status` is 103.

        False if more data is needed. Raises `UpstreamFrameError` and `BadResponseError`.
        """
        if self._follows_hints:
            self._follows_hints, self.head = False, None
        while self._next_frame():
            if self._kind in (HEADERS, CONTINUATION):
                if self._read_block("header", self._take_head_field):
                    self._end_head()
                    return True
                if self._in_payload:
                    return self._needs_more()
            elif not self._read_other(self._refuse_reset):
                return self._needs_more()
        if self._block is None:
            self._filled = 0 if self._resets_to_start else self._filled_before
        return self._needs_more()

    def _needs_more(self) -> bool:
        if self._filled >= self._limit:
            raise UpstreamFrameError("upstream sent too big header")
        return False

    def _take_head_field(self, field: Header) -> None:
        name, value = field
        if name.startswith(":"):
            if name != ":status":
                raise UpstreamFrameError(f'upstream sent invalid header "{name}: {value}"')
            if self.head is not None:
                raise UpstreamFrameError("upstream sent duplicate :status header")
            self.head = ResponseHeadBuilder(_status(value))
        elif self.head is None:
            raise UpstreamFrameError("upstream sent no :status header")
        else:
            self.head.take(field)

    def _end_head(self) -> None:
        if self.head is None:
            # A block without fields: nginx has the status 0, and forwards it.
            self.head = ResponseHeadBuilder(0)
        self.ended_with_head = self._ends_stream
        if self.head.status == EARLY_HINTS:
            if self._ends_stream:
                raise UpstreamFrameError(CLOSED_STREAM)
            self.hints, self._follows_hints = self.head.headers, True
            left = len(self._buffer) - self._position
            self.hints_size += self._filled - left
            self._filled = left

    def _refuse_reset(self, code: int) -> None:
        raise UpstreamFrameError(f"upstream rejected request with error {code}")

    # --- the body ---

    def begin_body(self, length: int | None) -> None:
        """Prepare to read a body of `length` bytes: None if unknown, 0 if none may follow.

        Raises `UpstreamFrameError`.
        """
        self._in_body, self._left = True, length
        if self.ended_with_head:
            if length:
                raise UpstreamFrameError(CLOSED_STREAM)
            self.done = True

    def read_body(self) -> bytes:
        """The data of the body that has arrived; then `done` may be set.

        Raises `UpstreamFrameError`.
        """
        pieces: list[bytes] = []
        if self.ended_with_head:
            return b""
        while self._next_frame():
            if self._kind == DATA:
                self._read_data(pieces)
                if self._in_payload:
                    break
            elif self._kind in (HEADERS, CONTINUATION):
                if self._read_block("trailer", self._take_trailer):
                    if not self._ends_stream:
                        raise UpstreamFrameError("upstream sent trailer without end stream flag")
                    self.done = True
                elif self._in_payload:
                    break
            elif not self._read_other(self._take_reset):
                break
        if self.is_finished and self._left:
            raise UpstreamFrameError(CLOSED_STREAM)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _take_trailer(self, field: Header) -> None:
        name, value = field
        if name.startswith(":"):
            raise UpstreamFrameError(f'upstream sent invalid trailer "{name}: {value}"')
        self.trailers.append(field)

    def _take_reset(self, code: int) -> None:
        """Take an RST_STREAM: a complete response may be followed by one."""
        if code or not self.done:
            self._refuse_reset(code)
        if self._was_reset:
            raise UpstreamFrameError(f"upstream sent frame for closed stream {self._id}")
        self._was_reset = True

    def _read_data(self, pieces: list[bytes]) -> None:
        """Read what has arrived of a DATA frame."""
        if not self._read_padding_length():
            return
        data = self._take(self._rest - self._padding)
        if data:
            if self._left is not None:
                if len(data) > self._left:
                    raise UpstreamFrameError(
                        "upstream sent response body larger than indicated content length"
                    )
                self._left -= len(data)
            pieces.append(data)
        if self._skip_padding():
            self._in_payload = False
            self.done = bool(self._flags & END_STREAM)

    # --- frames ---

    def _next_frame(self) -> bool:
        """Whether a frame is being read; if not, read the beginning of the next one."""
        if self._in_payload:
            return True
        buffer, start = self._buffer, self._position
        arrived = len(buffer) - start
        if arrived >= 3:
            self._rest = int.from_bytes(buffer[start : start + 3], "big")
            if self._rest > LARGEST_FRAME:
                raise UpstreamFrameError(f"upstream sent too large http2 frame: {self._rest}")
        if arrived < HEADER:
            return False
        self._kind, self._flags = buffer[start + 3], buffer[start + 4]
        self._id = int.from_bytes(buffer[start + 5 : start + HEADER], "big") & LARGEST_WINDOW
        self._position += HEADER
        self._in_payload = True
        self._padding = self._priority = 0
        self._needs_padding = False
        self._check_frame()
        return True

    def _check_frame(self) -> None:
        """Check the frame by its first nine bytes."""
        kind, number, length = self._kind, self._id, self._rest
        if (kind == DATA and not self._in_body) or (
            (kind == CONTINUATION) != (self._block is not None)
        ):
            raise UpstreamFrameError(f"upstream sent unexpected http2 frame: {kind}")
        if kind == DATA:
            if number != self.stream:
                raise UpstreamFrameError(f"upstream sent data frame for unknown stream {number}")
            self.count_data(length)
        if number and number != self.stream:
            raise UpstreamFrameError(f"upstream sent frame for unknown stream {number}")
        if number and self.done and kind not in (RST_STREAM, WINDOW_UPDATE):
            raise UpstreamFrameError(f"upstream sent frame for closed stream {number}")
        if kind == DATA:
            self._needs_padding = bool(self._flags & PADDED)
            if self._needs_padding and not length:
                raise UpstreamFrameError("upstream sent too short http2 frame")
        elif kind == HEADERS:
            self._begin_block()
        elif kind == RST_STREAM:
            if length != 4:
                raise UpstreamFrameError(
                    f"upstream sent rst stream frame with invalid length: {length}"
                )
        elif kind != CONTINUATION:
            self.check_control(kind, self._flags, number, length)

    def _read_other(self, on_reset: Callable[[int], None]) -> bool:
        """Process a control frame or skip an unknown one; False if it has not arrived completely.

        `on_reset` is called with the code of an RST_STREAM.
        """
        payload = bytes(self._buffer[self._position : self._position + self._rest])
        if len(payload) < self._rest:
            return False
        self._take(self._rest)
        self._in_payload = False
        if self._kind == RST_STREAM:
            on_reset(int.from_bytes(payload, "big"))
        else:
            self.take_control(self._kind, self._flags, self._id, payload)
        return True

    def _take(self, length: int) -> bytes:
        """Take at most `length` bytes of the payload from the buffer."""
        start = self._position
        taken = bytes(self._buffer[start : start + length])
        self._position = start + len(taken)
        self._rest -= len(taken)
        return taken

    def _read_padding_length(self) -> bool:
        """Read the length of the padding, if there is one; False if it has not arrived."""
        if not self._needs_padding:
            return True
        length = self._take(1)
        if not length:
            return False
        self._needs_padding = False
        self._padding, left = length[0], self._rest - self._priority
        if self._padding > left:
            raise UpstreamFrameError(
                f"upstream sent http2 frame with too long padding: {self._padding} in frame {left}"
            )
        return True

    def _skip_padding(self) -> bool:
        """Skip the padding after everything else was read; False if some is missing."""
        if self._rest > self._padding:
            return False
        self._take(self._rest)
        self._padding = self._rest
        return not self._rest

    # --- header blocks ---

    def _begin_block(self) -> None:
        flags = self._flags
        self._needs_padding = bool(flags & PADDED)
        self._priority = 5 if flags & HAS_PRIORITY else 0
        if self._rest < self._priority + self._needs_padding:
            raise UpstreamFrameError(
                f"upstream sent headers frame with invalid length: {self._rest}",
                "upstream sent invalid trailer"
                if self._in_body
                else "upstream sent invalid header",
            )
        self._block = HeaderBlockDecoder(self._limit)
        self._ends_stream = bool(flags & END_STREAM)

    def _read_block(self, what: str, take: Callable[[Header], None]) -> bool:
        """Read what has arrived of a HEADERS or CONTINUATION frame, and call `take` with fields.

        True at the end of the block. `what` is its name in messages.
        """
        block = self._block
        assert block is not None
        try:
            if not self._read_padding_length():
                return False
        except UpstreamFrameError as error:
            raise UpstreamFrameError(*error.lines, f"upstream sent invalid {what}") from None
        self._priority -= len(self._take(self._priority))
        if self._priority:
            return False
        try:
            block.feed(self._take(self._rest - self._padding))
            while (field := block.next_field()) is not None:
                take(field)
            if not self._skip_padding():
                return False
            self._in_payload = False
            if not self._flags & END_HEADERS:
                return False
            if block.is_incomplete:
                raise HeaderBlockError("upstream sent truncated http2 header")
        except HeaderBlockError as error:
            raise UpstreamFrameError(str(error), f"upstream sent invalid {what}") from None
        self._block = None
        return True


def _status(value: str) -> int:
    """Parse the value of `:status`. Raises `UpstreamFrameError`."""
    if len(value) != 3 or not (value.isascii() and value.isdigit()):
        raise UpstreamFrameError(f'upstream sent invalid :status "{value}"')
    status = int(value)
    if status < 200 and status != EARLY_HINTS:
        raise UpstreamFrameError(f'upstream sent unexpected :status "{value}"')
    return status
