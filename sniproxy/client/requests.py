"""Reading from a client: request heads, and the bodies behind them."""

from __future__ import annotations

from collections.abc import Callable

import trio

from ..facts import Facts
from ..http.chunks import BadChunk, ChunkReader, TooLargeBody
from ..http.head import HeadReader, HeadRules, ParsedHead
from ..message import Failed, Failure, Level
from ..tls.stream import SocketStream
from .body import SpooledBody

READ_SIZE = 16384
CLOSED_EARLY = Failure("client prematurely closed connection", Level.INFO)


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
        incomplete: Callable[[bytearray], None],
    ) -> ParsedHead:
        """A request head, all of it within `timeout` seconds (`client_header_timeout`).

        `rules` hold until a name has chosen the server, `rules_of` that name then.
        `incomplete` is shown what has come so far before each wait. Raises `BadRequest`, and
        `Failed` where the client closes or is too slow.
        """
        deadline = trio.current_time() + timeout
        judge = HeadReader(rules, rules_of)
        while True:
            parsed = judge.read(self.buffer)
            if parsed is not None:
                del self.buffer[: parsed.length]
                return parsed
            incomplete(self.buffer)
            left = deadline - trio.current_time()
            data = await self.stream.receive_some(left, READ_SIZE)
            if not data:
                raise Failed(CLOSED_EARLY)
            self.buffer += data

    async def body(self, facts: Facts) -> SpooledBody:
        """The whole body of a request. Raises `BadChunk`, `TooLargeBody` and `Failed`."""
        body = SpooledBody(facts.location.core.client_body_buffer_size)
        try:
            facts.request_length += await self._read_body(facts, body.write)
        except BaseException:
            body.close()
            raise
        facts.body_length = body.length
        return body

    async def discard_body(self, facts: Facts) -> bool:
        """Read over a body that nobody wants; False where it does not come to its end."""
        try:
            await self._read_body(facts, lambda data: None)
        except (Failed, BadChunk, TooLargeBody):
            return False
        return True

    async def _read_body(self, facts: Facts, take: Callable[[bytes], None]) -> int:
        """Hand a body to `take`, piece by piece; its bytes on the wire."""
        request, core = facts.request, facts.location.core
        if request.chunked:
            chunks = ChunkReader(limit=core.client_max_body_size)
            fed = 0
            while not chunks.done:
                data = await self._more(core.client_body_timeout)
                fed += len(data)
                take(chunks.feed(data))
            self.buffer[:0] = chunks.rest
            return fed - len(chunks.rest)
        left = request.content_length or 0
        while left:
            data = await self._more(core.client_body_timeout)
            take(data[:left])
            self.buffer[:0] = data[left:]
            left -= min(left, len(data))
        return request.content_length or 0

    async def _more(self, timeout: float) -> bytes:
        data = bytes(self.buffer)
        self.buffer.clear()
        if not data:
            data = await self.stream.receive_some(timeout, READ_SIZE)
            if not data:
                raise Failed(CLOSED_EARLY)
        return data
