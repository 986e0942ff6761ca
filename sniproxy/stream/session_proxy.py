"""`proxy_pass`: connect a session to a peer of its upstream, and pass data.

nginx's `ngx_stream_proxy_module.c`. Peers are selected as for HTTP requests; a connection that
cannot be made is tried with the next one.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

import trio
from OpenSSL import SSL

from ..config.directives.slots import parse_size
from ..config.directives.stream_proxy import StreamProxySettings
from ..config.directives.upstream_target import ProxyPass
from ..context import UpstreamState
from ..models import FailureType, Level, ProxyError, Side
from ..proxy_protocol import proxy_header_v1
from ..system import UNIX_FAMILY
from ..template import Template, VariableLookup
from ..tls.errors import NATIVE, Dialect
from ..tls.stream import TLSStream
from ..upstream.connector import PeerConnection, UpstreamTLSConfig, bound_address
from ..upstream.dynamic import DynamicUpstream, parse_stream_target
from ..upstream.selector import Peer, Upstream, peer_name
from ..upstream.variable_certificate import VariableCertificate
from .datagram_relay import DatagramRelay
from .datagram_session import DatagramSession
from .proxied_session import ProxiedSession
from .relay import PROXYING, Direction, Relay
from .session import BAD_GATEWAY, INTERNAL_ERROR, OK, StreamSession
from .session_log import SessionTraffic
from .session_variables import session_lookup

CONNECTING = "connecting to upstream"
MAX_CONSTANT = 1024


def rate(template: Template | None, values: VariableLookup) -> int:
    """Bytes per second; 0 for no limit."""
    return 0 if template is None else parse_size(template.render(values)) or 0


def wire_format(names: Sequence[str]) -> bytes:
    """Protocols for ALPN, each after its length."""
    encoded = [name.encode("latin-1") for name in names]
    return b"".join(bytes((len(name),)) + name for name in encoded if 0 < len(name) < 256)


class SessionProxy:
    """The `proxy_pass` of one server."""

    def __init__(
        self,
        target: ProxyPass,
        settings: StreamProxySettings,
        upstream: Upstream | DynamicUpstream,
        context: SSL.Context | None = None,
        certificate: VariableCertificate | None = None,
        dialect: Dialect = NATIVE,
    ) -> None:
        """`context` is None without TLS towards the upstream (`proxy_ssl`)."""
        self.target = target
        self.settings = settings
        self.upstream = upstream
        self._context = context
        self._certificate = certificate
        self._dialect = dialect
        self._constant: dict[str, Upstream] = {}
        """Upstreams by the evaluated `proxy_pass`, where they are the same for every session."""

    async def handle(self, session: StreamSession) -> int:
        ctx, log = session.ctx, session.log
        pending = session.preread_data
        read_ahead = self._reads_ahead(session)
        if read_ahead and not pending:
            # nginx reads what has arrived before it connects.
            pending = session.stream.receive_nowait(self.settings.proxy_buffer_size) or b""
        if not ctx.is_udp:
            ctx.received += len(pending)
        log.traffic = lambda: SessionTraffic(ctx.received, ctx.bytes_sent, 0, 0)
        values = session_lookup(ctx)
        bind = self.settings.bind
        local = None if bind is None else bound_address(bind, values, log)
        try:
            upstream = await self._upstream_of(values)
        except ProxyError as failed:
            log.write_failure(failed.failure)
            return INTERNAL_ERROR
        proxied = ProxiedSession(self.settings, session, upstream)
        proxied.local_address = local
        proxied.pending = pending
        proxied.read_ahead = read_ahead
        log.traffic = proxied.traffic
        if isinstance(session, DatagramSession):
            return await self._pass_datagrams(proxied, session, values)
        attempt = await self._connect(proxied, self._tls(upstream.name, values), values)
        if isinstance(attempt, int):
            return attempt
        try:
            await self._pass_data(proxied, attempt, values)
        except trio.Cancelled:
            self._log_shutdown(session)
            raise
        finally:
            self._finish(proxied, attempt)
        return OK

    @staticmethod
    def _log_shutdown(session: StreamSession) -> None:
        """Say why a session ends that is cancelled, unless the process is terminated."""
        if session.running.is_cut_off():
            session.log.action = PROXYING
            session.log.write(Level.INFO, "shutdown timeout")

    @staticmethod
    def _reads_ahead(session: StreamSession) -> bool:
        """Whether nginx has waited for data of the client already."""
        plain = not isinstance(session.stream, TLSStream)
        return plain and not session.ctx.is_udp and session.server.settings.core.ssl_preread

    async def _upstream_of(self, values: VariableLookup) -> Upstream:
        """The upstream of the session. Raises `ProxyError`."""
        if isinstance(self.upstream, Upstream):
            return self.upstream
        assert self.target.template is not None
        text = self.target.template.render(values)
        known = self._constant.get(text)
        if known is not None:
            return known
        target = parse_stream_target(self.target, text)
        upstream = await self.upstream.upstream(target)
        # A single address has no state, but for TLS sessions.
        if upstream.explicit or (
            target.address is not None and target.address.is_literal and self._context is None
        ):
            if len(self._constant) >= MAX_CONSTANT:
                self._constant.clear()
            self._constant[text] = upstream
        return upstream

    def _tls(self, host: str, values: VariableLookup) -> UpstreamTLSConfig | None:
        if self._context is None:
            return None
        settings, certificate = self.settings, self._certificate
        name = host if settings.ssl_name is None else settings.ssl_name.render(values)
        return UpstreamTLSConfig(
            self._context,
            without_port(name),
            settings.ssl_server_name,
            settings.ssl_verify,
            settings.ssl_session_reuse,
            self._dialect,
            None if certificate is None else lambda: certificate.context(values),
        )

    # --- connecting

    async def _connect(
        self, proxied: ProxiedSession, tls: UpstreamTLSConfig | None, values: VariableLookup
    ) -> PeerConnection | int:
        """A connection to a peer; the status if none can be made."""
        log, selector, ctx = proxied.log, proxied.selector, proxied.ctx
        while True:
            log.action = CONNECTING
            peer = selector.get()
            if peer is None:
                return self._no_live_upstreams(proxied)
            log.peer = peer.name
            if proxied.read_ahead:
                proxied.read_ahead = False
                log.action = PROXYING
            attempt = PeerConnection(peer, tls)
            if ctx.is_udp:
                attempt.kind = socket.SOCK_DGRAM
            if self.settings.proxy_ssl_alpn:
                offered = [one.render(values) for one in self.settings.proxy_ssl_alpn]
                attempt.alpn = wire_format(offered)
            ctx.upstream_states.append(attempt)
            preamble = b""
            if tls is not None and self.settings.proxy_protocol:
                preamble = proxy_header_v1(ctx.connection)
            proxied.preamble_sent = 0
            try:
                stream = await attempt.connect(proxied, preamble)
            except ProxyError as failed:
                failure = failed.failure
            except BaseException:
                selector.free(peer, failed=False, attempt=attempt, has_response=False)
                if attempt.stream is not None:
                    attempt.stream.close()
                raise
            else:
                proxied.preamble_sent = len(preamble)
                attempt.connect_time = time.monotonic() - attempt.started
                self._set_up(stream.sock, proxied, peer)
                selector.connected(peer, attempt, is_tcp=not ctx.is_udp)
                return attempt
            attempt.failure = failure
            attempt.response_time = time.monotonic() - attempt.started
            is_handshake = isinstance(attempt.stream, TLSStream)
            if is_handshake:
                proxied.preamble_sent = attempt.bytes_sent = len(preamble)
            # nginx logs no timeout of this handshake.
            if not (is_handshake and failure.kind is FailureType.TIMEOUT):
                log.write_failure(failure)
            if failure.kind is FailureType.INTERNAL:
                selector.free(peer, failed=False, attempt=attempt, has_response=False)
                self._close(attempt, gracefully=True)
                return INTERNAL_ERROR
            if selector.free(peer, failed=True, attempt=attempt, has_response=False):
                log.write(Level.WARN, "upstream server temporarily disabled")
            if not self._tries_next(proxied):
                self._close(attempt, gracefully=True)
                return BAD_GATEWAY
            self._close(attempt, gracefully=False)

    def _tries_next(self, proxied: ProxiedSession) -> bool:
        settings = self.settings
        timeout = settings.next_upstream_timeout
        return (
            proxied.selector.tries_left > 0
            and settings.proxy_next_upstream
            and not (timeout and time.monotonic() - proxied.started >= timeout)
        )

    def _no_live_upstreams(self, proxied: ProxiedSession) -> int:
        name = proxied.upstream.name
        proxied.log.peer = name
        proxied.log.write(Level.ERROR, "no live upstreams")
        state = UpstreamState(name, time.monotonic())
        state.response_time = 0.0
        proxied.ctx.upstream_states.append(state)
        return BAD_GATEWAY

    def _set_up(self, sock: socket.socket, proxied: ProxiedSession, peer: Peer) -> None:
        log = proxied.log
        is_unix = peer.family == UNIX_FAMILY
        if not (is_unix or log.is_udp):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if log.error_log.level >= Level.INFO:
            name = sock.getsockname()
            udp = "udp " if log.is_udp else ""
            local = "unix:" if is_unix else peer_name(name)
            log.write_no_context(Level.INFO, f"{udp}proxy {local} connected to {peer.name}")

    @staticmethod
    def _close(attempt: PeerConnection, *, gracefully: bool) -> None:
        stream = attempt.stream
        if stream is not None:
            if gracefully:
                stream.shutdown()
            else:
                stream.close()

    # --- passing data

    async def _pass_data(
        self, proxied: ProxiedSession, attempt: PeerConnection, values: VariableLookup
    ) -> None:
        session, settings, log = proxied.session, self.settings, proxied.log
        client, upstream = session.stream, attempt.stream
        assert upstream is not None
        pending = proxied.pending
        header = b""
        if settings.proxy_protocol and not isinstance(upstream, TLSStream):
            header = proxy_header_v1(proxied.ctx.connection)
        up = Direction(
            Side.CLIENT,
            client,
            upstream,
            rate(settings.proxy_upload_rate, values),
            header + pending,
        )
        # The session counts what was read before.
        up.received = 0
        down = Direction(
            Side.UPSTREAM, upstream, client, rate(settings.proxy_download_rate, values), b""
        )
        relay = proxied.relay = Relay(
            session.running.relays,
            up,
            down,
            timeout=settings.proxy_timeout,
            buffer_size=settings.proxy_buffer_size,
            half_close=settings.proxy_half_close,
            log=log,
        )
        proxied.watch_first_byte(relay, attempt)
        await relay.run()
        if relay.ended_by is not None and log.error_log.level >= Level.INFO:
            log.write_no_context(
                Level.INFO, f"{relay.ended_by.value} disconnected{proxied.traffic()}"
            )

    async def _pass_datagrams(
        self, proxied: ProxiedSession, session: DatagramSession, values: VariableLookup
    ) -> int:
        """Pass the datagrams of a UDP session; returns its status."""
        settings, log, ctx = self.settings, proxied.log, proxied.ctx
        relay = session.relay = DatagramRelay(
            session.running.relays,
            session.client,
            settings,
            log=log,
            rates=(
                rate(settings.proxy_upload_rate, values),
                rate(settings.proxy_download_rate, values),
            ),
        )
        before = ctx.received

        def traffic() -> SessionTraffic:
            received = before + relay.received
            return SessionTraffic(received, relay.sent, relay.from_upstream, relay.to_upstream)

        log.traffic = traffic
        attempt = await self._connect(proxied, None, values)
        if isinstance(attempt, int):
            return attempt
        assert attempt.stream is not None
        proxied.watch_first_byte(relay, attempt)
        selector, first = proxied.selector, session.preread_data
        if settings.proxy_protocol:
            first = proxy_header_v1(ctx.connection) + first
        try:
            await relay.run(attempt.stream.sock, first)
            if relay.ended is not None and log.error_log.level >= Level.INFO:
                packets = f", packets from/to client:{relay.requests}/{relay.responses}"
                packets = "" if relay.ended.startswith("disconnected") else packets
                numbers = traffic() if packets else ""
                log.write_no_context(Level.INFO, f"{relay.ended}{packets}{numbers}")
        except trio.Cancelled:
            self._log_shutdown(session)
            raise
        finally:
            numbers = traffic()
            ctx.received, ctx.bytes_sent = numbers.from_client, numbers.to_client
            attempt.bytes_received = numbers.from_upstream
            attempt.bytes_sent = numbers.to_upstream
            attempt.response_time = time.monotonic() - attempt.started
            if relay.first_byte_at is not None:
                attempt.header_time = relay.first_byte_at - attempt.started
            failed = relay.peer_failed
            selector.free(attempt.peer, failed=failed, attempt=attempt, has_response=not failed)
            attempt.stream.close()
        return BAD_GATEWAY if relay.timed_out else OK

    def _finish(self, proxied: ProxiedSession, attempt: PeerConnection) -> None:
        """Note the numbers of the session, and close the connection to the upstream."""
        ctx, traffic = proxied.ctx, proxied.traffic()
        ctx.received, ctx.bytes_sent = traffic.from_client, traffic.to_client
        attempt.bytes_received, attempt.bytes_sent = traffic.from_upstream, traffic.to_upstream
        attempt.response_time = time.monotonic() - attempt.started
        relay = proxied.relay
        if relay is not None:
            if relay.first_byte_at is not None:
                attempt.header_time = relay.first_byte_at - attempt.started
            # From now on the numbers of the session are complete.
            proxied.relay = None
        proxied.log.traffic = lambda: traffic
        proxied.selector.free(attempt.peer, failed=False, attempt=attempt)
        attempt.keep_session()
        self._close(attempt, gracefully=True)


def without_port(name: str) -> str:
    """A name for SNI without its port, as nginx cuts it off."""
    start = name.find("]") if name.startswith("[") else 0
    colon = name.find(":", max(start, 0))
    return name if colon < 0 else name[:colon]
