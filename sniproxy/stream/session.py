"""One TCP session, from accept to close, in nginx's phases.

    accept ─► PROXY protocol ─► real address ─► set, limit_conn ─► allow, deny
           ─► TLS ─► preread ─► content (proxy_pass, return, pass) ─► access log

nginx's `ngx_stream_handler.c` and `ngx_stream_core_module.c`. A phase that ends the session
raises `SessionEndError` with its status.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import trio
from OpenSSL import SSL

from ..client.proxy_header import receive_proxy_header
from ..client.verify import check_client_certificate
from ..config.cidr import format_ip, parse_ip
from ..config.stream_model import StreamServer
from ..context import Connection
from ..handlers.access import FORBIDDEN_BY_RULE, match_rule
from ..handlers.preaccess import limit_connections
from ..http.header_fields import valid_host
from ..models import ConfigError, Failure, FailureType, Level, ProxyError, Side
from ..runtime import Listener
from ..tls.stream import REJECT, Reject, SocketStream, TLSStream
from ..upstream.selector import peer_name
from .preread import HelloReader, PrereadResult
from .session_context import SessionContext
from .session_log import SessionLog
from .session_variables import session_lookup
from .stream_runtime import StreamRuntime, StreamServerRuntime

OK, BAD_REQUEST, FORBIDDEN = 200, 400, 403
INTERNAL_ERROR, BAD_GATEWAY, UNAVAILABLE = 500, 502, 503
INITIALIZING = "initializing session"

HandOver = Callable[[str, int, SocketStream, Connection], bool]
"""Hands a connection to the listener of an address; whether there is one (`pass`)."""


class SessionEndError(Exception):
    """The session is over, with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class StreamSession:
    """Serves one client."""

    IS_UDP: ClassVar[bool] = False
    waiting = False
    """Whether it could be closed without harm: never."""

    def __init__(
        self,
        running: StreamRuntime,
        listener: Listener[StreamServer],
        stream: SocketStream,
        connection: Connection,
        hand_over: HandOver,
    ) -> None:
        is_udp = self.IS_UDP
        self.running = running
        self.listener = listener
        self.stream = stream
        self.hand_over = hand_over
        self.server = running.default_server(listener)
        """The server in effect: the default until the SNI selects another."""
        self.ctx = SessionContext(connection, self.server.settings, is_udp=is_udp)
        self.log = SessionLog(
            self.server.error_log,
            connection.number,
            connection.client_address,
            listener.text,
            is_udp=is_udp,
        )
        self.preread_data = b""
        """Data that was read ahead from a TLS connection; the first datagram of a UDP session."""
        self.is_handed_over = False

    def stop_if_waiting(self) -> None:
        """Sessions are not idle in between: nothing is closed."""

    async def serve(self) -> None:
        """Serve the session until its end."""
        observer, connection = self.running.observer, self.ctx.connection
        if observer is not None:
            observer.connection_accepted(connection)
        connection.write_log = self.log.write
        self.log_connected()
        self.log.action = INITIALIZING
        try:
            await self._run()
        finally:
            self.close()
            if observer is not None:
                observer.connection_closed(connection)

    def log_connected(self) -> None:
        if self.log.error_log.level < Level.INFO:
            return
        connection = self.ctx.connection
        client = connection.client_address
        if client != "unix:":
            client = peer_name((client, connection.client_port))
        udp = "udp " if self.ctx.is_udp else ""
        self.log.write_no_context(
            Level.INFO, f"{udp}client {client} connected to {self.listener.text}"
        )

    async def _run(self) -> None:
        ctx = self.ctx
        status = OK
        try:
            await self._phases()
            status = await self._content()
        except SessionEndError as end:
            status = end.status
        except ProxyError as failed:
            self.log.write_failure(failed.failure)
            status = OK
        except trio.Cancelled:
            if self.log.traffic is not None and self.running.is_cut_off():
                ctx.status = OK
                self.log_session()
            raise
        if self.is_handed_over:
            return
        ctx.status = status
        self.log_session()

    def log_session(self) -> None:
        """Write the access logs."""
        for access_log in self.server.access_logs:
            access_log.write(self.ctx, self.log)
        if self.running.observer is not None:
            self.ctx.names = self.listener.names
            self.running.observer.session_finished(self.ctx)

    def close(self) -> None:
        """Close the client's connection, and give back what the session has taken."""
        for zone, key in self.ctx.limited_connections:
            zone.release(key)
        if not self.is_handed_over:
            self.stream.shutdown()

    # --- phases

    async def _phases(self) -> None:
        if self.listener.proxy_protocol:
            await self._read_proxy_header()
        self.check_access()
        if self.listener.ssl:
            await self._handshake()
        if self.server.settings.core.ssl_preread:
            await self._preread()

    async def _read_proxy_header(self) -> None:
        self.log.action = "reading PROXY protocol"
        timeout = self.server.settings.core.proxy_protocol_timeout
        connection = self.ctx.connection
        if not await receive_proxy_header(self.stream, connection, self.log, timeout, None):
            raise SessionEndError(BAD_REQUEST)
        self.log.action = INITIALIZING

    def check_access(self) -> None:
        """The phases before TLS: real address, variables, limits, access rules."""
        server, ctx = self.server, self.ctx
        if server.settings.real_ip.set_real_ip_from:
            self._find_client(server)
        content = server.settings.content
        if content.sets or server.limits:
            values = session_lookup(ctx)
            for statement in content.sets:
                ctx.variables[statement.name] = statement.value.render(values)
            limits = server.settings.connection_limits
            if server.limits and not limit_connections(
                limits, server.limits, ctx, values, self.log
            ):
                raise SessionEndError(UNAVAILABLE)
        rules = server.settings.access.rules
        if rules:
            rule = match_rule(rules, ctx.connection.client_address)
            if rule is not None and rule.denies:
                self.log.write(Level.ERROR, FORBIDDEN_BY_RULE)
                raise SessionEndError(FORBIDDEN)

    def _find_client(self, server: StreamServerRuntime) -> None:
        """Take the client's address from the PROXY protocol, if the proxy is trusted."""
        connection = self.ctx.connection
        header = connection.proxy_header
        if header is None:
            return
        proxy = parse_ip(connection.client_address)
        trusted = (
            server.trusts_unix
            if proxy is None
            else any(proxy in network for network in server.trusted_networks)
        )
        client = parse_ip(header.client_address)
        if not trusted or client is None:
            return
        self.ctx.proxy_connection = connection
        self.ctx.connection = replace(
            connection, client_address=format_ip(client), client_port=header.client_port
        )
        self.log.client = self.ctx.connection.client_address

    # --- TLS

    async def _handshake(self) -> None:
        if not isinstance(self.stream, TLSStream):
            self.log.action = "SSL handshaking"
            await self._make_handshake()
        assert isinstance(self.stream, TLSStream)
        ssl = self.server.settings.ssl
        rejection = check_client_certificate(ssl.ssl_verify_client, self.stream)
        if rejection is not None:
            self.log.write(Level.INFO, rejection.text)
            raise SessionEndError(INTERNAL_ERROR)

    async def _make_handshake(self) -> None:
        timeout = self.server.settings.ssl.ssl_handshake_timeout
        deadline = trio.current_time() + timeout
        running = self.running
        started_at, started = time.time(), time.monotonic()
        tls = TLSStream(
            self.stream.sock,
            Side.CLIENT,
            running.tls_of(self.listener, self.server).base,
            choose=self._choose,
            dialect=running.dialect,
            keep_hello=running.keep_hellos,
        )
        tls.take_over(self.stream)
        self.stream = self.ctx.connection.tls = tls
        failure: Failure | None = None
        try:
            await tls.do_handshake(timeout)
            check = running.tls_of(self.listener, self.server).client_check
            leaf = tls.peer_certificate
            if check is not None and leaf is not None and not tls.verify_result:
                with trio.move_on_at(deadline) as waiting:
                    tls.ocsp_error = await check.failure(leaf, tls.peer_chain, self.log)
                if waiting.cancelled_caught:
                    raise SessionEndError(INTERNAL_ERROR)
        except ProxyError as failed:
            failure = failed.failure
            # nginx logs no timeout of this handshake.
            if failure.kind is not FailureType.TIMEOUT:
                self.log.write_failure(failure)
            raise SessionEndError(INTERNAL_ERROR) from None
        finally:
            observer = running.observer
            if observer is not None and observer.wants_handshakes:
                connection = self.ctx.connection
                handshake = tls.handshake(
                    f"{connection.client_address}:{connection.client_port}",
                    began=started_at,
                    duration=time.monotonic() - started,
                    failure=failure,
                )
                observer.handshake_finished(connection, handshake)

    def _choose(self, server_name: str | None) -> SSL.Context | Reject:
        """Select the virtual server and its context by the SNI in the ClientHello."""
        self._select_server(server_name)
        if self.server.settings.ssl.ssl_reject_handshake:
            return REJECT
        tls = self.running.tls_of(self.listener, self.server)
        try:
            return tls.context(self.ctx.connection)
        except ConfigError as error:
            self.log.write(Level.ERROR, error.message)
            return tls.base

    def _select_server(self, server_name: str | None) -> None:
        name = valid_host(server_name) if server_name else None
        found = self.listener.names.negotiated_match(name) if name else None
        if found is None:
            return
        settings, match = found
        if match is not None:
            self.ctx.set_captures(match)
        self.server = self.running.servers[settings]
        self.ctx.server = settings
        self.log.error_log = self.server.error_log

    # --- preread

    async def _preread(self) -> None:
        """Read a ClientHello ahead, for variables and the virtual server (`ssl_preread`)."""
        self.log.action = "prereading client data"
        core = self.server.settings.core
        reader = HelloReader()
        timeout = core.preread_timeout
        deadline = trio.current_time() + timeout
        data = b""
        while True:
            try:
                more = await self._more_data(data, core.preread_buffer_size, timeout)
            except ProxyError as failed:
                if failed.failure.kind is FailureType.TIMEOUT:
                    raise SessionEndError(OK) from None
                raise
            if len(more) <= len(data):
                raise SessionEndError(OK)  # the client has closed
            data = more
            self.ctx.hello = reader.hello
            result = reader.feed(data)
            if result is not PrereadResult.INCOMPLETE:
                break
            if len(data) >= core.preread_buffer_size:
                self.log.write(Level.ERROR, "preread buffer full")
                raise SessionEndError(BAD_REQUEST)
            timeout = deadline - trio.current_time()
        if result is PrereadResult.HELLO:
            self._select_server(reader.hello.server_name)
        else:
            self.ctx.hello = None

    async def _more_data(self, data: bytes, limit: int, timeout: float) -> bytes:
        """All data so far, of at most `limit` bytes; the same as before at the end."""
        if isinstance(self.stream, TLSStream):
            more = await self.stream.receive_some(timeout, limit - len(data))
            self.preread_data = data + more
            return self.preread_data
        return await self.stream.peek(timeout, len(data) + 1, limit)

    # --- content

    async def send_text(self, text: bytes, timeout: float) -> None:
        """Send a text to the client. Raises `ProxyError`."""
        await self.stream.send_all(text, timeout)
        self.ctx.bytes_sent += len(text)

    async def _content(self) -> int:
        self.log.action = ""
        handler = self.server.handler
        if handler is None:
            return INTERNAL_ERROR
        return await handler.handle(self)
