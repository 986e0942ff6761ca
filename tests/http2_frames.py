"""A client that sends any HTTP/2 frames, on hyperframe and hpack, and prints those it receives."""

from __future__ import annotations

import re
from collections.abc import Sequence

import trio
from hpack import Decoder
from hpack.hpack import encode_integer
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
START = PREFACE + SettingsFrame(0).serialize()
PING = PingFrame(0, b"the last").serialize()
PATIENCE = 10.0

Fields = Sequence[tuple[str, str]]


def fields(*more: tuple[str, str], **changed: str | None) -> list[tuple[str, str]]:
    """The fields of a GET request, with pseudo-fields changed or (by None) left out."""
    pseudo: dict[str, str | None] = {
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "authority": "h.test",
    }
    pseudo.update(changed)
    own = [(f":{name}", value) for name, value in pseudo.items() if value is not None]
    return [*own, *more]


def headers(stream: int, sent: Fields, *, ends: bool = True, complete: bool = True) -> bytes:
    """A HEADERS frame; each is encoded by itself, without the dynamic table."""
    block = b""
    for name, value in sent:
        block += b"\x00" + _literal(name.encode("latin-1")) + _literal(value.encode("latin-1"))
    frame = HeadersFrame(stream, block)
    if complete:
        frame.flags.add("END_HEADERS")
    if ends:
        frame.flags.add("END_STREAM")
    return frame.serialize()


def _literal(text: bytes) -> bytes:
    return bytes(encode_integer(len(text), 7)) + text


def data(stream: int, content: bytes, *, ends: bool = False, padding: int = 0) -> bytes:
    frame = DataFrame(stream, content, pad_length=padding)
    if padding:
        frame.flags.add("PADDED")
    if ends:
        frame.flags.add("END_STREAM")
    return frame.serialize()


def settings(**values: int) -> bytes:
    """A SETTINGS frame; values by hyperframe's names."""
    numbers = {getattr(SettingsFrame, name): value for name, value in values.items()}
    return SettingsFrame(0, numbers).serialize()


def reset(stream: int, code: int = 8) -> bytes:
    return RstStreamFrame(stream, code).serialize()


def window(stream: int, increment: int) -> bytes:
    return WindowUpdateFrame(stream, increment).serialize()


def raw(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Any frame, valid or not."""
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags))
    return head + stream.to_bytes(4, "big") + payload


async def exchange(
    port: int, sent: bytes, *, streams: int = 0, tail: bytes = b"", piece: int = 0
) -> list[str]:
    """Send frames; returns what is received, a line for each frame.

    Ends when the server closes, or answers a PING sent after `streams` streams have ended. `tail`
    is sent in front of that PING. `piece` splits what is sent.
    """
    with trio.fail_after(PATIENCE):
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        async with stream:
            reader = _FrameReader(stream)
            try:
                for start in range(0, len(sent), piece or len(sent)):
                    await stream.send_all(sent[start : start + (piece or len(sent))])
                while reader.ended < streams and await reader.read():
                    pass
                if not reader.closed:
                    await stream.send_all(tail + PING)
                while not reader.is_answered and await reader.read():
                    pass
            except trio.BrokenResourceError:
                reader.lines.append("closed")
    return reader.lines


class _FrameReader:
    def __init__(self, stream: trio.SocketStream) -> None:
        self.lines: list[str] = []
        self.ended = 0
        self.is_answered = self.closed = False
        self._stream = stream
        self._buffer = b""
        self._decoder = Decoder()

    async def read(self) -> bool:
        """Read once; False at the end."""
        received = await self._stream.receive_some(65536)
        if not received:
            self.closed = True
            if self._buffer:
                self.lines.append(repr(re.sub(rb"Date: [^\r]+", b"Date", self._buffer)))
            self.lines.append("closed")
            return False
        self._buffer += received
        while len(self._buffer) >= 9 and self._buffer[:4] != b"HTTP":
            frame, length = Frame.parse_frame_header(memoryview(self._buffer[:9]))
            if len(self._buffer) < 9 + length:
                break
            frame.parse_body(memoryview(self._buffer[9 : 9 + length]))
            self._buffer = self._buffer[9 + length :]
            self._take(frame)
        return True

    def _take(self, frame: Frame) -> None:
        ends = "END_STREAM" in frame.flags
        self.ended += ends or isinstance(frame, RstStreamFrame)
        last = " end" if ends else ""
        if isinstance(frame, HeadersFrame):
            found = "; ".join(
                f"{name.decode('latin-1')}: {value.decode('latin-1')}"
                for name, value in self._decoder.decode(frame.data, raw=True)
                if name not in (b"date", b"etag", b"last-modified")
            )
            self.lines.append(f"HEADERS {frame.stream_id}{last} {found}")
        elif isinstance(frame, DataFrame):
            text = re.sub(rb"\s+", b" ", frame.data[:60]).decode("latin-1")
            self.lines.append(f"DATA {frame.stream_id}{last} {len(frame.data)} {text}")
        elif isinstance(frame, GoAwayFrame):
            self.lines.append(f"GOAWAY {frame.last_stream_id} {frame.error_code}")
        elif isinstance(frame, RstStreamFrame):
            self.lines.append(f"RST_STREAM {frame.stream_id} {frame.error_code}")
        elif isinstance(frame, WindowUpdateFrame):
            self.lines.append(f"WINDOW_UPDATE {frame.stream_id} {frame.window_increment}")
        elif isinstance(frame, PingFrame):
            self.is_answered = self.is_answered or frame.opaque_data == b"the last"
            if frame.opaque_data != b"the last":
                self.lines.append("PING")
        elif not isinstance(frame, SettingsFrame):
            self.lines.append(repr(frame))
