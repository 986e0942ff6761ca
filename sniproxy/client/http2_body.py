"""Request bodies of HTTP/2: DATA frames as they arrive, within the window that is announced."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import trio

from ..context import RequestContext
from ..http.chunks import BodyTooLargeError, MalformedChunkError
from ..logs.error import ConnectionLog
from ..models import Failure, FailureType, Level, ProxyError, Response, Side, SpecialResponse
from ..tls.errors import timeout_failure
from .request_body import BufferedBody, RequestBodyReader

CLIENT_CLOSED_REQUEST = 499
LEFT_EARLY = Failure("client prematurely closed stream", Level.INFO)
TOO_MUCH = "client intended to send body data larger than declared"


class BodyLengthError(Exception):
    """The body has another length than Content-Length; `str(error)` is the log message."""


class ReceivedData:
    """The data of one stream that was received and not read yet (`request_body.BodySource`)."""

    def __init__(self, consumed: Callable[[int], None]) -> None:
        """`consumed` is called with the length of data that was read: its window is renewed."""
        self.buffer = bytearray()
        self.ended = False
        self.closed = False
        """Whether the client has reset the stream, or closed the connection."""
        self._consumed = consumed
        self._arrived = trio.Event()

    def feed(self, data: bytes, *, ended: bool) -> None:
        """Add the data of a frame."""
        self.buffer += data
        self.ended = ended
        self._arrived.set()

    def close(self) -> None:
        """Note that no more follows."""
        self.closed = True
        self._arrived.set()

    def has_complete_body(self, ctx: RequestContext) -> bool:
        """Whether the complete body has arrived."""
        return self.ended

    async def iter_body(
        self, ctx: RequestContext, timeout: float
    ) -> AsyncIterator[tuple[bytes, int]]:
        """As `RequestReader.iter_body`. Raises `BodyLengthError` too."""
        declared = ctx.request.content_length
        limit = ctx.location.core.client_max_body_size
        received = 0
        while True:
            if self.buffer:
                piece = bytes(self.buffer)
                self.buffer.clear()
                self._consumed(len(piece))
                received += len(piece)
                is_too_large = declared is None and 0 < limit < received
                if is_too_large or (declared is not None and received > declared):
                    ctx.request_length += len(piece)
                if declared is not None and received > declared:
                    raise BodyLengthError(TOO_MUCH)
                if is_too_large:
                    raise BodyTooLargeError(received)
                yield piece, len(piece)
            elif self.ended:
                break
            elif self.closed:
                raise ProxyError(LEFT_EARLY)
            else:
                self._arrived = trio.Event()
                with trio.move_on_after(timeout) as waiting:
                    await self._arrived.wait()
                if waiting.cancelled_caught:
                    raise ProxyError(timeout_failure(Side.CLIENT))
        if declared is not None and received < declared:
            raise BodyLengthError(
                f"client prematurely closed stream: only {received} out of {declared} "
                "bytes of request body received"
            )


class Http2BodyReader(RequestBodyReader):
    """Reads the body of one request, when a handler needs it."""

    def __init__(
        self, data: ReceivedData, log: ConnectionLog, open_window: Callable[[], None]
    ) -> None:
        """`open_window` lets the client send everything at once: the body will be stored."""
        super().__init__(None, data, log)
        self._open_window = open_window
        self._errors = (*self._errors, BodyLengthError)

    async def read_all(
        self, ctx: RequestContext
    ) -> BufferedBody | SpecialResponse | Response | None:
        if self.buffered is None:
            self._open_window()
        return await super().read_all(ctx)

    def _rejection(self, error: Exception) -> SpecialResponse | Response:
        if isinstance(error, BodyLengthError):
            self._log.write(Level.INFO, str(error))
            return SpecialResponse(400)
        if isinstance(error, ProxyError) and error.failure is LEFT_EARLY:
            self._log.write_failure(LEFT_EARLY)
            return Response(CLIENT_CLOSED_REQUEST, close_without_response=True)
        if isinstance(error, ProxyError) and error.failure.kind is FailureType.TIMEOUT:
            self._log.write_failure(error.failure)
        assert isinstance(error, MalformedChunkError | BodyTooLargeError | ProxyError)
        return super()._rejection(error)
