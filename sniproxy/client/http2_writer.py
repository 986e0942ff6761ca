"""Write responses as HTTP/2 frames, within the windows that the client allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from ..context import RequestContext
from ..http.http2_fields import Fields, encoded_fields, response_fields
from ..models import BodyReader, BodyReadError, Header, ProxyError, Response
from ..rate_limit import RateLimiter
from .response_writer import read_rest, sent_headers

SMALLEST_LIMIT = 16384
"""Bytes of a frame that every client takes; a larger one only if it has announced that."""

MOST_AT_ONCE = 65536
"""Bytes written before the client must have taken some, however large its window is."""


class FrameSender(Protocol):
    """The stream of a request, as used by the writer. Its methods raise `ProxyError`."""

    def send_headers(self, fields: Fields, *, ends: bool) -> int:
        """Send fields; returns the bytes of the frames. `ends` is whether no body follows."""
        ...

    async def window(self, timeout: float, on_blocked: Callable[[], None] | None) -> int:
        """Wait until data may be sent; returns how many bytes."""
        ...

    def send_data(self, data: bytes, *, ends: bool) -> int:
        """Send a DATA frame within the window; returns its bytes."""
        ...

    def largest_frame(self) -> int:
        """The largest payload that the client takes (SETTINGS_MAX_FRAME_SIZE)."""
        ...

    async def flush(self, timeout: float) -> None:
        """Wait until the client has taken so much that more may be sent."""
        ...


class Http2ResponseWriter:
    """Writes the response of one request."""

    def __init__(self, stream: FrameSender, *, keep_head: bool) -> None:
        """`keep_head` is whether an observer reads `RequestContext.sent_head`."""
        self._stream = stream
        self._keep_head = keep_head
        self._rate_limiter: RateLimiter | None = None
        self._on_blocked: Callable[[], None] | None = None

    async def write(self, ctx: RequestContext, response: Response) -> bool:
        """Send `response`; returns whether it was complete. Raises `ProxyError`."""
        status = ctx.status = response.status
        if response.close_without_response:
            return False
        core = ctx.location.core
        body: bytes | BodyReader = response.body
        ends_at_once = response.content_length == 0 and not response.force_chunked
        if ctx.request.method == "HEAD" or status in (204, 304):
            body, ends_at_once = b"", True
        ctx.sent_headers = partial(
            sent_headers,
            status,
            response.content_type,
            response.content_length,
            response.last_modified,
            response.location,
            response.headers,
            chunked=False,
        )
        fields = response_fields(
            response,
            server_tokens=core.server_tokens,
            vary=ctx.gzip_vary and ctx.location.gzip.gzip_vary,
        )
        if self._keep_head:
            ctx.sent_head = _printed(fields)
        self._rate_limiter = None
        if ctx.limit_rate:
            self._rate_limiter = RateLimiter(ctx.limit_rate, after=ctx.limit_rate_after)
        complete, head_sent = True, 0
        try:
            if isinstance(body, bytes):
                trailers = () if response.trailers is None else response.trailers()
                ctx.sent_trailers = trailers
                head_sent = self._stream.send_headers(fields, ends=ends_at_once)
                if not ends_at_once:
                    if body:
                        await self._send(ctx, body, ends=not trailers)
                    elif not trailers:
                        ctx.bytes_sent += self._stream.send_data(b"", ends=True)
                    self._send_trailers(ctx, trailers)
            elif ends_at_once:
                # As in nginx, even if trailers follow.
                head_sent = self._stream.send_headers(fields, ends=True)
                complete = await _is_readable(body)
                ctx.sent_trailers = () if response.trailers is None else response.trailers()
            else:
                head_sent = self._stream.send_headers(fields, ends=False)
                complete = await self._send_pieces(ctx, response, body)
            await self._stream.flush(core.send_timeout)
            if response.read_to_end:
                await read_rest(response.body)
        except ProxyError:
            if response.read_to_end:
                await read_rest(response.body)
            raise
        finally:
            self._on_blocked = None
            ctx.bytes_sent += head_sent
            if not isinstance(response.body, bytes):
                response.body.discard()
        ctx.complete = complete
        return complete

    async def _send_pieces(self, ctx: RequestContext, response: Response, body: BodyReader) -> bool:
        if response.read_ahead is not None:
            self._on_blocked = response.read_ahead
            if self._rate_limiter is not None:
                response.read_ahead()
        left = response.content_length if response.trailers is None else None
        try:
            while piece := await body.read():
                ends = left is not None and len(piece) >= left
                await self._send(ctx, piece, ends=ends)
                if ends:
                    return True
                left = None if left is None else left - len(piece)
        except BodyReadError:
            return False
        trailers = () if response.trailers is None else response.trailers()
        ctx.sent_trailers = trailers
        if trailers:
            self._send_trailers(ctx, trailers)
        else:
            ctx.bytes_sent += self._stream.send_data(b"", ends=True)
        return True

    def _send_trailers(self, ctx: RequestContext, trailers: Sequence[Header]) -> None:
        if trailers:
            ctx.bytes_sent += self._stream.send_headers(encoded_fields(trailers), ends=True)

    async def _send(self, ctx: RequestContext, data: bytes, *, ends: bool) -> None:
        timeout = ctx.location.core.send_timeout
        chunk = ctx.location.filters.http2.http2_chunk_size
        if chunk > SMALLEST_LIMIT:
            chunk = min(chunk, self._stream.largest_frame())
        sent, end = 0, len(data)
        while sent < end:
            window = await self._stream.window(timeout, self._on_blocked)
            room = min(window, end - sent, MOST_AT_ONCE)
            if self._rate_limiter is not None:
                room = await self._rate_limiter.acquire(room)
                self._rate_limiter.consume(room)
            stop = sent + room
            while sent < stop:
                piece = data[sent : min(sent + chunk, stop)]
                sent += len(piece)
                ctx.bytes_sent += self._stream.send_data(piece, ends=ends and sent == end)
                ctx.body_bytes_sent += len(piece)
            await self._stream.flush(timeout)

    async def early_hints(self, ctx: RequestContext, headers: Sequence[Header]) -> None:
        """Send status 103 before the response. Raises `ProxyError`."""
        fields = [(b":status", b"103"), *encoded_fields(headers)]
        ctx.bytes_sent += self._stream.send_headers(fields, ends=False)


async def _is_readable(body: BodyReader) -> bool:
    """Read a body of length 0; returns whether that is possible."""
    try:
        while await body.read():
            pass
    except BodyReadError:
        return False
    return True


def _printed(fields: Fields) -> bytes:
    """The head in the notation of HTTP/1, for `RequestContext.sent_head`."""
    lines = [b"HTTP/2.0 " + fields[0][1], *(name + b": " + value for name, value in fields[1:])]
    return b"\r\n".join((*lines, b"", b""))
