"""Requests to upstreams that speak HTTP/2: `proxy_http_version 2` and `grpc_pass`.

As in nginx a connection has one request at a time, and is kept alive between them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import trio

from ..config.directives.grpc import GrpcSettings
from ..config.directives.upstream_target import ProxyPass
from ..config.model import Location
from ..context import RequestContext
from ..http.response_head import EARLY_HINTS, WITHOUT_BODY, BadResponseError
from ..http.upstream_control import CONNECTION_START, ConnectionWindows, UpstreamFrameError
from ..http.upstream_frames import ResponseFrames
from ..http.uri import escape_uri
from ..logs.error import ConnectionLog
from ..models import Failure, Header, Level, ProxyError, RequestBody, ResponseHead, StreamedBody
from ..tls.stream import SocketStream, TLSStream
from .http1 import HTTP1Protocol
from .http2_body import Http2ResponseBody
from .http2_exchange import Http2Exchange, Http2Link, invalid_response
from .http2_request import (
    BodyOfBytes,
    Http2HeaderBuilder,
    headers_frames,
    printed_request,
    printed_response,
)
from .protocol import UpstreamMessage
from .request import UpstreamAttempt, UpstreamRequest
from .request_writer import READING_HEAD, SENDING
from .response_body import CLOSED_EARLY, BodyReadOptions
from .response_headers import HIDDEN_FIELDS, ResponseHeaderPolicy

ALPN = b"\x02h2"
_NO_FIELDS: tuple[Header, ...] = ()
HIDDEN_BY_GRPC = tuple(name for name in HIDDEN_FIELDS if name != "x-pad")


class HTTP2Attempt(UpstreamAttempt):
    """An attempt to get a response by HTTP/2."""

    alpn = ALPN
    MODULE: ClassVar[str] = "proxy_"
    IS_GRPC: ClassVar[bool] = False
    _exchange: Http2Exchange
    _block = b""
    """The header block of the request."""
    _held = b""
    """The part of the body that was received with the head."""
    _error: UpstreamFrameError | None = None
    """What was wrong after that part."""
    _begun = False
    """Whether the body was begun to be read."""
    _ends_clean = True
    """Whether nothing was left to be sent or read when the head was complete."""

    @property
    def request(self) -> bytes:
        """The request head in the notation of HTTP/1."""
        return printed_request(self._block)

    @request.setter
    def request(self, block: bytes) -> None:
        self._block = block

    async def exchange(
        self, request: UpstreamRequest, stream: SocketStream
    ) -> tuple[ResponseHead, bytes]:
        settings, log = request.settings, request.log
        log.action = SENDING
        link = stream.link
        start = b""
        if link is None:
            link = stream.link = Http2Link(self.MODULE, ConnectionWindows())
            start = CONNECTION_START
        elif not isinstance(link, Http2Link) or link.module != self.MODULE:
            text = "no connection data found for keepalive http2 connection"
            raise ProxyError(Failure(text))
        frames = ResponseFrames(
            link.windows,
            limit=settings.buffer_size - request.cache_header,
            resets_to_start=self.IS_GRPC,
        )
        self._exchange = exchange = Http2Exchange(
            stream,
            frames,
            self,
            log,
            send_timeout=settings.send_timeout,
            read_timeout=settings.read_timeout,
        )
        body = request.streamed_body or request.body
        if body is not None and body.length == 0:
            body = None
        self.sent = True
        try:
            head = headers_frames(frames.stream, request.head, ends=body is None)
            await exchange.start(start + head, body)
            return await self._read_head(request, stream)
        except UpstreamFrameError as error:
            exchange.stop()
            for line in error.lines[:-1]:
                log.write(Level.ERROR, line)
            raise ProxyError(invalid_response(error.lines[-1])) from None
        except BadResponseError as error:
            exchange.stop()
            for note in error.notes:
                log.write(Level.WARN, note)
            raise
        except BaseException:
            exchange.stop()
            raise

    async def _read_head(
        self, request: UpstreamRequest, stream: SocketStream
    ) -> tuple[ResponseHead, bytes]:
        """Read the response head; raises `UpstreamFrameError` too."""
        log, exchange = request.log, self._exchange
        frames, timeout = exchange.frames, request.settings.read_timeout
        # Until data arrives the request counts as being sent; new TLS 1.3 tickets are data.
        if not stream.requests and isinstance(stream, TLSStream) and stream.is_tls13:
            log.action = READING_HEAD
        deadline = trio.current_time() + timeout
        while True:
            try:
                left = max(deadline - trio.current_time(), 0.0)
                data = await exchange.receive(left, frames.room)
            except ProxyError:
                if not exchange.failed:
                    log.action = READING_HEAD
                raise
            log.action = READING_HEAD
            if not data:
                raise ProxyError(CLOSED_EARLY)
            self.bytes_received += len(data)
            frames.feed(data)
            while frames.read_head():
                assert frames.head is not None
                if frames.head.status != EARLY_HINTS:
                    return self._head(request)
                self.status = EARLY_HINTS  # which is kept, whatever the final status is
                await request.forward_early_hints(frames.hints, frames.hints_size)
            await exchange.frames_read()

    def _head(self, request: UpstreamRequest) -> tuple[ResponseHead, bytes]:
        exchange, log = self._exchange, request.log
        frames, draft = exchange.frames, exchange.frames.head
        assert draft is not None
        exchange.head_read()
        for note in draft.notes:
            log.write(Level.WARN, note)
        if request.cache_header:
            self.raw_head = printed_response(draft.status, draft.headers)
        unread = frames.unread
        length = draft.content_length
        if frames.ended_with_head:
            self._ends_clean = not (unread or frames.has_answers)
            length = 0 if self.IS_GRPC else length
        self.sent_whole = exchange.is_complete
        status = draft.status
        head = ResponseHead(20, status, "", tuple(draft.headers), length, keepalive=True)
        return head, unread

    def _begin_body(self, request: UpstreamRequest, head: ResponseHead) -> None:
        """Read the part of the body that was received with the head."""
        self._begun = True
        frames = self._exchange.frames
        bodiless = request.method == "HEAD" or head.status in WITHOUT_BODY
        try:
            frames.begin_body(0 if bodiless else head.content_length)
            self._held = frames.read_body()
        except UpstreamFrameError as error:
            self._error = error

    def _is_reusable(self) -> bool:
        exchange = self._exchange
        frames = exchange.frames
        self.sent_whole = exchange.is_complete
        return (
            exchange.is_complete
            and self._ends_clean
            and not frames.goaway
            and frames.is_between_frames
        )

    def complete_body(
        self, request: UpstreamRequest, head: ResponseHead, preread: bytes
    ) -> bytes | None:
        self._begin_body(request, head)
        frames = self._exchange.frames
        if self._error is not None or not frames.is_finished or frames.has_answers:
            return None
        if frames.trailers or not self._is_reusable():
            return None
        self.response_length += len(preread) - len(self._held)
        return self._held

    def body(
        self,
        request: UpstreamRequest,
        head: ResponseHead,
        preread: bytes,
        options: BodyReadOptions,
        release: Callable[[bool], None],
    ) -> Http2ResponseBody:
        if not self._begun:
            self._begin_body(request, head)
        return Http2ResponseBody(
            self._exchange,
            self._held,
            self._error,
            len(preread),
            options=options,
            state=self,
            log=request.log,
            reusable=self._is_reusable,
            release=release,
        )


class GrpcAttempt(HTTP2Attempt):
    """An attempt to get a response by gRPC."""

    MODULE = "grpc_"
    IS_GRPC = True


class HTTP2Protocol(HTTP1Protocol):
    """The requests of one location that are passed by HTTP/2 (`proxy_http_version 2`)."""

    attempt = HTTP2Attempt
    may_upgrade = False

    def __init__(self, location: Location) -> None:
        super().__init__(location)
        proxy = location.proxy
        passes = proxy.pass_request_headers
        self._blocks = Http2HeaderBuilder(proxy.proxy_set_header, passes_headers=passes)
        self._stored_blocks = Http2HeaderBuilder(
            proxy.proxy_set_header, passes_headers=passes, cached=True
        )

    def uri(self, target: ProxyPass, ctx: RequestContext) -> str:
        ctx.upstream_target = target
        return super().uri(target, ctx)

    def request(
        self,
        ctx: RequestContext,
        uri: str,
        body: RequestBody | None,
        streamed: StreamedBody | None,
        *,
        stores: bool,
    ) -> UpstreamMessage:
        length = ctx.request.content_length if body is None else body.length
        method, validators = ctx.method, _NO_FIELDS
        if stores:
            method = self.stored_method(method)
            validators = (
                ("if-modified-since", ctx.stored_last_modified),
                ("if-none-match", ctx.stored_etag),
            )
        method, own_body = self.changes(ctx, method)
        if own_body is not None:
            body, length = BodyOfBytes(own_body), len(own_body)
        elif not self._proxy.pass_request_body:
            body = None
        block = (self._stored_blocks if stores else self._blocks).build(
            ctx, method, uri, body_length=length, validators=validators
        )
        return UpstreamMessage(method, block, body, streamed, logged_uri="")


class GrpcProtocol:
    """The requests of one location that are passed by gRPC (`grpc_pass`)."""

    attempt = GrpcAttempt
    streams_body = streams_unknown_length = True
    may_upgrade = intercepts_not_found = False

    def __init__(self, grpc: GrpcSettings) -> None:
        self.trailers = grpc.buffer_size
        self.response_headers = ResponseHeaderPolicy.of(grpc, HIDDEN_BY_GRPC)
        self._blocks = Http2HeaderBuilder(grpc.grpc_set_header, grpc=True)

    def uri(self, target: ProxyPass, ctx: RequestContext) -> str:
        """The request target: that of the client, unless it was rewritten."""
        ctx.upstream_target = target
        if ctx.uri_unchanged and ctx.request.target.startswith("/"):
            return ctx.request.target
        return escape_uri(ctx.uri) + (f"?{ctx.args}" if ctx.args else "")

    def cache_key(self, target: ProxyPass, ctx: RequestContext) -> str:
        """Nothing: responses are not cached."""
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
        length = ctx.request.content_length
        if length is None and body is not None:
            length = body.length
        block = self._blocks.build(ctx, ctx.method, uri, body_length=length)
        return UpstreamMessage(ctx.method, block, body, streamed, logged_uri="")

    def stored_head(self, head: bytes, log: ConnectionLog) -> ResponseHead | None:
        """Nothing: responses are not cached."""
        return None
