"""HTTP/2 of upstreams: frames are read and recorded, and answered by any bytes.

Requests are recorded in the notation of HTTP/1, with the pseudo-fields as fields, so that tests
compare them alike. Correct answers are made by `answer`; faulty ones are frames that `frame` makes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hpack import Decoder, Encoder
from hpack.exceptions import HPACKError

from sniproxy.testing.streams import ByteStream
from sniproxy.testing.upstreams.spec import ReceivedRequest, Reply, echo

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE = range(6)
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(6, 10)
NAMES = (
    "DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY",
    "WINDOW_UPDATE", "CONTINUATION",
)  # fmt: skip
END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 1, 1, 4, 8, 32
PROTOCOL_ERROR = 1
_MOST_DATA = 16384

Fields = Iterable[tuple[str, str]]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Any frame, valid or not."""
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags))
    return head + stream.to_bytes(4, "big") + payload


def block(fields: Fields) -> bytes:
    """A header block that does not refer to the dynamic table."""
    encoder = Encoder()
    encoder.header_table_size = 0
    encoded: bytes = encoder.encode([(name, value) for name, value in fields])
    return encoded


def headers(stream: int, fields: Fields, *, ends: bool = False, flags: int = END_HEADERS) -> bytes:
    """A HEADERS frame."""
    return frame(HEADERS, flags | (END_STREAM if ends else 0), stream, block(fields))


def data(stream: int, content: bytes, *, ends: bool = True) -> bytes:
    """DATA frames."""
    starts = range(0, len(content) or 1, _MOST_DATA)
    return b"".join(
        frame(
            DATA,
            END_STREAM if ends and start + _MOST_DATA >= len(content) else 0,
            stream,
            content[start : start + _MOST_DATA],
        )
        for start in starts
    )


def settings(**values: int) -> bytes:
    """A SETTINGS frame with values by the names in RFC 9113, in lower case."""
    payload = b"".join(
        _SETTING_NUMBERS[name].to_bytes(2, "big") + value.to_bytes(4, "big")
        for name, value in values.items()
    )
    return frame(SETTINGS, 0, 0, payload)


_SETTING_NUMBERS = {
    "header_table_size": 1,
    "enable_push": 2,
    "max_concurrent_streams": 3,
    "initial_window_size": 4,
    "max_frame_size": 5,
    "max_header_list_size": 6,
}


def goaway(last_stream: int, code: int = 0) -> bytes:
    return frame(GOAWAY, 0, 0, last_stream.to_bytes(4, "big") + code.to_bytes(4, "big"))


def reset(stream: int, code: int) -> bytes:
    return frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def answer(stream: int, reply: Reply, trailers: Fields = ()) -> bytes:
    """A correct response."""
    fields = [(":status", str(reply.status)), ("server", "sniproxy-testing")]
    if reply.may_have_body:
        fields.append(("content-type", reply.content_type))
    fields += [(name.lower(), value) for name, value in reply.fields]
    ended_by_trailers = list(trailers)
    has_body = bool(reply.body) and reply.may_have_body
    sent = headers(stream, fields, ends=not has_body and not ended_by_trailers)
    if has_body:
        sent += data(stream, reply.body, ends=not ended_by_trailers)
    if ended_by_trailers:
        sent += headers(stream, ended_by_trailers, ends=True)
    return sent


def echoed(stream: int, request: ReceivedRequest) -> bytes:
    """A 200 response that names the SNI, the request line and the size of the body."""
    return answer(stream, echo(request))


REFUSAL = settings() + goaway(0, PROTOCOL_ERROR)
"""What a server of HTTP/2 alone answers to HTTP/1."""


class Http2Session:
    """The frames on one connection."""

    def __init__(
        self,
        channel: ByteStream,
        first: bytes,
        record: Callable[[str], None],
        *,
        early: bool = False,
        acknowledges: bool = True,
    ) -> None:
        """`first` are bytes that were read before; `record` is called with a line for each frame.

        `early` ends a request with its header block. With `acknowledges` what is received is
        acknowledged: windows, SETTINGS and PING.
        """
        self._channel = channel
        self._buffer = first
        self._record = record
        self._early = early
        self._acknowledges = acknowledges
        self._decoder = Decoder()
        self._block = b""
        self._ends = False
        self._unsent = b""
        self._requests: dict[int, bytes] = {}
        """Requests that are incomplete."""

    async def read_preface(self) -> bool:
        """Whether the other side begins to speak HTTP/2; what else it sent is in `unfinished`."""
        while len(self._buffer) < len(PREFACE) and PREFACE.startswith(self._buffer):
            if not await self._read():
                return False
        if not self._buffer.startswith(PREFACE):
            return False
        self._buffer = self._buffer[len(PREFACE) :]
        return True

    async def next_request(self) -> tuple[int, bytes] | None:
        """The stream of the next request, and the request; None at the end of the connection."""
        while True:
            while len(self._buffer) < 9 or len(self._buffer) < 9 + self._length:
                if not await self._read():
                    return None
            end = 9 + self._length
            head, payload, self._buffer = self._buffer[:9], self._buffer[9:end], self._buffer[end:]
            stream = int.from_bytes(head[5:9], "big")
            if self._take(head[3], head[4], stream, payload):
                return stream, self._requests.pop(stream)

    @property
    def unfinished(self) -> bytes:
        """What was received of requests that are incomplete."""
        return b"".join(self._requests.values())

    @property
    def received(self) -> bytes:
        """What was received and is no frame."""
        return self._buffer

    @property
    def _length(self) -> int:
        return int.from_bytes(self._buffer[:3], "big")

    def send(self, frames: bytes) -> None:
        """Send frames, together with what else is sent before the next read, or `flush`."""
        self._unsent += frames

    async def flush(self) -> None:
        unsent, self._unsent = self._unsent, b""
        if unsent:
            await self._channel.send(unsent)

    async def _read(self) -> bool:
        await self.flush()
        received = await self._channel.read()
        self._buffer += received
        return bool(received)

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> bool:
        """Process a frame; returns whether a request is complete."""
        ends = False
        text = str(len(payload))
        if kind in (HEADERS, CONTINUATION):
            self._block += payload
            self._ends = bool(flags & END_STREAM) if kind == HEADERS else self._ends
            text = ""
            if flags & END_HEADERS:
                self._requests[stream] = request = self._decoded()
                text = request.partition(b"\r\n")[0].decode("latin-1")
                self._block, ends = b"", self._ends or self._early
        elif kind == DATA:
            if stream in self._requests:
                self._requests[stream] += payload
                ends = bool(flags & END_STREAM)
            if payload and self._acknowledges:
                size = len(payload)
                self.send(window_update(0, size) + window_update(stream, size))
        elif kind == SETTINGS:
            text = " ".join(
                f"{int.from_bytes(payload[at : at + 2], 'big')}="
                f"{int.from_bytes(payload[at + 2 : at + 6], 'big')}"
                for at in range(0, len(payload), 6)
            )
            if not flags & ACK and self._acknowledges:
                self.send(frame(SETTINGS, ACK, 0))
        elif kind == PING:
            if not flags & ACK and self._acknowledges:
                self.send(frame(PING, ACK, 0, payload))
        elif kind in (WINDOW_UPDATE, RST_STREAM):
            text = str(int.from_bytes(payload, "big"))
        name = NAMES[kind] if kind < len(NAMES) else str(kind)
        self._record(f"{name} {stream} flags {flags}: {text}")
        return ends and stream in self._requests

    def _decoded(self) -> bytes:
        """The header block in the notation of HTTP/1."""
        try:
            decoded = self._decoder.decode(self._block, raw=True)
        except HPACKError as error:
            return f"invalid header block: {error}\r\n\r\n".encode()
        pairs = [(bytes(name).decode("latin-1"), bytes(value)) for name, value in decoded]
        pseudo = dict(pairs)
        method, path = pseudo.get(":method", b"?"), pseudo.get(":path", b"?")
        lines = [b"%s %s HTTP/2" % (method, path)]
        lines += [
            name.encode("latin-1") + b": " + value
            for name, value in pairs
            if name not in (":method", ":path")
        ]
        return b"\r\n".join(lines) + b"\r\n\r\n"
