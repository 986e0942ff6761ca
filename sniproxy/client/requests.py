"""Reading from a client: request heads, and the bodies behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import trio

from ..facts import Facts
from ..http.chunks import BodyTooLargeError, ChunkReader, MalformedChunkError
from ..http.head import BadRequest, HeadReader, HeadRules, ParsedHead
from ..message import Failed, Failure, FailureClass, Level
from ..tls.stream import SocketStream
from .body import SpooledBody
from .spooling import spooling

READ_SIZE = 16384
SPOOLED = "a client request body is buffered to a temporary file"
CLOSED_EARLY = Failure("client prematurely closed connection", Level.INFO)


class CutShort(Exception):
    """The client will not send the rest of a head; `request` is what is known of it."""

    def __init__(self, request: BadRequest) -> None:
        super().__init__(request.text)
        self.request = request


def status_of(failure: Failure) -> int:
    """What the access log says of a request that its client did not send to the end."""
    return 408 if failure.kind is FailureClass.TIMEOUT else 400


class RequestReader:
    """The bytes of one client, cut into heads and bodies; what comes too early waits here."""

    def __init__(self, stream: SocketStream) -> None:
        self.stream = stream
        self.buffer = bytearray()

    async def wait(self, timeout: float) -> bool:
        """Wait for the first bytes of a request; False where the client closes instead."""
        data = await self.stream.receive_some(timeout, READ_SIZE)
        self.buffer += data
        return bool(data)

    async def head(
        self,
        rules: HeadRules,
        rules_of: Callable[[str], HeadRules | None],
        timeout: float,
    ) -> ParsedHead:
        """A request head, all of it within `timeout` seconds (`client_header_timeout`).

        `rules` hold until a name has chosen the server, `rules_of` that name then. Raises
        `BadRequest`, and `CutShort` where the client closes or is too slow.
        """
        deadline = trio.current_time() + timeout
        judge = HeadReader(rules, rules_of)
        while True:
            parsed = judge.read(self.buffer)
            if parsed is not None:
                del self.buffer[: parsed.length]
                return parsed
            try:
                self.buffer += await self._some(deadline - trio.current_time())
            except Failed as failed:
                status, text = status_of(failed.failure), failed.failure.message
                raise CutShort(judge.cut_short(self.buffer, status, text)) from None

    def take(self) -> bytes:
        """What has come too early, for somebody else."""
        data = bytes(self.buffer)
        self.buffer.clear()
        return data

    async def body(
        self, facts: Facts, tell: Callable[[Level, str], None] = lambda level, text: None
    ) -> SpooledBody:
        """The whole body of a request; `tell` is told of a file that it goes to.

        Raises `BadChunk`, `TooLargeBody` and `Failed`.
        """
        core = facts.location.core
        room = facts.server.core.client_header_buffer_size - facts.request_length
        come = min(len(self.buffer), max(room, 0))
        how = spooling(facts.request, core, facts.server.prefix, come)
        body = SpooledBody(how, lambda name: tell(how.level, f"{SPOOLED} {name}"))
        try:
            timeout = core.client_body_timeout
            facts.request_length += await self._read_body(facts, body.write, timeout)
        except BaseException:
            body.close()
            raise
        facts.body_length = body.length
        facts.body = body
        return body

    async def discard_body(self, facts: Facts) -> bool:
        """Read over a body that nobody wants; False where it does not come to its end."""
        core = facts.location.core
        whole = False
        with trio.move_on_after(core.lingering_time):
            try:
                await self._read_body(facts, lambda data: None, core.lingering_timeout)
                whole = True
            except (Failed, MalformedChunkError, BodyTooLargeError):
                pass
        return whole

    def has_whole_body(self, facts: Facts) -> bool:
        """Whether the body is here already; True too for one that is wrong."""
        request = facts.request
        if not request.chunked:
            return len(self.buffer) >= (request.content_length or 0)
        chunks = ChunkReader(limit=facts.location.core.client_max_body_size)
        try:
            chunks.feed(bytes(self.buffer))
        except (MalformedChunkError, BodyTooLargeError):
            return True
        return chunks.done

    async def _read_body(self, facts: Facts, take: Callable[[bytes], None], timeout: float) -> int:
        """Hand a body to `take`, piece by piece; its bytes on the wire."""
        length = 0
        async for piece, wire_length in self.pieces(facts, timeout):
            take(piece)
            length += wire_length
        return length

    async def pieces(self, facts: Facts, timeout: float) -> AsyncIterator[tuple[bytes, int]]:
        """A body piece by piece, each with its bytes on the wire.

        `timeout` is for each read. Raises `BadChunk`, `TooLargeBody` and `Failed`.
        """
        request = facts.request
        if request.chunked:
            chunks = ChunkReader(limit=facts.location.core.client_max_body_size)
            while not chunks.done:
                data = await self._more(timeout)
                decoded = chunks.feed(data)
                self.buffer[:0] = chunks.leftover
                yield decoded, len(data) - len(chunks.leftover)
            return
        left = request.content_length or 0
        while left:
            data = await self._more(timeout)
            piece = data[:left]
            self.buffer[:0] = data[left:]
            left -= len(piece)
            yield piece, len(piece)

    async def _more(self, timeout: float) -> bytes:
        data = bytes(self.buffer)
        self.buffer.clear()
        return data or await self._some(timeout)

    async def _some(self, timeout: float) -> bytes:
        data = await self.stream.receive_some(timeout, READ_SIZE)
        if not data:
            raise Failed(CLOSED_EARLY)
        return data
