"""The body of one request on its way in, as a handler wants it: whole, or as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ..facts import Facts
from ..http.chunks import BodyTooLargeError, MalformedChunkError
from ..logs.error import ConnectionLog
from ..message import Failed, FailureClass, Level, Request, Response, Special
from ..tls.stream import SocketStream
from ..upstream.sending import ClientFailed
from .body import ArrivingBody, SpooledBody
from .requests import RequestReader, status_of

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Reception:
    """One request's body; a request without one has a reception too."""

    def __init__(self, stream: SocketStream, reader: RequestReader, log: ConnectionLog) -> None:
        self._stream = stream
        self._reader = reader
        self._log = log
        self._continued = False
        self.begun = False
        """Whether a handler has begun to read it."""
        self.spooled: SpooledBody | None = None
        """The body once it was read whole."""
        self.arriving: ArrivingBody | None = None
        """The body that goes on as it comes."""

    @property
    def breaks_off(self) -> bool:
        """Whether a handler has left some of it unread."""
        return self.arriving is not None and not self.arriving.is_over

    def is_unread(self, facts: Facts) -> bool:
        """Whether there is one that was not read whole."""
        return self.spooled is None and has_body(facts.request)

    def close(self) -> None:
        if self.spooled is not None:
            self.spooled.close()

    async def whole(self, facts: Facts) -> SpooledBody | Special | Response | None:
        """The body, read whole; None without one, an answer for one that is refused."""
        await self._continue(facts)
        if self.spooled is None and has_body(facts.request):
            self.begun = True
            try:
                self.spooled = await self._reader.body(facts, self._log.write)
            except (MalformedChunkError, BodyTooLargeError, Failed) as error:
                return self._failure(error)
        return self.spooled

    async def as_it_comes(
        self, facts: Facts
    ) -> ArrivingBody | SpooledBody | Special | Response | None:
        """The body as it comes; read whole if it is here already."""
        await self._continue(facts)
        if self.arriving is not None:
            return None
        if not self.is_unread(facts):
            return self.spooled
        if self._reader.has_whole_body(facts):
            return await self.whole(facts)
        self.begun = True
        self.arriving = ArrivingBody(
            facts.request.content_length, self._pieces(facts), lambda: self._rest(facts)
        )
        return self.arriving

    def _failure(
        self, error: MalformedChunkError | BodyTooLargeError | Failed
    ) -> Special | Response:
        """What becomes of a request whose body is wrong, or does not come to its end."""
        if isinstance(error, MalformedChunkError):
            self._log.write(Level.ERROR, str(error))
            return Special(400)
        if isinstance(error, BodyTooLargeError):
            text = f"client intended to send too large chunked body: {error} bytes"
            self._log.write(Level.ERROR, text)
            return Special(413)
        if error.failure.kind is FailureClass.INTERNAL:
            self._log.write_failure(error.failure)
            return Special(500)
        if error.failure.kind is not FailureClass.TIMEOUT:
            self._log.write_failure(error.failure)
        return Response(status_of(error.failure), silent=True)

    async def _pieces(self, facts: Facts) -> AsyncIterator[bytes]:
        try:
            timeout = facts.location.core.client_body_timeout
            async for piece, length in self._reader.pieces(facts, timeout):
                facts.request_length += length
                yield piece
        except (MalformedChunkError, BodyTooLargeError, Failed) as error:
            raise ClientFailed(self._failure(error)) from None

    async def _rest(self, facts: Facts) -> SpooledBody:
        body = await self.whole(facts)
        if isinstance(body, Special | Response):
            raise ClientFailed(body)
        assert body is not None
        return body

    async def _continue(self, facts: Facts) -> None:
        """Tell a client that waits for it to go on with its body, once."""
        if self._continued:
            return
        self._continued = True
        expects = (facts.request.header("expect") or "").lower() == "100-continue"
        if expects and facts.request.version == 11:
            await self._stream.send_all(CONTINUE, facts.location.core.send_timeout)
            facts.bytes_sent += len(CONTINUE)


def has_body(request: Request) -> bool:
    return request.chunked or bool(request.content_length)
