"""Read a response as nginx reads it, and say which rule of HTTP a refused one breaks.

The request is written by the proxy's own builder and the response head parsed by the proxy's own
parser, not by h11: what is diagnosed is whether nginx accepts the response, and h11 accepts and
refuses others. Only what nginx refuses is given to h11, which says what is wrong with it.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass

import h11
import trio

from ..http.chunks import ChunkReader, MalformedChunkError
from ..http.response_head import NotHTTPError, read_response_head
from ..models import Failure, FailureType, ProxyError, ResponseHead, Side
from ..tls.stream import SocketStream
from .model import Result

MAX_BODY = 512
"""Bytes of the body that are kept."""
MAX_READ = 1 << 20
"""A longer body is taken as complete."""
SHORT_WAIT = 0.3
"""Seconds to wait for the body of a response to plain HTTP, and for alerts."""

CLOSED_EARLY = Failure("upstream prematurely closed connection")
_TIMED_OUT = Failure("upstream timed out", kind=FailureType.TIMEOUT, errno=110)


class BodyError(Exception):
    """A response whose body does not end."""

    def __init__(self, result: Result, message: str) -> None:
        super().__init__(message)
        self.result = result
        self.line = f"{message} while reading upstream"


class HTTP2ResponseError(NotHTTPError):
    """The response is a frame of HTTP/2."""


@dataclass(slots=True)
class ResponseReader:
    """Reads the response to a GET from a stream."""

    stream: SocketStream
    timeout: float
    """Seconds to wait for each piece."""
    buffer_size: int
    """Limit of the response head (`proxy_buffer_size`)."""
    received: bytes = b""
    """The bytes of the head, and what came with it."""

    async def read_head(self) -> tuple[ResponseHead, bytes]:
        """The head, and the first bytes of the body.

        Raises what the proxy raises: `NotHTTPError`, or `ProxyError` with nginx's message.
        """
        buffer = bytearray()
        with trio.move_on_after(self.timeout) as timer:
            while True:
                data = await self.stream.receive_some(self.timeout)
                if not data:
                    raise ProxyError(CLOSED_EARLY)
                buffer += data
                self.received = bytes(buffer)
                if _is_http2(buffer):
                    raise HTTP2ResponseError
                parsed = read_response_head(buffer, request_method="GET", limit=self.buffer_size)
                if parsed is not None and parsed.head.status != 103:
                    break
                if parsed is not None:
                    del buffer[: parsed.length]
        if timer.cancelled_caught or parsed is None:
            raise ProxyError(_TIMED_OUT)
        return parsed.head, bytes(buffer[parsed.length :])

    async def read_more_soon(self) -> bytes:
        """What arrives within a moment; b"" if nothing does."""
        with contextlib.suppress(ProxyError):
            return await self.stream.receive_some(SHORT_WAIT)
        return b""

    async def read_body(self, head: ResponseHead, rest: bytes) -> None:
        """Read a body that has an end of its own, up to `MAX_READ`. Raises `BodyError`.

        One that ends with the connection may go on forever (server-sent events), and is not read.
        """
        has_end = head.chunked or head.content_length is not None
        if not has_end or head.status in (204, 304):
            return
        chunks = ChunkReader(Side.UPSTREAM) if head.chunked else None
        received = 0
        data = rest
        with trio.move_on_after(self.timeout) as timer:
            while True:
                received += len(data)
                try:
                    if chunks is not None and data:
                        chunks.feed(data)
                except MalformedChunkError:
                    raise BodyError(
                        Result.BODY_CUT, "upstream sent invalid chunked response"
                    ) from None
                complete = (
                    chunks.done if chunks is not None else received >= (head.content_length or 0)
                )
                if complete or received >= MAX_READ:
                    return
                data = await self._more(timer)
                if not data:
                    raise BodyError(Result.BODY_CUT, "upstream prematurely closed connection")
        raise BodyError(Result.BODY_STALLED, "upstream timed out (110: Connection timed out)")

    async def _more(self, timer: trio.CancelScope) -> bytes:
        """The next piece of a body, which gives it the whole patience again."""
        try:
            data = await self.stream.receive_some(self.timeout)
        except ProxyError as failed:
            if failed.failure.kind is FailureType.TIMEOUT:
                raise BodyError(Result.BODY_STALLED, failed.failure.message) from None
            raise BodyError(Result.BODY_CUT, failed.failure.message) from None
        timer.deadline = trio.current_time() + self.timeout
        return data


def _is_http2(data: bytes | bytearray) -> bool:
    """Whether `data` begins with a SETTINGS frame of the connection (RFC 9113, section 3.4)."""
    return len(data) >= 9 and data[0] == 0 and data[3] == 4 and data[5:9] == b"\0\0\0\0"


def broken_rule(response: bytes) -> str | None:
    """What h11 finds wrong with the head of a response to a GET.

    "" if it finds nothing wrong; None if the head is not complete for it.
    """
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    http.send(h11.Request(method="GET", target="/", headers=[("Host", "upstream")]))
    http.send(h11.EndOfMessage())
    try:
        http.receive_data(response)
        while not isinstance(event := http.next_event(), h11.Response):
            if event is h11.NEED_DATA:
                return None
    except h11.RemoteProtocolError as error:
        return _BYTES.sub(r'"\2"', str(error))
    return ""


_BYTES = re.compile(r"""bytearray\(b(['"])(.*)\1\)""", re.DOTALL)
