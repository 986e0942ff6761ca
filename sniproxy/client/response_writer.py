"""Write response heads and bodies to a client, framed for its HTTP version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import trio

from ..context import RequestContext
from ..http.chunks import chunk, last_chunk
from ..http.serialize import builtin_headers, early_hints, response_head
from ..models import BodyReader, BodyReadError, Header, ProxyError, Response
from ..rate_limit import RateLimiter
from ..tls.stream import SocketStream

HTTP_0_9 = 9
"""Marks an upstream's response without a status line; its bytes are forwarded unchanged."""


class ResponseWriter:
    """Writes the responses of one connection."""

    __slots__ = ("_next_send", "_on_blocked", "rate_limiter", "stream")

    def __init__(self, stream: SocketStream) -> None:
        self.stream = stream
        self.rate_limiter: RateLimiter | None = None
        self._on_blocked: Callable[[], None] | None = None
        """Reads the present response ahead; called when the client is slow."""

    async def write(self, ctx: RequestContext, response: Response, *, may_keep: bool) -> bool:
        """Send `response`; returns whether another request may follow on the connection.

        `may_keep` is whether the server allows it. False also if the body ends early, which its
        reader has logged. Raises `ProxyError` if the client has disconnected or is too slow.
        """
        core, request = ctx.location.core, ctx.request
        status = ctx.status = response.status
        if response.close_without_response:
            return False
        # In HTTP/0.9, which has no HEAD, only the error page of a refused request is left.
        bodiless = (request.method == "HEAD" and request.version > 9) or status in (204, 304)
        unknown_length = response.content_length is None and not bodiless
        chunked = (
            (unknown_length or (response.force_chunked and not bodiless))
            and request.version == 11
            and status >= 200
            and core.chunked_transfer_encoding
        )
        if chunked and response.content_length is not None:
            response = response._replace(content_length=None)
        keepalive = (
            may_keep
            and request.keepalive
            and not response.close_connection
            and (chunked or not unknown_length or status < 200)
            and core.keepalive_timeout[0] > 0
        )
        ctx.sent_headers = partial(
            sent_headers,
            status,
            response.content_type,
            response.content_length,
            response.last_modified,
            response.location,
            response.headers,
            chunked=chunked,
        )
        head = b""
        if request.version > 9 and status != HTTP_0_9:
            head = response_head(
                response,
                keepalive=keepalive,
                chunked=chunked,
                server_tokens=core.server_tokens,
                keepalive_header=core.keepalive_timeout[1],
                vary=ctx.gzip_vary and ctx.location.gzip.gzip_vary,
            )
        ctx.sent_head = head
        ctx.bytes_sent -= len(head)
        self.rate_limiter = None
        if ctx.limit_rate:
            self.rate_limiter = RateLimiter(ctx.limit_rate, after=ctx.limit_rate_after)
            self._next_send = trio.current_time()
        body = b"" if bodiless else response.body
        complete = True
        try:
            if isinstance(body, bytes):
                if response.trailers is not None:
                    ctx.sent_trailers = response.trailers()
                if chunked:
                    body = (chunk(body) if body else b"") + last_chunk(ctx.sent_trailers)
                await self._send(ctx, head + body if body else head)
            else:
                complete = await self._write_pieces(ctx, head, response, body, chunked=chunked)
            if response.read_to_end:
                await read_rest(response.body)
        except ProxyError:
            if response.read_to_end:
                await read_rest(response.body)
            raise
        finally:
            self._on_blocked = None
            ctx.body_bytes_sent = max(ctx.bytes_sent, 0)
            ctx.bytes_sent += len(head)
            if not isinstance(response.body, bytes):
                response.body.discard()
        ctx.complete = complete
        return complete and keepalive

    async def _write_pieces(
        self,
        ctx: RequestContext,
        head: bytes,
        response: Response,
        body: BodyReader,
        *,
        chunked: bool,
    ) -> bool:
        pending = head
        if response.read_ahead is not None:
            self._on_blocked = response.read_ahead
            if self.rate_limiter is not None:
                response.read_ahead()
        if response.flush_headers:
            await self._send(ctx, pending)
            pending = b""
        try:
            while piece := await body.read():
                await self._send(ctx, pending + (chunk(piece) if chunked else piece))
                pending = b""
        except BodyReadError as broken:
            if not broken.invalid:
                await self._send(ctx, pending)
            return False
        if response.trailers is not None:
            ctx.sent_trailers = response.trailers()
        if chunked:
            pending += last_chunk(ctx.sent_trailers)
        await self._send(ctx, pending)
        return True

    async def _send(self, ctx: RequestContext, data: bytes) -> None:
        if not data:
            return
        timeout = ctx.location.core.send_timeout
        if self.rate_limiter is not None:
            await self._send_slowly(self.rate_limiter, data, timeout)
        else:
            await self.stream.send_all(data, timeout, self._on_blocked)
        ctx.bytes_sent += len(data)

    async def _send_slowly(self, rate_limiter: RateLimiter, data: bytes, timeout: float) -> None:
        sent = 0
        while sent < len(data):
            await trio.sleep_until(self._next_send)
            allowed = await rate_limiter.acquire(len(data) - sent)
            await self.stream.send_all(data[sent : sent + allowed], timeout, self._on_blocked)
            self._next_send = trio.current_time() + rate_limiter.consume(allowed)
            sent += allowed

    async def early_hints(self, ctx: RequestContext, headers: Sequence[Header]) -> None:
        """Send status 103 before the response. Raises `ProxyError`."""
        self.rate_limiter = None
        await self._send(ctx, early_hints(headers))


async def read_rest(body: bytes | BodyReader) -> None:
    """Read a body that is stored to its end, or until it fails, which its reader has logged."""
    if isinstance(body, bytes):
        return
    with suppress(BodyReadError):
        while await body.read():
            pass


def sent_headers(
    status: int,
    content_type: str,
    content_length: int | None,
    last_modified: int | None,
    location: str | None,
    headers: Sequence[Header],
    *,
    chunked: bool,
) -> tuple[Header, ...]:
    """The headers that `$sent_http_…` show: without Server and Date, never a kept connection."""
    own = builtin_headers(content_type, content_length, last_modified, location)
    if chunked:
        own.append(("Transfer-Encoding", "chunked"))
    own.append(("Connection", "upgrade" if status == 101 else "close"))
    return (*own, *headers)
