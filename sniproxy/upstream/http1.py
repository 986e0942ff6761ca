"""HTTP/1 to upstreams: request heads, and attempts that send them and read the response.

Directives: `proxy_pass`, `proxy_set_header`, `proxy_http_version`, `proxy_pass_request_headers`;
the fields that nginx sets and removes by default.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

import trio

from ..config.directives.proxy import ProxySettings, SetHeader
from ..config.directives.upstream_target import ProxyPass
from ..config.model import Location
from ..context import RequestContext
from ..http.response_head import (
    EARLY_HINTS,
    BadResponseError,
    NotHTTPError,
    ParsedResponse,
    read_response_head,
)
from ..http.uri import escape_uri
from ..logs.error import ConnectionLog
from ..models import Level, ProxyError, RequestBody, ResponseHead, StreamedBody
from ..tls.stream import SocketStream, TLSStream
from ..variables import lookup
from .header_rewrite import CookieRules
from .protocol import UpstreamMessage
from .request import HTTP_0_9, UpstreamAttempt, UpstreamRequest
from .request_writer import CHUNKED, READING_HEAD, UNFRAMED, BodyFraming
from .response_body import CLOSED_EARLY
from .response_headers import HIDDEN_FIELDS, ResponseHeaderPolicy

NEVER_FORWARDED = (
    "host",
    "connection",
    "proxy-connection",
    "content-length",
    "transfer-encoding",
    "te",
    "keep-alive",
    "expect",
    "upgrade",
)
"""Request fields that are never forwarded unchanged."""


CONDITIONAL_FIELDS = (
    "if-modified-since",
    "if-unmodified-since",
    "if-none-match",
    "if-match",
    "range",
    "if-range",
)
"""Request fields that are not forwarded if the response is to be cached."""


def upstream_uri(location: Location, target: ProxyPass, ctx: RequestContext) -> str:
    """The request target for an upstream; `target` is the `proxy_pass` without its variables.

    If `proxy_pass` has no URI part, the client's target is used unchanged. Otherwise the URI
    part replaces the part of the normalized path that the location's name matched; if it
    contains variables, it is the complete target.
    """
    assert target.address is not None
    replacement = target.address.uri
    if replacement and target.template is not None:
        return replacement if replacement.startswith("/") else f"/{replacement}"
    if not replacement and ctx.uri_unchanged and ctx.request.target.startswith("/"):
        return ctx.request.target
    matched = len(location.name.name) if replacement and ctx.uri_matches_location else 0
    rest = ctx.uri[matched:]
    if ctx.internal or "%" in ctx.request.target.partition("?")[0]:
        rest = escape_uri(rest)
    if not ctx.uri_matches_location:
        replacement = ""
    return replacement + rest + (f"?{ctx.args}" if ctx.args else "")


class RequestHeaderBuilder:
    """Builds the heads of a location's requests.

    The constant parts are formatted once, as a text with slots for fields that contain variables
    or depend on the request body.
    """

    __slots__ = ("_passes_headers", "_replaced", "_set_fields", "_set_names", "_version")

    def __init__(self, proxy: ProxySettings, *, cached: bool = False) -> None:
        """`cached` is whether responses are to be cached."""
        self._version = " HTTP/1.1\r\n" if proxy.proxy_http_version == 11 else " HTTP/1.0\r\n"
        self._set_names = frozenset(field.name.lower() for field in proxy.proxy_set_header)
        self._replaced = self._set_names.union(
            NEVER_FORWARDED, CONDITIONAL_FIELDS if cached else ()
        )
        self._passes_headers = proxy.pass_request_headers
        self._set_fields: list[str | SetHeader] = []
        """Constant fields as text, the others as configured."""
        for field in proxy.proxy_set_header:
            if not field.value.is_constant:
                self._set_fields.append(field)
            elif field.value.source:
                self._set_fields.append(f"{field.name}: {field.value.source}\r\n")

    def validators(self, last_modified: str, etag: str) -> str:
        """The fields that ask whether a stored response has changed (`proxy_cache_revalidate`)."""
        fields = (("If-Modified-Since", last_modified), ("If-None-Match", etag))
        return "".join(
            f"{name}: {value}\r\n"
            for name, value in fields
            if value and name.lower() not in self._set_names
        )

    def build(
        self,
        ctx: RequestContext,
        method: str,
        uri: str,
        body_length: int | None,
        validators: str = "",
        *,
        chunked: bool = False,
    ) -> bytes:
        """Build the head; `body_length` is None without a body and for a `chunked` one."""
        head = method + " " + uri + self._version
        values = None
        for field in self._set_fields:
            if isinstance(field, str):
                head += field
                continue
            values = values or lookup(ctx)
            value = field.value.render(values)
            if value:
                head += f"{field.name}: {value}\r\n"
        if "host" not in self._set_names:
            head += f"Host: {ctx.proxy_host}\r\n"
        if body_length is not None and "content-length" not in self._set_names:
            head += f"Content-Length: {body_length}\r\n"
        if chunked and "transfer-encoding" not in self._set_names:
            head += "Transfer-Encoding: chunked\r\n"
        head += validators
        if self._passes_headers:
            request, replaced = ctx.request, self._replaced
            names = request.names or [name.lower() for name, _ in request.headers]
            for position, lower_name in enumerate(names):
                if lower_name not in replaced:
                    name, value = request.headers[position]
                    head += f"{name}: {value}\r\n"
        return (head + "\r\n").encode("latin-1")


class HeadParser(Protocol):
    """Parses the head at the start of a buffer, like `read_response_head`."""

    def __call__(
        self, buffer: bytes | bytearray, *, request_method: str, limit: int = ...
    ) -> ParsedResponse | None: ...


class HTTP1Attempt(UpstreamAttempt):
    """An attempt to get a response by HTTP/1."""

    def framing(self, request: UpstreamRequest) -> BodyFraming:
        streamed = request.streamed_body
        return CHUNKED if streamed is not None and streamed.length is None else UNFRAMED

    parse: ClassVar[HeadParser] = staticmethod(read_response_head)
    interim_status = EARLY_HINTS
    """The status of heads that are followed by another."""

    async def read_head(
        self, request: UpstreamRequest, stream: SocketStream, timeout: float
    ) -> tuple[ResponseHead, bytes]:
        log, method, parse, interim = request.log, request.method, self.parse, self.interim_status
        limit = request.settings.buffer_size - request.cache_header
        hints_size = 0
        # Until data arrives the request counts as being sent; new TLS 1.3 tickets are data.
        if not stream.requests and isinstance(stream, TLSStream) and stream.is_tls13:
            log.action = READING_HEAD
        try:
            data = await stream.receive_some(timeout, wait_first=True)
        except ProxyError:
            log.action = READING_HEAD
            raise
        deadline = 0.0
        buffer = data
        while True:
            log.action = READING_HEAD
            if not data:
                raise ProxyError(CLOSED_EARLY)
            self.bytes_received += len(data)
            try:
                parsed = parse(buffer, request_method=method, limit=limit)
                while parsed is not None and parsed.head.status == interim:
                    hints_size += parsed.length
                    self.status = interim  # which is kept, whatever the final status is
                    await request.forward_early_hints(parsed.head.headers, hints_size)
                    buffer = buffer[parsed.length :]
                    parsed = parse(buffer, request_method=method, limit=limit)
            except NotHTTPError as error:
                if not request.cache_header:
                    log.write(Level.ERROR, error.text)
                return ResponseHead(HTTP_0_9, HTTP_0_9, "", ()), buffer
            if parsed is not None:
                for note in parsed.notes:
                    log.write(Level.WARN, note)
                if request.cache_header:
                    self.raw_head = buffer[: parsed.length]
                return parsed.head, buffer[parsed.length :]
            deadline = deadline or trio.current_time() + timeout
            data = await stream.receive_some(max(deadline - trio.current_time(), 0.0))
            buffer += data


class HTTP1Protocol:
    """The requests of one location that are passed by HTTP/1 (`proxy_pass`)."""

    attempt: type[UpstreamAttempt] = HTTP1Attempt
    may_upgrade = True
    intercepts_not_found = False
    stored_requests: RequestHeaderBuilder | None = None
    """For requests whose responses are to be cached."""

    def __init__(self, location: Location) -> None:
        proxy = location.proxy
        target = proxy.proxy_pass
        assert target is not None
        self._location = location
        self._proxy = proxy
        self._requests = RequestHeaderBuilder(proxy)
        if proxy.cache is not None:
            self.stored_requests = RequestHeaderBuilder(proxy, cached=True)
        self.streams_body = (
            not proxy.request_buffering and proxy.proxy_set_body is None and proxy.pass_request_body
        )
        self.streams_unknown_length = proxy.proxy_http_version != 10
        self.trailers = proxy.buffer_size if proxy.proxy_pass_trailers else 0
        self.response_headers = ResponseHeaderPolicy.of(
            proxy,
            HIDDEN_FIELDS,
            tuple([rule for rule in proxy.proxy_redirect if rule is not None]),
            CookieRules(
                tuple([rule for rule in proxy.proxy_cookie_domain if rule is not None]),
                tuple([rule for rule in proxy.proxy_cookie_path if rule is not None]),
                tuple([rule for rule in proxy.proxy_cookie_flags if rule is not None]),
            ),
            adds_missing=False,
        )
        self._keeps_client_uri = (
            target.template is None and target.address is not None and not target.address.uri
        )
        """Whether the request target is forwarded unchanged, unless the URI was rewritten."""
        self._is_plain = not (
            proxy.proxy_set_body is not None
            or not proxy.pass_request_body
            or proxy.proxy_method is not None
        )
        """Whether requests have the client's method and body."""

    def uri(self, target: ProxyPass, ctx: RequestContext) -> str:
        """The request target, which log lines show too."""
        client_target = ctx.request.target
        if self._keeps_client_uri and ctx.uri_unchanged and client_target.startswith("/"):
            return client_target
        return upstream_uri(self._location, target, ctx)

    def cache_key(self, target: ProxyPass, ctx: RequestContext) -> str:
        """The key of a response without `proxy_cache_key`."""
        uri = upstream_uri(self._location, target, ctx)
        return f"{target.scheme}://{ctx.proxy_host}{uri}"

    def request(
        self,
        ctx: RequestContext,
        uri: str,
        body: RequestBody | None,
        streamed: StreamedBody | None,
        *,
        stores: bool,
    ) -> UpstreamMessage:
        """Build a request; `stores` is whether its response is to be cached."""
        length = ctx.request.content_length if body is None else body.length
        method, validators, payload = ctx.method, "", b""
        builder = self._requests
        if stores:
            assert self.stored_requests is not None
            builder = self.stored_requests
            validators = builder.validators(ctx.stored_last_modified, ctx.stored_etag)
            method = self.stored_method(method)
        if not self._is_plain:
            method, own_body = self.changes(ctx, method)
            if own_body is not None:
                payload, body, length = own_body, None, len(own_body)
            elif not self._proxy.pass_request_body:
                body = None
        head = builder.build(
            ctx, method, uri, length, validators, chunked=streamed is not None and length is None
        )
        return UpstreamMessage(method, head + payload, body, streamed)

    def stored_method(self, method: str) -> str:
        """The method of a request whose response is to be cached (`proxy_cache_convert_head`)."""
        return "GET" if method == "HEAD" and self._proxy.cache_convert_head else method

    def changes(self, ctx: RequestContext, method: str) -> tuple[str, bytes | None]:
        """The method and the body that directives set; None if they set no body."""
        values, proxy, body = lookup(ctx), self._proxy, None
        if proxy.proxy_set_body is not None:
            body = proxy.proxy_set_body.render(values).encode("latin-1")
        if proxy.proxy_method is not None:
            method = proxy.proxy_method.render(values)
        return method, body

    def stored_head(self, head: bytes, log: ConnectionLog) -> ResponseHead | None:
        return parse_stored_head(read_response_head, head, log)


def parse_stored_head(parse: HeadParser, head: bytes, log: ConnectionLog) -> ResponseHead | None:
    """Parse a head in a cache file; None if it is invalid."""
    try:
        parsed = parse(head, request_method="GET", limit=len(head) + 1)
    except NotHTTPError:
        return ResponseHead(HTTP_0_9, HTTP_0_9, "", ())
    except BadResponseError:
        return None
    if parsed is None:
        return None
    for note in parsed.notes:
        log.write(Level.WARN, note)
    return parsed.head
