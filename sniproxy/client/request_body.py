"""Request bodies: read completely before they are used, or forwarded as they arrive.

nginx's `ngx_http_request_body.c`. With `proxy_request_buffering on`, a body stays in memory up to
`client_body_buffer_size`, and is written to a temporary file if it is larger. The files are in the
system's temporary folder, in nginx in a folder below the prefix, unless `client_body_temp_path`
is set.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import IO, Protocol

from ..client_abort import ClientAbort
from ..config.directives.core import KEEP, CoreLocation
from ..context import RequestContext
from ..http.chunks import BodyTooLargeError, MalformedChunkError
from ..logs.error import ConnectionLog
from ..models import (
    ClientAbortedError,
    Failure,
    FailureType,
    Level,
    ProxyError,
    RequestHead,
    Response,
    SpecialResponse,
)
from ..system import read_at, write_all
from ..temp_files import make_numbered_file
from ..tls.stream import SocketStream
from .request_reader import status_of

BLOCK = 65536
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
BUFFERED_TO_FILE = "a client request body is buffered to a temporary file"


@dataclass(frozen=True, slots=True)
class BodyBufferPolicy:
    """When a request body is written to a file, and where (`client_body_…`)."""

    memory: int | None
    """Maximum size in memory, in bytes; None is unlimited."""
    folder: str | None = None
    """Folder of the files; None is the system's temporary folder."""
    levels: tuple[int, ...] = ()
    keep_file: bool = False
    """Whether the file is kept after the request (`client_body_in_file_only on`)."""
    level: Level = Level.WARN
    """Log level of the "buffered to a temporary file" message."""

    def make_file(self) -> tuple[IO[bytes], str]:
        """Create the file; returns it with its name. Raises `ProxyError`."""
        try:
            if self.folder is None:
                descriptor, path = tempfile.mkstemp(prefix="client_body_")
                return os.fdopen(descriptor, "wb+"), path
            return make_numbered_file(self.folder, self.levels)
        except OSError as error:
            name = f'open() "{error.filename}" failed'
            failure = Failure(name, Level.CRIT, FailureType.INTERNAL, error.errno)
            raise ProxyError(failure) from None


def body_buffer_policy(
    request: RequestHead, core: CoreLocation, prefix: str, preread: int
) -> BodyBufferPolicy:
    """The policy for the body of `request`; `preread` bytes were read with the head.

    Like nginx, allow a quarter more if the remaining body fits in.
    """
    size = core.client_body_buffer_size
    memory: int | None = size + preread
    if not request.chunked:
        rest = (request.content_length or 0) - preread
        memory = None if rest < size + size // 4 else 0
    only = core.client_body_in_file_only
    folder, levels = core.client_body_temp_path or (None, ())
    return BodyBufferPolicy(
        0 if only else memory,
        None if folder is None else os.path.join(prefix, folder),
        levels,
        keep_file=only == KEEP,
        level=Level.NOTICE if only else Level.WARN,
    )


def no_memory(size: int) -> Failure:
    """The failure if there is no memory for `size` bytes, in nginx's words."""
    return Failure(f"malloc({size}) failed", Level.EMERG, FailureType.INTERNAL, errno.ENOMEM)


class BufferedBody:
    """A body that was read completely, and can be sent for each attempt."""

    def __init__(self, policy: BodyBufferPolicy, log: ConnectionLog | None = None) -> None:
        """The use of a file is logged to `log`."""
        self._policy = policy
        self._log = log
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self.file_name: str | None = None
        """Name of the temporary file that contains the body, or None."""
        self.length = 0

    @property
    def held(self) -> str | None:
        """The body if it is in memory; None if it is in a file, or empty."""
        return self._memory.decode("latin-1") or None

    def write(self, data: bytes) -> None:
        """Append the next bytes; raises `ProxyError`."""
        self.length += len(data)
        memory = self._policy.memory
        if self._file is None and memory is not None and self.length > memory:
            self._file, self.file_name = self._policy.make_file()
            if self._log is not None:
                self._log.write(self._policy.level, f"{BUFFERED_TO_FILE} {self.file_name}")
            self._append(self._memory)
            self._memory = bytearray()
        if self._file is not None:
            self._append(data)
        else:
            try:
                self._memory += data
            except MemoryError:
                raise ProxyError(no_memory(self.length)) from None

    def _append(self, data: bytes | bytearray) -> None:
        """Append to the file; raises `ProxyError`."""
        assert self._file is not None
        try:
            write_all(self._file.fileno(), data)
        except OSError as error:
            text = f'pwritev() "{self.file_name}" failed'
            failure = Failure(text, Level.CRIT, FailureType.INTERNAL, error.errno)
            raise ProxyError(failure) from None

    def blocks(self) -> Iterator[bytes]:
        """Iterate over the body from the start."""
        if self._file is None:
            if self._memory:
                yield bytes(self._memory)
            return
        # Mirrors of a request read the file at the same time.
        position = 0
        while block := read_at(self._file.fileno(), BLOCK, position):
            position += len(block)
            yield block

    def close(self) -> None:
        if self._file is None or self._file.closed:
            return
        self._file.close()
        if not self._policy.keep_file and self.file_name is not None:
            os.unlink(self.file_name)


class StreamingBody:
    """A body that is forwarded as it arrives; implements `models.StreamedBody`."""

    def __init__(
        self,
        length: int | None,
        chunks: AsyncIterator[bytes],
        read_all: Callable[[], Awaitable[BufferedBody]],
        abort: ClientAbort | None = None,
    ) -> None:
        """`chunks` and `read_all` raise `ClientAbortedError`. `abort` is resumed at the end of the
        body, so that what the client sent before it closed its side is forwarded."""
        self.length = length
        self.complete = False
        """Whether the body has arrived completely."""
        self._chunks = chunks
        self._read_all = read_all
        self._abort = abort

    async def read(self) -> bytes:
        """The next bytes, b"" at the end; raises `ClientAbortedError`."""
        async for piece in self._chunks:
            if piece:
                return piece
        self._set_complete()
        return b""

    async def read_all(self) -> BufferedBody:
        """Read the complete body; raises `ClientAbortedError`."""
        body = await self._read_all()
        self._set_complete()
        return body

    def _set_complete(self) -> None:
        if not self.complete:
            self.complete = True
            if self._abort is not None:
                self._abort.resume()


class BodySource(Protocol):
    """The source of a request body: the part of `RequestReader` that reading a body needs."""

    buffer: bytearray
    """Bytes that were received and not consumed yet."""

    def has_complete_body(self, ctx: RequestContext) -> bool:
        """Whether the complete body is in the buffer."""
        ...

    def iter_body(self, ctx: RequestContext, timeout: float) -> AsyncIterator[tuple[bytes, int]]:
        """Iterate over the body in pieces, each with its encoded length."""
        ...


class RequestBodyReader:
    """Reads the body of one request, when a handler needs it."""

    _errors: tuple[type[Exception], ...] = (MalformedChunkError, BodyTooLargeError, ProxyError)
    """The exceptions that the source raises for a malformed or incomplete body."""

    def __init__(self, stream: SocketStream | None, reader: BodySource, log: ConnectionLog) -> None:
        """`stream` is where to send status 100; None if that is never sent."""
        self._stream = stream
        self._reader = reader
        self._log = log
        self._continued = False
        self.started = False
        """Whether a handler has started to read the body."""
        self.buffered: BufferedBody | None = None
        """The body, if it was read completely."""
        self.streaming: StreamingBody | None = None
        """The body, if it is forwarded as it arrives."""

    @property
    def partially_read(self) -> bool:
        """Whether a handler has read only a part of the body."""
        return self.streaming is not None and not self.streaming.complete

    def has_unread(self, request: RequestHead) -> bool:
        """Whether there is a body that was not read completely."""
        return self.buffered is None and request.has_body

    def close(self) -> None:
        if self.buffered is not None:
            self.buffered.close()

    async def read_all(
        self, ctx: RequestContext
    ) -> BufferedBody | SpecialResponse | Response | None:
        """Read the complete body: None if there is none, a response if it is rejected."""
        await self.send_continue(ctx)
        if self.buffered is None and ctx.request.has_body:
            self.started = True
            try:
                self.buffered = await self._read_buffered(ctx)
            except self._errors as error:
                return self._rejection(error)
        return self.buffered

    async def stream(
        self, ctx: RequestContext, abort: ClientAbort
    ) -> StreamingBody | BufferedBody | SpecialResponse | Response | None:
        """The body as it arrives; read completely if it has arrived already.

        `abort` is suspended until the end of the body.
        """
        await self.send_continue(ctx)
        if self.streaming is not None:
            return None
        if not self.has_unread(ctx.request):
            return self.buffered
        if self._reader.has_complete_body(ctx):
            return await self.read_all(ctx)
        self.started = True
        abort.suspend()
        self.streaming = StreamingBody(
            ctx.request.content_length,
            self._iter_body(ctx),
            lambda: self._read_rest(ctx),
            abort,
        )
        return self.streaming

    async def _read_buffered(self, ctx: RequestContext) -> BufferedBody:
        """Raises `MalformedChunkError`, `BodyTooLargeError` and `ProxyError`."""
        core = ctx.location.core
        room = ctx.server.core.client_header_buffer_size - ctx.request_length
        preread = min(len(self._reader.buffer), max(room, 0))
        policy = body_buffer_policy(ctx.request, core, ctx.server.prefix, preread)
        body = BufferedBody(policy, self._log)
        try:
            async for data, wire_length in self._reader.iter_body(ctx, core.client_body_timeout):
                body.write(data)
                ctx.request_length += wire_length
        except BaseException:
            body.close()
            raise
        ctx.body_length = body.length
        ctx.body = body
        return body

    def _rejection(self, error: Exception) -> SpecialResponse | Response:
        """The response to a request with a malformed or incomplete body."""
        if isinstance(error, MalformedChunkError):
            self._log.write(Level.ERROR, str(error))
            return SpecialResponse(400)
        if isinstance(error, BodyTooLargeError):
            text = f"client intended to send too large chunked body: {error} bytes"
            self._log.write(Level.ERROR, text)
            return SpecialResponse(413)
        assert isinstance(error, ProxyError)
        if error.failure.kind is FailureType.INTERNAL:
            self._log.write_failure(error.failure)
            return SpecialResponse(500)
        if error.failure.kind is not FailureType.TIMEOUT:
            self._log.write_failure(error.failure)
        return Response(status_of(error.failure), close_without_response=True)

    async def _iter_body(self, ctx: RequestContext) -> AsyncIterator[bytes]:
        try:
            timeout = ctx.location.core.client_body_timeout
            async for data, wire_length in self._reader.iter_body(ctx, timeout):
                ctx.request_length += wire_length
                yield data
        except self._errors as error:
            raise ClientAbortedError(self._rejection(error)) from None

    async def _read_rest(self, ctx: RequestContext) -> BufferedBody:
        body = await self.read_all(ctx)
        if isinstance(body, SpecialResponse | Response):
            raise ClientAbortedError(body)
        assert body is not None
        return body

    async def send_continue(self, ctx: RequestContext) -> None:
        """Send status 100 to a client that waits for it before it sends the body."""
        if not self._continued and ctx.request.expects_continue and self._stream is not None:
            await self._stream.send_all(CONTINUE, ctx.location.core.send_timeout)
            ctx.bytes_sent += len(CONTINUE)
        self._continued = True


class BodyReading:
    """Reads the body of a client's request: a part of `handlers.base.Client`."""

    __slots__ = ("body",)

    body: RequestBodyReader | None
    """The body of the current request; None if it has none."""

    async def read_body(
        self, ctx: RequestContext
    ) -> BufferedBody | SpecialResponse | Response | None:
        return None if self.body is None else await self.body.read_all(ctx)

    async def stream_body(
        self, ctx: RequestContext
    ) -> StreamingBody | BufferedBody | SpecialResponse | Response | None:
        return None if self.body is None else await self.body.stream(ctx, self.abort())

    def abort(self) -> ClientAbort:
        """A context in which the request is cancelled if the client closes its side."""
        raise NotImplementedError
