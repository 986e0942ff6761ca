"""One client connection, from accept to close.

    accept ─► TLS handshake ─► request head ─► phases ─► response ─► access log
                                    ▲                        │
                                    └────── keep-alive ◄─────┘

nginx's `ngx_http_request.c`. Client errors are handled here: they are logged at nginx's level, and
the connection is closed. Upstream errors have been converted to responses before.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import trio
from OpenSSL import SSL

from ..client_abort import ClientAbort, LazyCancelScope
from ..config.model import Server
from ..connection_statistics import CountedConnection, Statistic
from ..context import Connection, RequestContext
from ..handlers.response_rate import limit_response
from ..http.request_head import READING_HEADERS, READING_LINE, BadRequestError, ParsedHead
from ..logs.error import ConnectionLog
from ..models import (
    ClientAbortedError,
    ConfigError,
    Failure,
    FailureType,
    Header,
    Level,
    ProxyError,
    Response,
    Side,
    SpecialResponse,
)
from ..phases import RequestPhases
from ..runtime import HostSelector, Listener, Runtime, VirtualServer
from ..tls.errors import timeout_failure
from ..tls.stream import REJECT, Reject, SocketStream, TLSStream
from .background import respond_and_do_more, write_beside_tasks
from .keepalive import TIMED_OUT, keepalive_allowed, lingering_close, reset_on_timeout
from .proxy_header import receive_proxy_header
from .request_body import BodyReading, RequestBodyReader
from .request_reader import READ_SIZE, IncompleteRequestError, RequestReader
from .response_writer import ResponseWriter
from .tunnel import UPGRADED, tunnel
from .untrusted import report_untrusted
from .verify import tls_rejection

if TYPE_CHECKING:
    from ..ocsp.client_check import ClientCertificateCheck
    from .http2_connection import Http2Connection

HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
READING_PIPELINED = "reading client pipelined request line"
CLIENT_LEFT = (
    "epoll_wait() reported that client prematurely closed connection, "
    "so upstream connection is closed too"
)


class ConnectedClient(BodyReading):
    """The client of a request, as used by phases and handlers (`handlers.base.Client`)."""

    __slots__ = (
        "_abort",
        "_descriptor",
        "_log",
        "_running",
        "observer",
        "scope",
        "writer",
    )

    def __init__(self, running: Runtime, log: ConnectionLog) -> None:
        self.observer = running.observer
        self.body = None
        self.scope = LazyCancelScope()
        """Cancelled when the client closes its side during a request to an upstream."""
        self._running = running
        self._log = log
        self._abort: ClientAbort | None = None
        self._descriptor = -1

    def open(self, writer: ResponseWriter) -> None:
        """Start after the TLS handshake."""
        self.writer = writer

    @property
    def has_body(self) -> bool:
        return self.body is not None

    async def send_early_hints(self, ctx: RequestContext, headers: Sequence[Header]) -> None:
        """Send a 103. Raises `ClientAbortedError`."""
        try:
            await self.writer.early_hints(ctx, headers)
        except ProxyError as failed:
            self._log.write_failure(failed.failure)
            raise ClientAbortedError(Response(500, close_without_response=True)) from None

    def abort(self) -> ClientAbort:
        """A context in which the connection is cancelled if the client closes its side."""
        if self._abort is None:
            self._descriptor = self.writer.stream.sock.fileno()
            self.scope.open()
            self._abort = self._running.client_aborts.add(self._descriptor, self.scope)
        return self._abort

    def close(self) -> None:
        """Stop monitoring the client, whose socket was closed."""
        if self._abort is not None:
            self._running.client_aborts.remove(self._descriptor, self._abort)


class ClientConnection:
    """Serves the requests of a client connection, one after the other."""

    def __init__(
        self,
        running: Runtime,
        listener: Listener[Server],
        stream: SocketStream,
        connection: Connection,
    ) -> None:
        self.running = running
        self.listener = listener
        self.connection = connection
        self.selector = HostSelector(running, listener)
        self.default = self.selector.server
        """Virtual server in effect until the Host field selects one: by SNI, else the
        listener's default."""
        self.log = ConnectionLog(
            self.default.default_location.error_log,
            connection.number,
            connection.client_address,
            listener.text,
        )
        connection.write_log = self.log.write
        self.stream = stream
        self.client = ConnectedClient(running, self.log)
        self.head_deadline: float | None = None
        """Deadline for a complete request head (`client_header_timeout`). For the first request it
        counts from the start of the connection, including the TLS handshake; for later ones from
        the first byte, so it is set only if the head is incomplete then."""
        self.reading_line = READING_LINE
        """Log action while a request line is read."""
        self.keepalive_timeout = 0.0
        """Seconds to wait for the next request."""
        statistics = running.statistics
        self.counted = None if statistics is None else CountedConnection(statistics)
        """Counts the connection and its requests."""
        connection.statistics = statistics
        self.waiting = False
        """Whether the connection is idle between two requests; a graceful stop then closes it."""
        self.http2: Http2Connection | None = None
        """The HTTP/2 layer of the connection; None with HTTP/1."""

    def stop_if_waiting(self) -> None:
        """Close the connection if it is idle, by simulating EOF."""
        if self.http2 is not None:
            self.http2.stop()
        elif self.waiting:
            self.waiting = False
            self.stream.shutdown_reading()

    async def serve(self) -> None:
        """Serve requests until the connection is closed."""
        observer = self.running.observer
        if observer is not None:
            observer.connection_accepted(self.connection)
        try:
            with self.client.scope:
                self.head_deadline = self._head_deadline()
                if self.listener.proxy_protocol and not await self._read_proxy_header():
                    return
                if self.listener.ssl and not await self._handshake():
                    return
                if self.listener.may_use_http2 and await self._speaks_http2():
                    await self._serve_http2()
                    return
                self.log.action = "waiting for request"
                self.reader = RequestReader(self.stream)
                self.writer = ResponseWriter(self.stream)
                self.client.open(self.writer)
                while await self._wait_for_request() and await self._serve_request():
                    self.log.next_request()
                    self.log.error_log = self.default.default_location.error_log
                    self.log.action = "keepalive"
        except ProxyError as failed:
            self.log.write_failure(failed.failure)
        finally:
            self.stream.close()
            self.client.close()
            if self.counted is not None:
                self.counted.close()
            if observer is not None:
                observer.connection_closed(self.connection)

    def _head_deadline(self) -> float:
        return trio.current_time() + self.default.settings.core.client_header_timeout

    async def _read_proxy_header(self) -> bool:
        """Read the header of the PROXY protocol; False if the connection ends instead."""
        self.log.action = "reading PROXY protocol"
        assert self.head_deadline is not None
        timeout = self.head_deadline - trio.current_time()
        size = None if self.listener.ssl else self.default.settings.core.client_header_buffer_size
        return await receive_proxy_header(self.stream, self.connection, self.log, timeout, size)

    # --- HTTP/2 ---

    def _offers_http2(self) -> bool:
        """Whether HTTP/2 is enabled by the virtual server in effect, or the address."""
        return self.listener.http2 or self.default.settings.http2.http2

    async def _speaks_http2(self) -> bool:
        """Whether HTTP/2 was negotiated, or the client starts with its preface without TLS."""
        tls = self.connection.tls
        if tls is not None or not self._offers_http2():
            return tls is not None and tls.alpn == "h2"
        if self.listener.ssl:
            return False
        assert self.head_deadline is not None
        begun = 0
        while True:
            timeout = self.head_deadline - trio.current_time()
            data = await self.stream.peek(timeout, begun + 1)
            if len(data) <= begun or not HTTP2_PREFACE.startswith(data[: len(HTTP2_PREFACE)]):
                return False
            begun = len(data)
            if begun >= len(HTTP2_PREFACE):
                return True

    async def _serve_http2(self) -> None:
        # Imported here: h2 and hpack are needed only for such connections.
        from .http2_connection import Http2Connection

        self.http2 = Http2Connection(self)
        await self.http2.serve()

    # --- TLS ---

    async def _handshake(self) -> bool:
        """Do the TLS handshake; False if the client has closed. Plain HTTP goes on without."""
        self.log.action = "SSL handshaking"
        assert self.head_deadline is not None
        peeked = await self.stream.peek(self.head_deadline - trio.current_time())
        if not peeked:
            self.log.write(Level.INFO, "client closed connection")
            return False
        if peeked[0] != 0x16 and not peeked[0] & 0x80:
            return True
        if self.counted is not None:
            self.counted.enter(None)
        started_at, started = time.time(), time.monotonic()
        running = self.running
        tls = TLSStream(
            self.stream.sock,
            Side.CLIENT,
            running.tls_of(self.listener, self.default).base,
            choose=self._choose,
            offers_http2=self._offers_http2 if self.listener.may_use_http2 else None,
            dialect=running.dialect,
            peeked=peeked,
            keep_hello=running.keep_hellos,
        )
        tls.take_over(self.stream)
        self.stream = self.connection.tls = tls
        del peeked  # otherwise this frame keeps it alive during the handshake
        failure: Failure | None = None
        try:
            await tls.do_handshake(self.head_deadline - trio.current_time())
        except ProxyError as failed:
            failure = failed.failure
            served = running.tls_of(self.listener, self.default)
            report_untrusted(running, served, failure, self.log)
            raise
        else:
            check = running.tls_of(self.listener, self.default).client_check
            if check is not None:
                await self._check_certificate(check, tls)
        finally:
            observer, recent = running.observer, running.recent
            wanted = observer is not None and observer.wants_handshakes
            if wanted or (recent is not None and failure is not None):
                handshake = tls.handshake(
                    f"{self.connection.client_address}:{self.connection.client_port}",
                    began=started_at,
                    duration=time.monotonic() - started,
                    failure=failure,
                )
                if observer is not None:
                    observer.handshake_finished(self.connection, handshake)
                elif recent is not None:
                    recent.handshakes.append((self.connection, handshake))
        return True

    async def _check_certificate(self, check: ClientCertificateCheck, tls: TLSStream) -> None:
        """Check the client's certificate by OCSP (`ssl_ocsp`)."""
        leaf = tls.peer_certificate
        if leaf is None or tls.verify_result:
            return
        assert self.head_deadline is not None
        with trio.move_on_at(self.head_deadline) as waiting:
            tls.ocsp_error = await check.failure(leaf, tls.peer_chain, self.log)
        if waiting.cancelled_caught:
            raise ProxyError(timeout_failure(Side.CLIENT))

    def _choose(self, server_name: str | None) -> SSL.Context | Reject:
        """Select the virtual server and its context by the SNI in the ClientHello."""
        negotiated = self.running.negotiated(self.listener, server_name)
        if negotiated is not None:
            self.selector.sni, self.default = negotiated
            self.log.error_log = self.default.default_location.error_log
        if self.default.settings.ssl.ssl_reject_handshake:
            return REJECT
        tls = self.running.tls_of(self.listener, self.default)
        try:
            return tls.context(self.connection)
        except ConfigError as error:
            self.log.write(Level.ERROR, error.message)
            return tls.base

    # --- one request ---

    async def _wait_for_request(self) -> bool:
        """Wait for the first byte of a request; False if the connection ends instead."""
        if self.reader.buffer:
            self.reading_line = READING_PIPELINED
            self.head_deadline = None
            return True
        self.reading_line = READING_LINE
        if self.counted is not None:
            self.counted.enter(Statistic.WAITING)
        if not self.connection.requests:
            assert self.head_deadline is not None
            timeout = self.head_deadline - trio.current_time()
            data = await self.stream.receive_some(timeout, READ_SIZE)
            if not data:
                self.log.write(Level.INFO, "client closed connection")
                return False
            self.reader.buffer += data
            return True
        self.waiting = True
        try:
            data = await self.stream.receive_some(
                self.keepalive_timeout, READ_SIZE, wait_first=True
            )
        except ProxyError as failed:
            if failed.failure.kind is FailureType.TIMEOUT:
                self.stream.shutdown()
            else:
                self._log_keepalive_closed(failed.failure.errno)
            return False
        finally:
            self.waiting = False
        if not data:
            if not self.running.stopping:
                self._log_keepalive_closed(self.stream.end_errno)
            return False
        self.head_deadline = None
        self.reader.buffer += data
        return True

    def _log_keepalive_closed(self, errno: int | None) -> None:
        text = f"client {self.log.client} closed keepalive connection"
        self.log.write_no_context(Level.INFO, Failure(text, errno=errno).message)

    async def _serve_request(self) -> bool:
        """Serve one request; returns whether another may follow."""
        log, selector = self.log, self.selector
        log.action = self.reading_line
        if self.counted is not None:
            self.counted.read_request()
        rules = self.default.head_rules
        head = self.reader.simple_head(rules, selector.select)
        if head is None:
            try:
                deadline = self.head_deadline or self._head_deadline()
                head = await self.reader.head(rules, selector.select, deadline)
            except BadRequestError as refused:
                return await self._reject(refused)
            except IncompleteRequestError as incomplete:
                return await self._reject(incomplete.request, silent=True)
        server = selector.server
        phases = self._begin_request(server, head)
        ctx = phases.ctx
        if selector.captures is not None:
            ctx.set_captures(selector.captures)
        try:
            if server.does_more:
                # Opens its cancel scope, which must be outside of the nursery of the copies.
                self.client.abort()
                return await respond_and_do_more(phases, partial(self._respond, phases))
            response = await phases.run(self._rejection(phases) if self.listener.ssl else None)
            if not response.allow_conditional:
                log.action = "sending to client"
            return await self._send(ctx, response)
        except ProxyError as failed:
            log.write_failure(failed.failure)
            return False
        except BaseException:
            # Cancelled, alone or in an exception group.
            if self.client.scope.cancel_called:
                log.write(Level.INFO, CLIENT_LEFT)
                if not (ctx.status and ctx.bytes_sent):
                    ctx.status = 499
            raise
        finally:
            if self.client.body is not None:
                self.client.body.close()
            if self.counted is not None:
                self.counted.enter(None)
            phases.finish(self.running, client_left=self.client.scope.cancel_called)
            if ctx.proxy_connection is not None:
                log.client = self.connection.client_address

    async def _respond(self, phases: RequestPhases) -> bool:
        response = await phases.run(self._rejection(phases) if self.listener.ssl else None)
        if not response.allow_conditional:
            self.log.action = "sending to client"
        return await self._send(phases.ctx, response)

    def _rejection(self, phases: RequestPhases) -> SpecialResponse | None:
        """The response that rejects a request because of TLS; None to go on."""
        tls = self.connection.tls
        if tls is None or phases.server.settings.ssl.ssl_verify_client != "off":
            return tls_rejection(phases.ctx, tls, self.log)
        return None

    def _begin_request(self, server: VirtualServer, head: ParsedHead) -> RequestPhases:
        """Create the phases of a request, and set what log lines contain from now on."""
        if self.counted is not None:
            self.counted.enter(Statistic.WRITING)
        self.connection.requests += 1
        request = head.request
        self.log.action = READING_HEADERS if request.version > 9 else READING_LINE
        phases = RequestPhases.begin(server, self.connection, head, self.client, self.log)
        self.client.body = None
        if request.chunked or request.content_length or request.expects_continue:
            self.client.body = RequestBodyReader(self.stream, self.reader, self.log)
        if self.reading_line is READING_PIPELINED:
            phases.ctx.pipelined = True
        if self.running.observer is not None:
            self.running.observer.request_read(phases.ctx)
        return phases

    # --- the response ---

    async def _send(self, ctx: RequestContext, response: Response) -> bool:
        """Send a response; returns whether another request may follow."""
        core, request = ctx.location.core, ctx.request
        rate = ctx.location.filters.rate
        if rate.limit_rate is not None or rate.limit_rate_after is not None:
            limit_response(rate, ctx, self.log)
        if self.running.observer is not None:
            response = self.running.observer.response_started(ctx, response)
        may_keep = not self.running.stopping and keepalive_allowed(core, request, self.connection)
        try:
            if request.expects_continue and self.client.body is not None:
                # Handlers ask for the body even if they discard it; error pages do not.
                by_handler = ctx.last_error is None and not response.close_without_response
                if ctx.answers_expectation or by_handler:
                    await self.client.body.send_continue(ctx)
            if ctx.background_tasks:
                write = partial(self.writer.write, ctx, response, may_keep=may_keep)
                keep = await write_beside_tasks(ctx, write)
            elif response.cancel_on_client_abort:
                with self.client.abort():
                    keep = await self.writer.write(ctx, response, may_keep=may_keep)
            else:
                keep = await self.writer.write(ctx, response, may_keep=may_keep)
        except ProxyError as failed:
            if failed.failure.kind is FailureType.TIMEOUT:
                reset_on_timeout(self.stream, core)
            raise
        if self.running.observer is not None:
            self.running.observer.response_sent(ctx)
        if response.close_without_response:
            if response.status in TIMED_OUT:
                reset_on_timeout(self.stream, core)
            return False
        if response.upgraded is not None:
            self.log.action = UPGRADED
            rest = self.reader.take_buffered()
            await tunnel(self.stream, response.upgraded, rest, ctx, self.log)
            self.stream.shutdown()
            return False
        unread, body = False, self.client.body
        if body is not None:
            unread = body.has_unread(request)
            if body.partially_read:
                keep = False
            if unread and not body.started:
                # The connection stays open until the body has arrived, as with nginx.
                if not await self.reader.discard_body(ctx):
                    self.stream.shutdown()
                    return False
                unread = False
        if keep and not self.running.stopping:  # it may have begun to stop since the head was sent
            self.keepalive_timeout = core.keepalive_timeout[0]
            return True
        await lingering_close(self.stream, core, unread=unread or bool(self.reader.buffer))
        return False

    async def _reject(self, refused: BadRequestError, *, silent: bool = False) -> bool:
        """Respond to a malformed head with an error page, and close; `silent` sends no page."""
        server = self.default
        if refused.name is not None:
            self.selector.select(refused.name)
            server = self.selector.server
        head = ParsedHead(refused.request(), refused.length, refused.notes)
        phases = self._begin_request(server, head)
        ctx = phases.ctx
        at_the_line = refused.action == READING_LINE
        self.log.action = self.reading_line if at_the_line else refused.action
        self.log.headers = refused.log_headers
        self.log.write(refused.level, refused.text)
        ctx.refused = refused
        if not refused.length:
            ctx.method = ""
        core = ctx.location.core
        try:
            if silent:
                ctx.status = refused.status
                if refused.status in TIMED_OUT:
                    reset_on_timeout(self.stream, core)
                return False
            response = await phases.run(SpecialResponse(refused.status))
            self.log.action = "sending to client"
            await self.writer.write(ctx, response, may_keep=False)
            await lingering_close(self.stream, ctx.location.core, unread=True)
        except ProxyError as failed:
            self.log.write_failure(failed.failure)
        finally:
            phases.finish(self.running, client_left=False)
        return False
