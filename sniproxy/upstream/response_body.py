"""Read response bodies from upstreams, in pieces, as fast as the client receives them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ..context import UpstreamState
from ..http.chunks import ChunkReader, MalformedChunkError
from ..http.response_head import WITHOUT_BODY
from ..http.trailers import MalformedTrailersError, TrailerReader
from ..logs.error import ConnectionLog
from ..models import (
    BodyReadError,
    Failure,
    Header,
    Level,
    ProxyError,
    ResponseHead,
    Side,
)
from ..rate_limit import RateLimiter
from ..tls.stream import SocketStream

BUFFER_SIZE = 4096
READ_SIZE = 65536
ACTION_READING_BODY = "reading upstream"
ACTION_READING_HEAD = "reading response header from upstream"
ACTION_SENDING = "sending to client"

CLOSED_EARLY = Failure("upstream prematurely closed connection")
TOO_MUCH = 'upstream sent more data than specified in "Content-Length" header'
AFTER_CHUNKS = "upstream sent data after final chunk"
AFTER_TRAILERS = "upstream sent data after trailers"


@dataclass(frozen=True, slots=True)
class BodyReadOptions:
    """How a response body is read."""

    timeout: float
    """`proxy_read_timeout`, in seconds."""
    buffer_size: int = BUFFER_SIZE
    """Bytes to collect before they are forwarded (the size in `proxy_buffers`), unless the body may
    end earlier; 0 forwards at once (`proxy_buffering off`)."""
    read_size: int = READ_SIZE
    """Maximum number of bytes per read."""
    trailers: int = 0
    """Maximum size of trailers to forward (`proxy_pass_trailers`); 0 drops them."""
    rate: int = 0
    """Maximum bytes per second (`proxy_limit_rate`); 0 is unlimited."""


class UpstreamBody(Protocol):
    """A response body of an upstream, whatever its protocol."""

    trailers: list[Header]
    """Trailer fields to forward, once the body has been read."""

    @property
    def is_complete(self) -> bool:
        """Whether the complete body has been received, so that reading does not wait."""
        ...

    async def read(self) -> bytes:
        """Read the next piece, b"" at the end; raises `BodyReadError` if the body is incomplete."""
        ...

    def discard(self) -> None:
        """Release the peer without reading the rest."""
        ...

    def drop(self) -> None:
        """Release the peer of a response that is not sent."""
        ...


class InvalidBodyError(ProxyError):
    """The body is malformed."""


class ResponseBody:
    """A response body; its end releases the peer and the connection.

    Small pieces are collected until they fill a buffer or the body ends, as in nginx
    (`proxy_buffering on`). In a chunked body, it waits at most for the end of the current chunk.
    """

    def __init__(
        self,
        stream: SocketStream,
        head: ResponseHead,
        rest: bytes,
        *,
        method: str,
        header_only: bool = False,
        options: BodyReadOptions,
        state: UpstreamState,
        log: ConnectionLog,
        release: Callable[[bool], None],
    ) -> None:
        """`rest` was received after the head, `method` is that of the request. With `header_only`
        nothing is said about data that the response may not have.

        `release` is called once, at the end or on an error, with whether the connection is
        reusable.
        """
        self.trailers: list[Header] = []
        """Trailer fields to forward."""
        self._stream = stream
        self._head = head
        self._options = options
        self._state = state
        self._log = log
        self._release = release
        self._rest = rest
        self._reusable = head.keepalive
        self._chunks: ChunkReader | None = None
        self._trailers: TrailerReader | None = None
        self._rate_limiter = RateLimiter(options.rate) if options.rate else None
        self._left = head.content_length
        """Bytes missing; None if the length is unknown."""
        self._is_ignored = header_only or method == "HEAD"
        if method == "HEAD" or head.status in WITHOUT_BODY:
            self._left = 0
        elif head.chunked:
            self._chunks = ChunkReader(Side.UPSTREAM, keep_trailers=bool(options.trailers))
            self._left = None
        self._pending = 0
        self._threshold = (
            self._options.buffer_size if self._chunks is None else self._chunks.min_remaining
        )
        self._over = False
        self._broken = False
        if options.buffer_size:
            stream.read_syscall = "readv()"
        # Without buffering, nginx processes what came with the head before it sends the head.
        self._action = ACTION_READING_BODY if options.buffer_size else ACTION_READING_HEAD

    async def read(self) -> bytes:
        """Read the next piece, b"" at the end; raises `BodyReadError` if the body is incomplete."""
        if self._broken:
            raise BodyReadError
        held = b""
        try:
            while not self._over:
                piece = await self._piece()
                held = held + piece if held else piece
                if self._should_flush() and held:
                    break
        except InvalidBodyError as invalid:
            self._broken = True
            self._log.action = self._action
            self._log.write_failure(invalid.failure)
            self._end()
            raise BodyReadError(invalid=True) from None
        except ProxyError as failed:
            self._broken = True
            self._log.write_failure(failed.failure)
            self._end()
            # nginx sends what it holds only if the upstream has closed the connection.
            if not held or failed.failure is not CLOSED_EARLY:
                raise BodyReadError from None
        self._log.action = ACTION_SENDING
        return held

    def _should_flush(self) -> bool:
        """Whether to forward the collected data: a buffer is full, or the body may have ended."""
        if self._pending < self._threshold and self._pending < self._options.buffer_size:
            return False
        self._pending = 0
        if self._chunks is not None:
            self._threshold = self._chunks.min_remaining
        return True

    async def _piece(self) -> bytes:
        """Receive some bytes of the body; b"" is not necessarily the end, see `_over`."""
        if self._left == 0:
            self._end_without_body()
            return b""
        data, self._rest = self._rest, b""
        if not data:
            data = await self._receive()
            if not data:
                if self._left is not None or self._chunks is not None:
                    raise ProxyError(CLOSED_EARLY)
                self._reusable = False
                self._end()
                return b""
        self._pending += len(data)
        self._state.response_length += len(data)
        if self._trailers is not None:
            self._take_trailers(self._trailers, data)
            return b""
        if self._chunks is not None:
            return self._decoded(self._chunks, data)
        if self._left is not None:
            return self._counted(self._left, data)
        return data

    async def _receive(self) -> bytes:
        self._log.action = (
            ACTION_SENDING if self._action is ACTION_READING_HEAD else ACTION_READING_BODY
        )
        most = self._options.read_size
        if self._rate_limiter is not None:
            most = await self._rate_limiter.acquire(most)
        try:
            data = await self._stream.receive_some(self._options.timeout, most)
        except ProxyError:
            self._log.action = ACTION_READING_BODY
            raise
        self._action = self._log.action = ACTION_READING_BODY
        if self._rate_limiter is not None:
            self._rate_limiter.consume(len(data))
        self._state.bytes_received += len(data)
        return data

    def _decoded(self, chunks: ChunkReader, data: bytes) -> bytes:
        try:
            decoded = chunks.feed(data)
        except MalformedChunkError as bad:
            raise InvalidBodyError(Failure(str(bad))) from None
        if chunks.done:
            if self._options.trailers:
                self._trailers = TrailerReader(self._options.trailers)
                self._take_trailers(self._trailers, chunks.leftover)
                return decoded
            if chunks.leftover:
                self._too_much(AFTER_CHUNKS)
            self._end()
        return decoded

    def _take_trailers(self, reader: TrailerReader, data: bytes) -> None:
        first = reader.is_new
        try:
            reader.feed(data)
        except MalformedTrailersError as bad:
            raise InvalidBodyError(Failure(str(bad))) from None
        if reader.done:
            self.trailers = self._state.trailers = reader.trailers
            if reader.leftover:
                self._too_much(AFTER_CHUNKS if first else AFTER_TRAILERS)
            self._end()

    def _counted(self, left: int, data: bytes) -> bytes:
        if len(data) > left:
            self._too_much(TOO_MUCH)
            data = data[:left]
        self._left = left - len(data)
        if not self._left:
            self._end()
        return data

    def _too_much(self, warning: str) -> None:
        self._reusable = False
        self._log.action = self._action
        self._log.write(Level.WARN, warning)

    def _end_without_body(self) -> None:
        """End a response that has no body, whose peer may have sent one nevertheless."""
        if self._rest and not self._over and not self._is_ignored:
            self._too_much(TOO_MUCH)
        self._end()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._stream.read_syscall = "recv()"
            self._state.response_time = time.monotonic() - self._state.started
            self._release(self._reusable and not self._broken)

    @property
    def is_complete(self) -> bool:
        """Whether the complete body has been received, so that reading does not wait."""
        return self._over or (self._left is not None and len(self._rest) >= self._left)

    def discard(self) -> None:
        """Release the peer without reading the rest."""
        if self._left == 0:
            self._end_without_body()
        else:
            self.drop()

    def drop(self) -> None:
        """Release the peer of a response that is not sent."""
        if self._left != 0:
            self._reusable = False
        self._end()
