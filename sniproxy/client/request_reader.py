"""Read request heads and bodies from a client."""

from __future__ import annotations

from collections.abc import AsyncIterator

import trio

from ..context import RequestContext
from ..http.chunks import BodyTooLargeError, ChunkReader, MalformedChunkError
from ..http.request_head import (
    BadRequestError,
    HeadReader,
    HeadRules,
    ParsedHead,
    RulesOf,
    read_simple_head,
)
from ..models import Failure, FailureType, Level, ProxyError
from ..tls.stream import SocketStream

READ_SIZE = 16384
CLOSED_EARLY = Failure("client prematurely closed connection", Level.INFO)


class IncompleteRequestError(Exception):
    """The client did not send a complete head; `request` is what was received."""

    def __init__(self, request: BadRequestError) -> None:
        super().__init__(request.text)
        self.request = request


def status_of(failure: Failure) -> int:
    """The status in the access log of a request that its client did not send completely."""
    return 408 if failure.kind is FailureType.TIMEOUT else 400


class RequestReader:
    """Splits the data of a client into heads and bodies; `buffer` has the unused data."""

    __slots__ = ("buffer", "stream")

    def __init__(self, stream: SocketStream) -> None:
        self.stream = stream
        self.buffer = bytearray()

    def simple_head(self, rules: HeadRules, rules_of: RulesOf) -> ParsedHead | None:
        """Parse a complete simple head in the buffer; None for any other."""
        parsed = read_simple_head(self.buffer, rules, rules_of)
        if parsed is not None:
            del self.buffer[: parsed.length]
        return parsed

    async def head(self, rules: HeadRules, rules_of: RulesOf, deadline: float) -> ParsedHead:
        """Read a request head until `deadline` (`client_header_timeout`).

        `rules` apply until the host is known, `rules_of(host)` from then on.
        Raises `BadRequestError`, and `IncompleteRequestError` if the client closes or is too slow.
        """
        reader = HeadReader(rules, rules_of)
        while True:
            parsed = reader.read(self.buffer)
            if parsed is not None:
                del self.buffer[: parsed.length]
                return parsed
            try:
                self.buffer += await self._receive(deadline - trio.current_time())
            except ProxyError as failed:
                status, text = status_of(failed.failure), failed.failure.message
                raise IncompleteRequestError(reader.cut_short(self.buffer, status, text)) from None

    def take_buffered(self) -> bytes:
        """Remove the unused data from the buffer, and return it."""
        data = bytes(self.buffer)
        self.buffer.clear()
        return data

    async def discard_body(self, ctx: RequestContext) -> bool:
        """Read and discard a body; False if it is incomplete after `lingering_time`."""
        core = ctx.location.core
        complete = False
        with trio.move_on_after(core.lingering_time):
            try:
                async for _ in self.iter_body(ctx, core.lingering_timeout):
                    pass
                complete = True
            except (ProxyError, MalformedChunkError, BodyTooLargeError):
                pass
        return complete

    def has_complete_body(self, ctx: RequestContext) -> bool:
        """Whether the complete body is in the buffer; True also for a malformed body."""
        request = ctx.request
        if not request.chunked:
            return len(self.buffer) >= (request.content_length or 0)
        chunks = ChunkReader(limit=ctx.location.core.client_max_body_size)
        try:
            chunks.feed(bytes(self.buffer))
        except (MalformedChunkError, BodyTooLargeError):
            return True
        return chunks.done

    async def iter_body(
        self, ctx: RequestContext, timeout: float
    ) -> AsyncIterator[tuple[bytes, int]]:
        """Iterate over a body in pieces, each with its encoded length.

        `timeout` applies to each read. Raises `MalformedChunkError`, `BodyTooLargeError` and
        `ProxyError`.
        """
        request = ctx.request
        if request.chunked:
            chunks = ChunkReader(limit=ctx.location.core.client_max_body_size)
            while not chunks.done:
                data = await self._next(timeout)
                decoded = chunks.feed(data)
                self.buffer[:0] = chunks.leftover
                yield decoded, len(data) - len(chunks.leftover)
            return
        left = request.content_length or 0
        while left:
            data = await self._next(timeout)
            piece = data[:left]
            self.buffer[:0] = data[left:]
            left -= len(piece)
            yield piece, len(piece)

    async def _next(self, timeout: float) -> bytes:
        return self.take_buffered() or await self._receive(timeout)

    async def _receive(self, timeout: float) -> bytes:
        data = await self.stream.receive_some(timeout, READ_SIZE)
        if not data:
            raise ProxyError(CLOSED_EARLY)
        return data
