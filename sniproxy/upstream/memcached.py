"""memcached as an upstream: the value of a key is the body of the response."""

from __future__ import annotations

import re

from ..config.directives.memcached import MemcachedSettings
from ..config.directives.upstream_target import ProxyPass
from ..context import RequestContext
from ..logs.error import ConnectionLog
from ..models import (
    Failure,
    FailureType,
    Header,
    Level,
    ProxyError,
    RequestBody,
    ResponseHead,
    StreamedBody,
)
from ..tls.stream import SocketStream
from ..variables import lookup
from .protocol import UpstreamMessage
from .request import UpstreamAttempt, UpstreamRequest
from .request_writer import READING_HEAD
from .response_body import CLOSED_EARLY, ResponseBody
from .response_headers import ResponseHeaderPolicy

KEY = "memcached_key"
END = b"\r\nEND\r\n"
"""What follows a value."""
_LARGEST = 2**63 - 1


def escape_key(key: str) -> str:
    """The key with spaces, percent signs and control characters in hexadecimal."""
    return re.sub(r"[\x00-\x20%]", lambda found: f"%{ord(found[0]):02X}", key)


def _invalid(text: str) -> ProxyError:
    return ProxyError(Failure(text, kind=FailureType.INVALID_HEADER))


def parse_answer(line: str, key: str, gzip_flag: int) -> tuple[int, bool] | None:
    """The length of the value, and whether it is compressed; None if there is no such key.

    `line` ends before its line feed. Raises `ProxyError`.
    """
    content = line[:-1]
    if not line.endswith("\r"):
        raise _invalid(f'memcached sent invalid response: "{line}"')
    if content == "END":
        return None
    if not content.startswith("VALUE "):
        raise _invalid(f'memcached sent invalid response: "{content}"')
    rest = content[len("VALUE ") :]
    about = f'in response "{content}" for key "{key}"'
    if not rest.startswith(key):
        raise _invalid(f"memcached sent invalid key {about}")
    rest = rest[len(key) :]
    flags, space, size = rest[1:].partition(" ")
    if not (rest.startswith(" ") and space):
        raise _invalid(f'memcached sent invalid response: "{content}"')
    compressed = False
    if gzip_flag:
        if not _is_number(flags):
            raise _invalid(f"memcached sent invalid flags {about}")
        compressed = bool(int(flags) & gzip_flag)
    if not _is_number(size):
        raise _invalid(f"memcached sent invalid length {about}")
    return int(size), compressed


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text[-20:]) <= _LARGEST and len(text) < 4096


class MemcachedBody(ResponseBody):
    """A value, and the line that ends it."""

    _end_left = END
    """What is missing of the end."""

    async def _piece(self) -> bytes:
        if self._is_ignored:
            self._reusable = False
            self._end()
            return b""
        data, self._rest = self._rest, b""
        if not data:
            data = await self._receive()
            if not data:
                raise ProxyError(CLOSED_EARLY)
        self._pending += len(data)
        self._state.response_length += len(data)
        assert self._left is not None
        content, after = data[: self._left], data[self._left :]
        self._left -= len(content)
        if after and not self._end_left.startswith(after):
            self._log.action = self._action
            self._log.write(Level.ERROR, "memcached sent invalid trailer")
            self._reusable = False
            self._end()
            return content
        self._end_left = self._end_left[len(after) :]
        if not self._end_left:
            self._end()
        return content

    @property
    def is_complete(self) -> bool:
        return self._over or self._is_ignored

    def discard(self) -> None:
        self.drop()

    def drop(self) -> None:
        self._reusable = self._reusable and self._head.status == 404
        self._end()


class MemcachedAttempt(UpstreamAttempt):
    """An attempt to get a value."""

    body_class = MemcachedBody

    async def read_head(
        self, request: UpstreamRequest, stream: SocketStream, timeout: float
    ) -> tuple[ResponseHead, bytes]:
        settings, log = request.settings, request.log
        assert isinstance(settings, MemcachedSettings)
        limit = settings.buffer_size
        buffer = b""
        try:
            while b"\n" not in buffer:
                if len(buffer) >= limit:
                    raise _invalid("upstream sent too big header")
                data = await stream.receive_some(timeout, limit - len(buffer))
                log.action = READING_HEAD
                if not data:
                    raise ProxyError(CLOSED_EARLY)
                self.bytes_received += len(data)
                buffer += data
        except ProxyError:
            log.action = READING_HEAD
            raise
        line, _, rest = buffer.partition(b"\n")
        key = request.head.removeprefix(b"get ").removesuffix(b"\r\n").decode("latin-1")
        found = parse_answer(line.decode("latin-1"), key, settings.memcached_gzip_flag)
        if found is None:
            log.write(Level.INFO, f'key: "{key}" was not found by memcached')
            self.ends_with_head = True
            return ResponseHead(11, 404, "", (), 0, keepalive=True), rest
        length, compressed = found
        headers: list[Header] = [("Content-Type", media_type(request.ctx))]
        if compressed:
            headers.append(("Content-Encoding", "gzip"))
        return ResponseHead(11, 200, "", tuple(headers), length, keepalive=True), rest

    def complete_body(
        self, request: UpstreamRequest, head: ResponseHead, preread: bytes
    ) -> bytes | None:
        return None


class MemcachedProtocol:
    """The requests of a location with `memcached_pass`."""

    attempt = MemcachedAttempt
    may_upgrade = False
    intercepts_not_found = True
    streams_body = False
    streams_unknown_length = False
    trailers = 0

    def __init__(self, settings: MemcachedSettings) -> None:
        self.response_headers = ResponseHeaderPolicy.of(settings, ())

    def uri(self, target: ProxyPass, ctx: RequestContext) -> str:
        return ""

    def cache_key(self, target: ProxyPass, ctx: RequestContext) -> str:
        return ""

    def request(
        self,
        ctx: RequestContext,
        uri: str,
        body: RequestBody | None,
        streamed: StreamedBody | None,
        *,
        stores: bool,
    ) -> UpstreamMessage:
        key = lookup(ctx)(KEY)
        if not key:
            text = 'the "$memcached_key" variable is not set'
            raise ProxyError(Failure(text, kind=FailureType.INTERNAL))
        head = f"get {escape_key(key)}\r\n".encode("latin-1")
        return UpstreamMessage(ctx.method, head, None, None)

    def stored_head(self, head: bytes, log: ConnectionLog) -> ResponseHead | None:
        return None


def media_type(ctx: RequestContext) -> str:
    """The media type of the URI, as of a file."""
    return ctx.location.files.media_type(ctx.uri)
