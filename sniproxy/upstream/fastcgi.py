"""FastCGI to upstreams."""

from __future__ import annotations

from collections.abc import Callable

from ..config.directives.gateways import FastCGISettings
from ..http.response_head import BadResponseError, ParsedResponse, read_cgi_head
from ..logs.error import ConnectionLog
from ..models import BodyReadError, Failure, FailureType, Level, ProxyError, ResponseHead
from ..tls.stream import SocketStream
from .fastcgi_records import (
    END_OF_BODY,
    END_REQUEST,
    HEADER_SIZE,
    STDERR,
    InvalidRecordError,
    RecordPiece,
    RecordReader,
    body_records,
    encode_params,
    record_header,
    request_records,
)
from .gateway import GatewayProtocol, check_length
from .request import UpstreamAttempt, UpstreamRequest
from .request_writer import READING_HEAD, BodyFraming
from .response_body import (
    CLOSED_EARLY,
    TOO_MUCH,
    BodyReadOptions,
    InvalidBodyError,
    ResponseBody,
)

_FRAMING = BodyFraming(body_records, END_OF_BODY)
_TRAILING = "\n\r. "
"""Characters that are not logged at the end of what a program writes to its error stream."""


def _invalid(text: str) -> ProxyError:
    return ProxyError(Failure(text, kind=FailureType.INVALID_HEADER))


def error_stream_text(content: bytes) -> str:
    """A part of the error stream as it is logged."""
    text = content.decode("latin-1")
    return f'FastCGI sent in stderr: "{text.rstrip(_TRAILING) or text[:1]}"'


class FastCGIHeadReader:
    """Reads a response head from records; the rest of the data is left in `records`."""

    def __init__(self, log: ConnectionLog, caught: tuple[str, ...] = ()) -> None:
        """`caught` is `fastcgi_catch_stderr`."""
        self.records = RecordReader()
        self.buffered = 0
        """Bytes that nginx holds in its buffer."""
        self.raw = b""
        """Those bytes; without the first ones, if they were only of the error stream."""
        self._log = log
        self._caught = caught
        self._text = ""
        self._begins_within_record = False
        """Whether `raw` does."""

    def feed(self, data: bytes) -> ParsedResponse | None:
        """Add data; returns the head once it is complete. Raises `ProxyError`."""
        self.buffered += len(data)
        self.raw += data
        self.records.feed(data)
        try:
            while (piece := self.records.next()) is not None:
                parsed = self._take(piece)
                if parsed is not None:
                    self.raw = self.raw[: len(self.raw) - len(self.records.rest)]
                    return parsed
        except InvalidRecordError as invalid:
            raise _invalid(str(invalid)) from None
        except BadResponseError as bad:
            for note in bad.notes:
                self._log.write(Level.WARN, note)
            raise
        return None

    def _take(self, piece: RecordPiece) -> ParsedResponse | None:
        if piece.kind == STDERR:
            if piece.content:
                self._log_errors(piece.content)
            return None
        if piece.kind == END_REQUEST:
            raise _invalid(f"upstream sent unexpected FastCGI record: {piece.kind}")
        if piece.starts and piece.ends and not piece.content:
            raise _invalid("upstream prematurely closed FastCGI stdout")
        if not piece.content:
            return None
        if self._begins_within_record:
            self._complete_raw(len(piece.content))
        before = len(self._text)
        self._text += piece.content.decode("latin-1")
        parsed = read_cgi_head(self._text)
        if parsed is not None:
            self.records.unread(before + len(piece.content) - parsed.length)
        return parsed

    def _log_errors(self, content: bytes) -> None:
        line = error_stream_text(content)
        self._log.write(Level.ERROR, line)
        if any(text in line[len('FastCGI sent in stderr: "') : -1] for text in self._caught):
            raise _invalid("")
        if self.records.is_empty and not self._text:
            # nginx reuses its buffer, so that many warnings of PHP are not a too big head.
            self.buffered, self.raw = 0, b""
            self._begins_within_record = True

    def _complete_raw(self, length: int) -> None:
        """Make `raw` begin with a record, as nginx does for the cache.

        A header of a record replaces the first bytes of what is left of the error stream.
        `length` is that of the output read last.
        """
        self._begins_within_record = False
        output = len(self.raw) - len(self.records.rest) - length - HEADER_SIZE
        left = output - HEADER_SIZE
        if left >= 0:
            self.raw = record_header(STDERR, left) + self.raw[HEADER_SIZE:]
        else:
            self.raw = self.raw[output:]


class FastCGIAttempt(UpstreamAttempt):
    """An attempt to get a response by FastCGI."""

    records: RecordReader
    """What follows the response head."""

    def framing(self, request: UpstreamRequest) -> BodyFraming:
        return _FRAMING

    async def read_head(
        self, request: UpstreamRequest, stream: SocketStream, timeout: float
    ) -> tuple[ResponseHead, bytes]:
        settings, log = request.settings, request.log
        assert isinstance(settings, FastCGISettings)
        limit = settings.buffer_size - request.cache_header
        reader = FastCGIHeadReader(log, settings.fastcgi_catch_stderr)
        try:
            data = await stream.receive_some(timeout, limit, wait_first=True)
            while True:
                log.action = READING_HEAD
                if not data:
                    raise ProxyError(CLOSED_EARLY)
                self.bytes_received += len(data)
                parsed = reader.feed(data)
                if parsed is not None:
                    break
                if reader.buffered >= limit:
                    raise _invalid("upstream sent too big header")
                data = await stream.receive_some(timeout, limit - reader.buffered)
        except ProxyError:
            log.action = READING_HEAD
            raise
        for note in parsed.notes:
            log.write(Level.WARN, note)
        if request.cache_header:
            self.raw_head = reader.raw
        self.records = reader.records
        return parsed.head, reader.records.rest

    def complete_body(
        self, request: UpstreamRequest, head: ResponseHead, preread: bytes
    ) -> bytes | None:
        return None

    def body(
        self,
        request: UpstreamRequest,
        head: ResponseHead,
        preread: bytes,
        options: BodyReadOptions,
        release: Callable[[bool], None],
    ) -> FastCGIBody:
        assert self.stream is not None
        assert isinstance(request.settings, FastCGISettings)
        return FastCGIBody(
            self.stream,
            head,
            preread,
            method=request.method,
            header_only=request.ctx.header_only or request.ctx.method == "HEAD",
            options=options,
            state=self,
            log=request.log,
            release=release,
            records=self.records,
            keeps_connection=request.settings.fastcgi_keep_conn,
        )


class FastCGIBody(ResponseBody):
    """A response body in records."""

    def __init__(
        self,
        stream: SocketStream,
        head: ResponseHead,
        rest: bytes,
        *,
        method: str,
        header_only: bool = False,
        options: BodyReadOptions,
        state: UpstreamAttempt,
        log: ConnectionLog,
        release: Callable[[bool], None],
        records: RecordReader,
        keeps_connection: bool,
    ) -> None:
        """`records` holds the data in `rest`, `keeps_connection` is `fastcgi_keep_conn`."""
        super().__init__(
            stream,
            head,
            rest,
            method=method,
            header_only=header_only,
            options=options,
            state=state,
            log=log,
            release=release,
        )
        self._records = records
        self._keeps_connection = keeps_connection
        self._is_buffered = options.buffer_size > 0
        self._is_head = method == "HEAD"
        self._request_ended = False
        """Whether the last record was read, but perhaps for its padding."""
        self._is_short = False
        """Whether the program has ended before it has sent the whole body."""

    async def read(self) -> bytes:
        data = await super().read()
        if self._is_short and not data:
            raise BodyReadError
        return data

    async def _piece(self) -> bytes:
        if self._is_head:
            self._end()
            return b""
        data, self._rest = self._rest, b""
        ended = False
        if not data or self._waits_for_more(len(data)):
            received = await self._receive()
            if not received and self._keeps_connection:
                raise ProxyError(CLOSED_EARLY)
            ended = not received
            self._records.feed(self._records.rest + received)
            if not ended and self._waits_for_more(len(data) + len(received)):
                self._rest = data + received
                return b""
            data += received
        self._pending += len(data)
        self._state.response_length += len(data)
        decoded = self._decode_all()
        if ended:
            self._end()
        return decoded

    def _waits_for_more(self, length: int) -> bool:
        """Whether nginx fills its buffer before it looks at records, or waits for the end."""
        options = self._options
        return not self._keeps_connection and self._is_buffered and length < options.buffer_size

    def _decode_all(self) -> bytes:
        decoded = b""
        try:
            while not (self._over or self._request_ended):
                piece = self._records.next()
                if piece is None:
                    break
                decoded += self._decode(piece)
        except InvalidRecordError as invalid:
            raise InvalidBodyError(Failure(str(invalid))) from None
        if self._request_ended and self._records.skip_padding():
            self._reusable = self._keeps_connection and self._records.is_empty
            self._end()
        return decoded

    def _decode(self, piece: RecordPiece) -> bytes:
        """The part of the body in a piece."""
        if piece.kind == STDERR:
            if piece.content:
                self._log.action = self._action
                self._log.write(Level.ERROR, error_stream_text(piece.content))
        elif piece.kind == END_REQUEST:
            if self._left:
                self._end_short("upstream prematurely closed FastCGI request")
            elif self._is_buffered and not self._keeps_connection:
                self._end()
            self._request_ended = piece.ends
        elif piece.content:
            return self._limited(piece.content)
        elif piece.ends and self._is_buffered:
            if self._left:
                self._end_short("upstream prematurely closed FastCGI stdout")
            elif not self._keeps_connection:
                self._end()
        return b""

    def _end_short(self, text: str) -> None:
        """End a body whose length is not reached; what there is of it is sent."""
        self._is_short = True
        self._log.action = self._action
        self._log.write(Level.ERROR, text)
        self._end()

    def _limited(self, content: bytes) -> bytes:
        """The content, up to the length of the body."""
        if self._left is None:
            return content
        if len(content) > self._left:
            self._too_much(TOO_MUCH)
            content = content[: self._left]
            self._left = 0
            self._end()
            return content
        self._left -= len(content)
        return content

    @property
    def is_complete(self) -> bool:
        return self._over or self._is_head

    def discard(self) -> None:
        self.drop()

    def drop(self) -> None:
        self._reusable = False
        self._end()


class FastCGIProtocol(GatewayProtocol):
    """The requests of a location with `fastcgi_pass`."""

    attempt = FastCGIAttempt
    may_upgrade = False
    streams_unknown_length = True

    def __init__(self, settings: FastCGISettings) -> None:
        super().__init__(settings)
        self._keeps_connection = settings.fastcgi_keep_conn

    def encode(self, params: list[tuple[str, str]], length: int, *, has_body: bool) -> bytes:
        encoded = encode_params(params)
        check_length(encoded, "fastcgi request record is too big")
        head = request_records(encoded, keep_connection=self._keeps_connection)
        return head if has_body else head + END_OF_BODY

    def stored_head(self, head: bytes, log: ConnectionLog) -> ResponseHead | None:
        try:
            parsed = FastCGIHeadReader(log).feed(head)
        except ProxyError as failed:
            log.write_failure(failed.failure)
            return None
        return None if parsed is None else parsed.head
