"""Send a request with a large or streamed body while the response is being read.

nginx reads while it is sending, so that an upstream can reject a large body without receiving it.
If the response head arrives first, the rest is not sent and the connection is closed. If sending
fails first, the request fails, although the upstream may have answered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, ParamSpec, TypeVar

import trio

from ..context import UpstreamState
from ..http.chunks import LAST_CHUNK, chunk
from ..logs.error import ConnectionLog
from ..models import (
    ClientAbortedError,
    Failure,
    FailureType,
    ProxyError,
    RequestBody,
    StreamedBody,
)
from ..tls.stream import SocketStream, TLSStream

SENDING = "sending request to upstream"
READING_HEAD = "reading response header from upstream"
LATE = Failure("upstream timed out", kind=FailureType.TIMEOUT, errno=110)

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


class BodyFraming(NamedTuple):
    """How a protocol frames the request body."""

    encode: Callable[[bytes], bytes]
    """Frames a piece of it."""
    end: bytes
    """What is sent after it."""


UNFRAMED = BodyFraming(bytes, b"")
CHUNKED = BodyFraming(chunk, LAST_CHUNK)


class RequestWriter:
    """Sends a request with a large or streamed body to a peer."""

    def __init__(
        self,
        stream: SocketStream,
        head: bytes,
        body: RequestBody | None,
        streamed: StreamedBody | None,
        state: UpstreamState,
        *,
        framing: BodyFraming = UNFRAMED,
        timeout: float,
        read_timeout: float,
        log: ConnectionLog,
    ) -> None:
        """`timeout` and `read_timeout` are `proxy_send_timeout` and `proxy_read_timeout`, in
        seconds; `state` counts the bytes sent."""
        self.complete = False
        """Whether the request was sent completely."""
        self._stream = stream
        self._is_tls = isinstance(stream, TLSStream)
        self._head = head
        self._body = body
        self._streamed = streamed
        self._framing = framing
        self._timeout = timeout
        self._read_timeout = read_timeout
        self._log = log
        self._state = state
        self._failure: Failure | None = None
        self._refused: ClientAbortedError | None = None

    async def run_while(
        self,
        read: Callable[Arguments, Awaitable[Result]],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        """Send while `read(*args)` runs, and return its result.

        Raises `ProxyError` and `ClientAbortedError`.
        """
        failure: Failure | None = LATE
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as reading:
                nursery.start_soon(self._send, reading)
                try:
                    result = await read(*args, **kwargs)
                    failure = None
                except ProxyError as failed:
                    failure = failed.failure
            nursery.cancel_scope.cancel()
        if failure is None:
            return result
        if self._refused is not None:
            raise self._refused
        if self._failure is not None and (failure is LATE or not self._is_tls):
            self._log.action = SENDING
            raise ProxyError(self._failure)
        if failure is LATE:
            self._log.action = READING_HEAD
        raise ProxyError(failure)

    async def _send(self, reading: trio.CancelScope) -> None:
        """Send everything; `proxy_read_timeout` starts then."""
        try:
            await self._send_all(self._head)
            if self._body is not None:
                for block in self._body.blocks():
                    await self._send_all(self._framing.encode(block))
            elif self._streamed is not None:
                while data := await self._streamed.read():
                    await self._send_all(self._framing.encode(data))
            if self._framing.end:
                await self._send_all(self._framing.end)
        except ClientAbortedError as refused:
            self._refused = refused
            reading.cancel()
        except ProxyError as failed:
            self._failure = failed.failure
            # nginx processes an answer that the event loop has noticed together with the closed
            # connection; an alert, which explains a failed SSL_write(), it always reads.
            for _ in range(2 if self._is_tls else int(self._stream.has_waited)):
                await trio.lowlevel.checkpoint()
            reading.cancel()
        else:
            self.complete = True
            reading.deadline = trio.current_time() + self._read_timeout

    async def _send_all(self, data: bytes) -> None:
        await self._stream.send_all(data, self._timeout)
        self._state.bytes_sent += len(data)
