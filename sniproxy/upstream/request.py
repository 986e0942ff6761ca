"""A request to an upstream: attempts with one peer after the other.

    select a peer ─► connect ─► TLS handshake, verify ─► send ─► read the head ─► UpstreamResponse
          ▲                            │
          └──── by type of failure ────┘                        (`proxy_next_upstream`)

`UpstreamRequest` is nginx's `ngx_http_upstream_t` with `ngx_http_upstream_next`;
`UpstreamAttempt` is `ngx_http_upstream_state_t` with the connection; each protocol (`http1`, …)
has its own kind. An attempt ends with a response head or with a `Failure`. Only
`UpstreamRequest.run` decides whether another peer is tried; once a part of the response may have
been sent to the client, there is no other attempt.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from ..config.directives.upstream_settings import UpstreamSettings
from ..config.directives.upstream_target import LocalAddress
from ..context import RequestContext, UpstreamState
from ..http.response_head import WITHOUT_BODY
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
from ..observer import Observer
from ..tls.stream import SocketStream
from ..variables import lookup
from .connector import PeerConnection, UpstreamTLSConfig
from .request_writer import SENDING, UNFRAMED, BodyFraming, RequestWriter
from .response_body import BodyReadOptions, ResponseBody, UpstreamBody
from .response_headers import ResponseHeaderPolicy
from .selector import Peer, RequestSelector, Upstream
from .upgrade import UpgradedStream

HTTP_0_9 = 9
EAGER_SIZE = 16384
"""Bodies up to this size are sent before reading starts; they fit the socket's send buffer."""

BY_STATUS = {kind.status: kind for kind in FailureType if kind.label.startswith("http_")}
_NON_IDEMPOTENT = frozenset(("POST", "LOCK", "PATCH"))
_NOT_THE_PEERS_FAULT = frozenset((FailureType.HTTP_403, FailureType.HTTP_404, FailureType.INTERNAL))


class EarlyHintsSender(Protocol):
    """Sends early hints of an upstream to the client."""

    async def send_early_hints(self, ctx: RequestContext, headers: Sequence[Header]) -> None:
        """Send a 103. Raises `ClientAbortedError`."""
        ...


class UpstreamAttempt(PeerConnection):
    """One attempt to get a response from a peer, with its connection."""

    sent = False
    """Whether a part of the request may have reached the peer."""
    sent_whole = False
    ends_with_head = False
    """Whether the connection can be used again, although no body was read."""
    raw_head = b""
    """The response head as received, if the response is to be cached."""
    body_class: type[ResponseBody] = ResponseBody
    """The class of response bodies."""

    def __init__(self, peer: Peer, tls: UpstreamTLSConfig | None, request: bytes) -> None:
        super().__init__(peer, tls)
        self.request = request

    async def exchange(
        self, request: UpstreamRequest, stream: SocketStream
    ) -> tuple[ResponseHead, bytes]:
        """Send the request; returns the response head and the part of the body received with it.

        Raises `ProxyError`.
        """
        settings, body, streamed = request.settings, request.body, request.streamed_body
        request.log.action = SENDING
        self.sent = True
        if streamed is None and (body is None or body.length <= EAGER_SIZE):
            data = request.head
            if body is not None:
                framing = self.framing(request)
                data = b"".join((data, *map(framing.encode, body.blocks()), framing.end))
            await stream.send_all(data, settings.send_timeout)
            self.bytes_sent += len(data)
            self.sent_whole = True
            return await self.read_head(request, stream, settings.read_timeout)
        writer = RequestWriter(
            stream,
            request.head,
            body,
            streamed,
            self,
            framing=self.framing(request),
            timeout=settings.send_timeout,
            read_timeout=settings.read_timeout,
            log=request.log,
        )
        head, preread = await writer.run_while(self.read_head, request, stream, math.inf)
        self.sent_whole = writer.complete
        return head, preread

    def framing(self, request: UpstreamRequest) -> BodyFraming:
        """How the body of the request is framed."""
        return UNFRAMED

    async def read_head(
        self, request: UpstreamRequest, stream: SocketStream, timeout: float
    ) -> tuple[ResponseHead, bytes]:
        """Read the response head within `timeout` seconds; returns what `exchange` does.

        It runs while a large request is being sent. Raises `ProxyError`.
        """
        raise NotImplementedError

    def complete_body(
        self, request: UpstreamRequest, head: ResponseHead, preread: bytes
    ) -> bytes | None:
        """The body, if all of it and nothing else was received with the head."""
        length = len(preread)
        if head.content_length != length or head.chunked or head.status in WITHOUT_BODY:
            return None
        return None if request.method == "HEAD" else preread

    def body(
        self,
        request: UpstreamRequest,
        head: ResponseHead,
        preread: bytes,
        options: BodyReadOptions,
        release: Callable[[bool], None],
    ) -> UpstreamBody:
        """The body, to be read; its end calls `release`, with whether the connection is reusable.

        `preread` is what `exchange` has returned.
        """
        assert self.stream is not None
        return self.body_class(
            self.stream,
            head,
            preread,
            method=request.method,
            header_only=request.ctx.header_only or request.ctx.method == "HEAD",
            options=options,
            state=self,
            log=request.log,
            release=release,
        )


class UpstreamRequest:
    """A request to an upstream, with all its attempts."""

    __slots__ = (
        "body",
        "cache_header",
        "client",
        "ctx",
        "failure_lines",
        "head",
        "local_address",
        "location",
        "log",
        "method",
        "observer",
        "protocol",
        "response_headers",
        "scheme",
        "selector",
        "settings",
        "started",
        "streamed_body",
        "tls",
        "upstream",
        "uri",
    )

    def __init__(
        self,
        ctx: RequestContext,
        client: EarlyHintsSender,
        observer: Observer | None,
        log: ConnectionLog,
        location: object,
        settings: UpstreamSettings,
        protocol: type[UpstreamAttempt],
        upstream: Upstream,
        tls: UpstreamTLSConfig | None,
        scheme: str,
        uri: str,
        method: str,
        head: bytes,
        body: RequestBody | None,
        streamed_body: StreamedBody | None,
        local_address: LocalAddress | None,
        response_headers: ResponseHeaderPolicy,
        cache_header: int = 0,
    ) -> None:
        """`protocol` is the class of the attempts. `head` may include the complete body; otherwise
        `body` was read completely and can be sent again, or `streamed_body` is forwarded as it
        arrives. `location` owns pooled connections (`keepalive … local`). `local_address` is that
        of `proxy_bind`. If the response is to be cached, `cache_header` is the number of bytes
        before its head in the file, which nginx has in the same buffer."""
        self.ctx = ctx
        self.client = client
        self.observer = observer
        self.log = log
        self.location = location
        self.settings = settings
        self.protocol = protocol
        self.upstream = upstream
        self.tls = tls
        self.scheme = scheme
        self.uri = uri
        self.method = method
        self.head = head
        self.body = body
        self.streamed_body = streamed_body
        self.local_address = local_address
        self.response_headers = response_headers
        self.cache_header = cache_header
        self.selector: RequestSelector = upstream.selector(ctx)
        if settings.next_upstream_tries:
            limit = settings.next_upstream_tries
            self.selector.tries_left = min(self.selector.tries_left, limit)
        self.started = time.monotonic()
        self.failure_lines: tuple[str, ...] = ()
        """The error log's lines of the failures, where a page may show them (`error_detail`)."""

    async def run(self) -> UpstreamResponse | FailureType:
        """The first acceptable response, or the type of the failure that ends the request."""
        ctx, log, selector = self.ctx, self.log, self.selector
        pool = self.upstream.pool
        while True:
            log.action = "connecting to upstream"
            peer = selector.get()
            if peer is None:
                return self._no_live_upstreams()
            log.upstream = (self.scheme, peer.name, self.uri)
            attempt = self.protocol(peer, self.tls, self.head)
            ctx.upstream_states.append(attempt)
            if self.observer is not None:
                self.observer.attempt_started(ctx, attempt)
            try:
                stream = None if pool is None else pool.take(peer.sockaddr, self.location)
                if stream is None:
                    stream = await attempt.connect(self)
                else:
                    attempt.stream = stream
                    attempt.reused = True
                attempt.connect_time = time.monotonic() - attempt.started
                head, preread = await attempt.exchange(self, stream)
            except ProxyError as failed:
                failure = failed.failure
            except BaseException:
                # The client aborted the request; the peer did not fail.
                selector.free(peer, failed=False, attempt=attempt)
                self.close_connection(attempt, gracefully=True)
                raise
            else:
                attempt.header_time = time.monotonic() - attempt.started
                if attempt.tls is not None and attempt.tls.session_reuse:
                    attempt.keep_session()
                if attempt.status is None:
                    attempt.status = 200 if head.status == HTTP_0_9 else head.status
                attempt.head = head
                if self.observer is not None:
                    self.observer.response_head_read(ctx, attempt)
                unacceptable = BY_STATUS.get(head.status)
                if (
                    unacceptable is None
                    or selector.tries_left <= 1
                    or not self._allows_next(unacceptable, attempt)
                ):
                    return UpstreamResponse(self, attempt, head, preread)
                failure = Failure("", kind=unacceptable)
            if not self._try_next(attempt, failure):
                return failure.kind

    def _try_next(self, attempt: UpstreamAttempt, failure: Failure) -> bool:
        """After a failed attempt: whether another peer is tried (`ngx_http_upstream_next`)."""
        selector = self.selector
        self._note_failure(attempt, failure)
        if attempt.reused and failure.kind is FailureType.ERROR:
            # The connection may have been closed while it was idle: that is no attempt.
            selector.tries_left += 1
        tries_next = selector.tries_left > 0 and self._allows_next(failure.kind, attempt)
        pool = self.upstream.pool
        if attempt.ends_with_head and pool is not None:
            assert attempt.stream is not None
            pool.put(attempt.peer.sockaddr, self.location, attempt.stream)
        else:
            # nginx sends close_notify only to the last peer tried.
            self.close_connection(attempt, gracefully=not tries_next)
        return tries_next

    def _no_live_upstreams(self) -> FailureType:
        name = self.upstream.name
        self.log.upstream = (self.scheme, name, self.uri)
        kind = FailureType.NO_LIVE
        self._write_failure(Failure("no live upstreams", kind=kind))
        state = UpstreamState(name, time.monotonic())
        state.status, state.response_time = kind.status, 0.0
        self.ctx.upstream_states.append(state)
        return kind

    def _allows_next(self, kind: FailureType, attempt: UpstreamAttempt) -> bool:
        """Whether `proxy_next_upstream` allows another attempt after a failure of this type."""
        settings = self.settings
        chosen = settings.next_upstream
        repeatable = not (attempt.sent and self.ctx.method in _NON_IDEMPOTENT)
        is_consumed = attempt.sent and self.streamed_body is not None
        timeout = settings.next_upstream_timeout
        return (
            kind.label in chosen
            and "off" not in chosen
            and (repeatable or "non_idempotent" in chosen)
            and not is_consumed
            and not (timeout and time.monotonic() - self.started >= timeout)
        )

    def _note_failure(self, attempt: UpstreamAttempt, failure: Failure) -> None:
        """Log a failed attempt, and return the peer to the selector."""
        # If preparing the request failed, the upstream has no status.
        internal = failure.kind is FailureType.INTERNAL
        attempt.status = None if internal else failure.kind.status
        attempt.response_time = time.monotonic() - attempt.started
        attempt.failure = failure
        timed_out = failure.kind is FailureType.TIMEOUT
        # nginx logs a timeout after it has returned the peer.
        if failure.text and not timed_out:
            self._write_failure(failure)
        peers_fault = failure.kind not in _NOT_THE_PEERS_FAULT
        if self.selector.free(
            attempt.peer, failed=peers_fault, attempt=attempt, has_response=False
        ):
            self.log.write(Level.WARN, "upstream server temporarily disabled")
        if timed_out:
            self._write_failure(failure)

    def _write_failure(self, failure: Failure) -> None:
        self.failure_lines += write_failure(failure, self.ctx, self.log)

    async def forward_early_hints(self, headers: Sequence[Header], size: int) -> None:
        """Forward a 103 to the client, if `early_hints` of the location allows it.

        `size` is the total size of the hints of the response so far, in bytes.
        """
        if size > self.settings.buffer_size:
            self.log.write(Level.INFO, "upstream sent too big early hints")
            return
        values = lookup(self.ctx)
        passed = self.response_headers.drop_hidden(headers)
        wanted = any(
            condition.render(values) not in ("", "0")
            for conditions in self.ctx.location.core.early_hints
            for condition in conditions
        )
        if wanted and passed and self.ctx.request.version >= 11:
            await self.client.send_early_hints(self.ctx, passed)

    def release(self, attempt: UpstreamAttempt, *, reusable: bool) -> None:
        """Return peer and connection after a response."""
        self.selector.free(attempt.peer, failed=False, attempt=attempt)
        pool = self.upstream.pool
        if reusable and attempt.sent_whole and pool is not None:
            assert attempt.stream is not None
            pool.put(attempt.peer.sockaddr, self.location, attempt.stream)
        else:
            self.close_connection(attempt, gracefully=True)

    def close_connection(self, attempt: UpstreamAttempt, *, gracefully: bool) -> None:
        """Close the connection of an attempt, with close_notify if `gracefully`."""
        stream = attempt.stream
        if stream is None:
            return
        if attempt.sent and attempt.header_time is None:
            # A TLS 1.3 ticket may have arrived before the error.
            attempt.keep_session()
        if gracefully:
            stream.shutdown()
        else:
            stream.close()


class UpstreamResponse:
    """A response whose head was read; the body is read later."""

    __slots__ = ("_attempt", "_request", "head", "preread")

    def __init__(
        self, request: UpstreamRequest, attempt: UpstreamAttempt, head: ResponseHead, preread: bytes
    ) -> None:
        self.head = head
        self.preread = preread
        """Bytes received after the head."""
        self._request = request
        self._attempt = attempt

    @property
    def raw_head(self) -> bytes:
        """The head as received, if the response is to be cached."""
        return self._attempt.raw_head

    def pass_on(self) -> None:
        """Note that the response is passed on to the client."""
        selector = self._request.selector
        if selector.wants_head:
            selector.head_received(self._attempt)

    def take_complete_body(self) -> bytes | None:
        """The body, if exactly the complete body was read with the head; then release the peer."""
        attempt, request, head = self._attempt, self._request, self.head
        body = attempt.complete_body(request, head, self.preread)
        if body is None:
            return None
        attempt.response_length += len(body)
        attempt.response_time = time.monotonic() - attempt.started
        request.log.action = "sending to client"
        request.release(attempt, reusable=head.keepalive)
        return body

    def body(self, options: BodyReadOptions) -> UpstreamBody:
        """The body, to be read; the peer is released at its end."""
        return self._attempt.body(self._request, self.head, self.preread, options, self._release)

    def _release(self, reusable: bool) -> None:
        self._request.release(self._attempt, reusable=reusable)

    def discard(self) -> None:
        """Release the peer without reading the body."""
        self.body(BodyReadOptions(0.0)).drop()

    def upgraded(self) -> UpgradedStream:
        """The connection after a 101, for the new protocol."""
        settings, stream = self._request.settings, self._attempt.stream
        assert stream is not None
        return UpgradedStream(
            stream,
            self.preread,
            read_timeout=settings.read_timeout,
            send_timeout=settings.send_timeout,
            read_size=settings.buffer_size,
            state=self._attempt,
            release=self._release,
        )


def write_failure(failure: Failure, ctx: RequestContext, log: ConnectionLog) -> tuple[str, ...]:
    """Log a failure; returns the line if a page may show it (`error_detail`), else nothing."""
    if ctx.location.core.error_detail:
        return (log.callback(failure),)
    log.write_failure(failure)
    return ()
