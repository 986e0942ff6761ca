"""Response bodies of HTTP/2 upstreams: data as it arrives, then trailers."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..context import UpstreamState
from ..http.upstream_control import UpstreamFrameError
from ..logs.error import ConnectionLog
from ..models import BodyReadError, ClientAbortedError, Header, Level, ProxyError
from ..rate_limit import RateLimiter
from .http2_exchange import Http2Exchange
from .response_body import (
    ACTION_READING_BODY,
    ACTION_READING_HEAD,
    ACTION_SENDING,
    CLOSED_EARLY,
    BodyReadOptions,
)


class Http2ResponseBody:
    """A response body; its end releases the peer (`response_body.UpstreamBody`)."""

    def __init__(
        self,
        exchange: Http2Exchange,
        held: bytes,
        error: UpstreamFrameError | None,
        length: int,
        *,
        options: BodyReadOptions,
        state: UpstreamState,
        log: ConnectionLog,
        reusable: Callable[[], bool],
        release: Callable[[bool], None],
    ) -> None:
        """`held` was received with the head and read already, `error` follows it. `length` is the
        number of bytes of the frames that were received with the head.

        `release` is called once, at the end or on an error, with what `reusable` returns.
        """
        self.trailers: list[Header] = []
        """Trailer fields to forward."""
        self._exchange = exchange
        self._frames = exchange.frames
        self._held = held
        self._error = error
        self._preread = length
        self._options = options
        self._state = state
        self._log = log
        self._reusable = reusable
        self._release = release
        self._rate_limiter = RateLimiter(options.rate) if options.rate else None
        self._over = False
        self._broken = False
        # Without buffering, nginx processes what came with the head before it sends the head.
        is_begun = options.buffer_size and not self._frames.ended_with_head
        self._action = ACTION_READING_BODY if is_begun else ACTION_READING_HEAD

    async def read(self) -> bytes:
        """Read the next piece, b"" at the end; raises `BodyReadError` if the body is incomplete."""
        if self._broken:
            raise BodyReadError
        piece, self._held = self._held, b""
        self._state.trailers = self._frames.trailers
        self._state.response_length += self._preread
        self._preread = 0
        try:
            if self._error is not None:
                raise self._error
            while not piece and not self._over:
                if self._frames.is_finished:
                    await self._finish()
                    break
                await self._receive()
                piece = self._frames.read_body()
                await self._exchange.frames_read()
        except UpstreamFrameError as invalid:
            self._log.action = self._action
            for line in invalid.lines:
                self._log.write(Level.ERROR, line)
            self._break()
            raise BodyReadError(invalid=True) from None
        except ClientAbortedError:
            self._break()
            raise BodyReadError from None
        except ProxyError as failed:
            self._log.write_failure(failed.failure)
            self._break()
            raise BodyReadError from None
        self._log.action = ACTION_SENDING
        return piece

    async def _finish(self) -> None:
        """Answer the last control frames, and end."""
        if not self._frames.ended_with_head:
            await self._exchange.frames_read()
        if self._options.trailers:
            self.trailers = self._frames.trailers
        self._end()

    async def _receive(self) -> None:
        self._log.action = (
            ACTION_SENDING if self._action is ACTION_READING_HEAD else ACTION_READING_BODY
        )
        most = self._options.read_size
        if self._rate_limiter is not None:
            most = await self._rate_limiter.acquire(most)
        try:
            data = await self._exchange.receive(self._options.timeout, most)
        except ProxyError:
            self._log.action = ACTION_READING_BODY
            raise
        self._action = self._log.action = ACTION_READING_BODY
        if self._rate_limiter is not None:
            self._rate_limiter.consume(len(data))
        if not data:
            raise ProxyError(CLOSED_EARLY)
        self._state.bytes_received += len(data)
        self._state.response_length += len(data)
        self._frames.feed(data)

    def _break(self) -> None:
        self._broken = True
        self._end()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._exchange.stop()
            self._state.response_time = time.monotonic() - self._state.started
            self._release(not self._broken and self._reusable())

    @property
    def is_complete(self) -> bool:
        """Whether the complete body has been received, so that reading does not wait."""
        return self._over or (self._frames.is_finished and self._error is None)

    def discard(self) -> None:
        """Release the peer without reading the rest."""
        if self._frames.is_finished and not self._frames.has_answers and self._error is None:
            self._end()
        else:
            self.drop()

    def drop(self) -> None:
        """Release the peer of a response that is not sent."""
        self._break()
