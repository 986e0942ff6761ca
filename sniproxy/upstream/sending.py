"""A request on its way to an upstream, which may answer before it has all of it.

nginx reads what comes while it still sends: an upstream that refuses a large body need not
take it in first. What the answer leaves unsent stays so, and the connection ends with it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol, TypeVar, runtime_checkable

import trio

from ..http.chunks import LAST_CHUNK, chunk
from ..logs.error import ConnectionLog
from ..message import Failed, Failure, FailureClass, Response, Special
from ..tls.stream import SocketStream

SENDING = "sending request to upstream"
READING_HEAD = "reading response header from upstream"
LATE = Failure("upstream timed out", kind=FailureClass.TIMEOUT, errno=110)

Result = TypeVar("Result")


class RequestBody(Protocol):
    """A request body that was read whole, so that every try can send it again."""

    @property
    def length(self) -> int: ...
    def blocks(self) -> Iterable[bytes]: ...


class ClientFailed(Exception):
    """The client ends the request: its body does not come to an end, or it takes no hints."""

    def __init__(self, outcome: Special | Response) -> None:
        super().__init__(outcome.status)
        self.outcome = outcome
        """What the client gets; silent where it is gone."""


@runtime_checkable
class StreamedBody(Protocol):
    """A request body that goes on as it comes (`proxy_request_buffering off`)."""

    @property
    def length(self) -> int | None:
        """None for one that comes in chunks."""
        ...

    async def read(self) -> bytes:
        """The next bytes, b"" at the end; raises `ClientFailed`."""
        ...

    async def whole(self) -> RequestBody:
        """All of it, where it can not go on as it comes; raises `ClientFailed`."""
        ...


class Sending:
    """One request to one peer, with a body that takes its time."""

    def __init__(
        self,
        stream: SocketStream,
        head: bytes,
        body: RequestBody | None,
        streamed: StreamedBody | None,
        *,
        timeout: float,
        read_timeout: float,
        log: ConnectionLog,
        sent: Callable[[int], None],
    ) -> None:
        """`timeout` and `read_timeout` are `proxy_send_timeout` and `proxy_read_timeout`, in
        seconds; `sent` is told of the bytes that the upstream has got."""
        self.whole = False
        """Whether all of the request has been sent."""
        self._stream = stream
        self._head = head
        self._body = body
        self._streamed = streamed
        self._timeout = timeout
        self._read_timeout = read_timeout
        self._log = log
        self._sent = sent
        self._failure: Failure | None = None
        self._refused: ClientFailed | None = None

    async def until(self, read: Callable[[], Awaitable[Result]]) -> Result:
        """Send until `read` has what it wants; raises `Failed` and `ClientFailed`."""
        failure: Failure | None = LATE
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as reading:
                nursery.start_soon(self._send, reading)
                try:
                    result = await read()
                    failure = None
                except Failed as failed:
                    failure = failed.failure
            nursery.cancel_scope.cancel()
        if failure is None:
            return result
        if self._refused is not None:
            raise self._refused
        if self._failure is not None:
            self._log.action = SENDING
            raise Failed(self._failure)
        if failure is LATE:
            self._log.action = READING_HEAD
        raise Failed(failure)

    async def _send(self, reading: trio.CancelScope) -> None:
        """Send all; `proxy_read_timeout` begins when that is done."""
        try:
            await self._send_all(self._head)
            if self._body is not None:
                for block in self._body.blocks():
                    await self._send_all(block)
            elif self._streamed is not None:
                await self._send_streamed(self._streamed)
        except ClientFailed as refused:
            self._refused = refused
            reading.cancel()
        except Failed as failed:
            self._failure = failed.failure
            # What the upstream has said before it hung up is still to be had, at once.
            await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()
            reading.cancel()
        else:
            self.whole = True
            reading.deadline = trio.current_time() + self._read_timeout

    async def _send_streamed(self, body: StreamedBody) -> None:
        chunked = body.length is None
        while data := await body.read():
            await self._send_all(chunk(data) if chunked else data)
        if chunked:
            await self._send_all(LAST_CHUNK)

    async def _send_all(self, data: bytes) -> None:
        await self._stream.send_all(data, self._timeout)
        self._sent(len(data))
