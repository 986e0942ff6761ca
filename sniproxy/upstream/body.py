"""The body of an upstream's response, read piece by piece while the client takes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ..facts import Try
from ..http.chunks import ChunkReader, MalformedChunkError
from ..http.trailers import MalformedTrailersError, TrailerReader
from ..http.upstream_head import WITHOUT_BODY
from ..logs.error import ConnectionLog
from ..message import (
    BodyBroken,
    Failed,
    Failure,
    FailureClass,
    Header,
    Level,
    ResponseHead,
    Side,
)
from ..tls.stream import SocketStream
from .pace import Pace

HELD = 4096
READ = 65536
READING = "reading upstream"

CLOSED_EARLY = Failure("upstream prematurely closed connection")
TOO_MUCH = 'upstream sent more data than specified in "Content-Length" header'
AFTER_CHUNKS = "upstream sent data after final chunk"
AFTER_TRAILERS = "upstream sent data after trailers"


@dataclass(frozen=True, slots=True)
class Reading:
    """How a body is read."""

    timeout: float
    """`proxy_read_timeout`, in seconds."""
    held: int = HELD
    """Bytes that are waited for before a piece goes on, one of `proxy_buffers`, unless the body
    may be over before; 0 waits for none (`proxy_buffering off`)."""
    most: int = READ
    """Bytes that are read at once."""
    trailers: int = 0
    """Bytes that the trailers may have that are passed on (`proxy_pass_trailers`); 0 is none."""
    rate: int = 0
    """Bytes a second that are read at most (`proxy_limit_rate`); 0 is no limit."""


class _Invalid(Failed):
    """What came is no body."""


class ResponseBody:
    """One body; its end gives the peer and the connection back.

    Small pieces are held back until they fill a buffer or the body ends, as nginx does it
    (`proxy_buffering on`). Of chunks it waits for no more than the end of the one that it is in.
    """

    def __init__(
        self,
        stream: SocketStream,
        head: ResponseHead,
        rest: bytes,
        *,
        method: str,
        reading: Reading,
        facts: Try,
        log: ConnectionLog,
        give_back: Callable[[bool], None],
    ) -> None:
        """`rest` came behind the head, `method` is that of the request.

        `give_back` is called once, when no more will be read, and told whether the connection
        is fit for another request.
        """
        self.trailers: list[Header] = []
        """What came behind the last chunk, if it is to be passed on."""
        self._stream = stream
        self._reading = reading
        self._facts = facts
        self._log = log
        self._give_back = give_back
        self._rest = rest
        self._reusable = head.keepalive
        self._chunks: ChunkReader | None = None
        self._trailers: TrailerReader | None = None
        self._pace = Pace(reading.rate) if reading.rate else None
        self._left = head.content_length
        """Bytes still to come; None where the end shows itself."""
        if method == "HEAD" or head.status in WITHOUT_BODY:
            self._left = 0
        elif head.chunked:
            self._chunks = ChunkReader(Side.UPSTREAM, keep_trailers=bool(reading.trailers))
            self._left = None
        self._came = 0
        self._enough = self._reading.held if self._chunks is None else self._chunks.min_remaining
        self._over = False
        self._broken = False

    async def read(self) -> bytes:
        """The next piece, b"" at the end; raises `BodyBroken` if it is cut short."""
        if self._broken:
            raise BodyBroken
        held = b""
        try:
            while not self._over:
                piece = await self._piece()
                held = held + piece if held else piece
                if self._goes_on() and held:
                    break
        except _Invalid as invalid:
            self._broken = True
            self._log.action = READING
            self._log.write_failure(invalid.failure)
            self._end()
            raise BodyBroken(invalid=True) from None
        except Failed as failed:
            self._broken = True
            self._log.write_failure(failed.failure)
            self._end()
            if not held or failed.failure.kind is FailureClass.TIMEOUT:
                raise BodyBroken from None
        self._log.action = "sending to client"
        return held

    def _goes_on(self) -> bool:
        """Whether what has come is passed on: a buffer is full, or it might have been the end."""
        if self._came < self._enough and self._came < self._reading.held:
            return False
        self._came = 0
        if self._chunks is not None:
            self._enough = self._chunks.min_remaining
        return True

    async def _piece(self) -> bytes:
        """Some bytes of the body; b"" says little, `_over` says that it has ended."""
        if self._left == 0:
            self._end()
            return b""
        data, self._rest = self._rest, b""
        if not data:
            data = await self._receive()
            if not data:
                if self._left is not None or self._chunks is not None:
                    raise Failed(CLOSED_EARLY)
                self._reusable = False
                self._end()
                return b""
        self._came += len(data)
        self._facts.response_length += len(data)
        if self._trailers is not None:
            self._take_trailers(self._trailers, data)
            return b""
        if self._chunks is not None:
            return self._decoded(self._chunks, data)
        if self._left is not None:
            return self._counted(self._left, data)
        return data

    async def _receive(self) -> bytes:
        self._log.action = READING
        most = self._reading.most
        if self._pace is not None:
            most = await self._pace.allowance(most)
        data = await self._stream.receive_some(self._reading.timeout, most)
        if self._pace is not None:
            self._pace.count(len(data))
        self._facts.bytes_received += len(data)
        return data

    def _decoded(self, chunks: ChunkReader, data: bytes) -> bytes:
        try:
            decoded = chunks.feed(data)
        except MalformedChunkError as bad:
            raise _Invalid(Failure(str(bad))) from None
        if chunks.done:
            if self._reading.trailers:
                self._trailers = TrailerReader(self._reading.trailers)
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
            raise _Invalid(Failure(str(bad))) from None
        if reader.done:
            self.trailers = reader.trailers
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
        self._log.action = READING
        self._log.write(Level.WARN, warning)

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._facts.response_time = time.monotonic() - self._facts.began
            self._give_back(self._reusable and not self._broken)

    @property
    def is_here(self) -> bool:
        """Whether all of it has come, so that it costs no wait."""
        return self._over or (self._left is not None and len(self._rest) >= self._left)

    def abandon(self) -> None:
        """Nobody reads the rest: the client is gone, or another place answers."""
        if self._left != 0:
            self._reusable = False
        self._end()
