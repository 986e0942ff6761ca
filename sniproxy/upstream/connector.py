"""Connections to peers: connect, handshake, verify, in nginx's order.

    connect ─► SO_ERROR ─► SNI, session ─► handshake ─► chain ─► name

Chain and name are verified after the handshake, as in nginx: the upstream receives no alert,
only a closed connection. Errors are raised as `ProxyError` with nginx's messages; errors of the
operating system are converted here, those of TLS in `tls.stream`.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from OpenSSL import SSL

from ..config.directives.upstream_target import Bind, LocalAddress, local_address
from ..config.directives.upstream_tls import ConnectionSettings
from ..context import UpstreamState
from ..logs.error import ConnectionLog
from ..models import Failure, FailureType, Handshake, Level, ProxyError, Side
from ..observer import Observer
from ..server_name import certificate_names, check_host, sent_server_name
from ..system import CONNECTING, SOCK_NONBLOCK
from ..template import VariableLookup
from ..tls.errors import NATIVE, Dialect
from ..tls.stream import SocketStream, TLSStream
from .selector import Peer, Upstream

# nginx logs these network errors at level error, others at crit.
_NETWORK_ERRNOS = frozenset(
    (
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EAGAIN,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ETIMEDOUT,
    )
)

DEFAULTS = ConnectionSettings.resolve()


@dataclass(frozen=True, slots=True)
class UpstreamTLSConfig:
    """Settings of the TLS handshakes of one request: the location's, with the name evaluated."""

    context: SSL.Context
    name: str
    """The upstream name, without port (`proxy_ssl_name`)."""
    server_name: bool
    """`proxy_ssl_server_name`."""
    verify: bool
    """`proxy_ssl_verify`."""
    session_reuse: bool
    """`proxy_ssl_session_reuse`."""
    dialect: Dialect = NATIVE
    """The OpenSSL release whose error strings are used (`ssl_error_dialect`)."""
    named: Callable[[], SSL.Context | None] | None = None
    """Returns the context for a certificate named by variables; None to use `context`."""

    sent_name: str | None = field(init=False)
    """The SNI to send; None for no SNI."""

    def __post_init__(self) -> None:
        sent = sent_server_name(self.name, proxy_ssl_server_name=self.server_name)
        object.__setattr__(self, "sent_name", sent)

    def stream(self, plain: SocketStream, peer: Peer, alpn: bytes = b"") -> TLSStream:
        """The TLS stream of a connection to `peer`, before the handshake; raises `ProxyError`.

        `alpn` are the protocols to offer, in wire format.
        """
        context = self.context if self.named is None else self.named() or self.context
        stream = TLSStream(
            plain.sock,
            Side.UPSTREAM,
            context,
            server_name=self.sent_name,
            session=peer.session if self.session_reuse else None,
            alpn=alpn,
            dialect=self.dialect,
        )
        stream.take_over(plain)
        return stream


def bound_address(bind: Bind, values: VariableLookup, log: ConnectionLog) -> LocalAddress | None:
    """The local address of `proxy_bind`; None if it is empty, or invalid, which is logged."""
    text = bind.address.render(values)
    if not text:
        return None
    address = local_address(text)
    if address is None:
        log.write(Level.ERROR, f'invalid local address "{text}"')
    return address


async def connect(
    peer: Peer,
    timeout: float,
    settings: ConnectionSettings = DEFAULTS,
    local: LocalAddress | None = None,
    kind: int = socket.SOCK_STREAM,
) -> SocketStream:
    """Connect to `peer` within `timeout` seconds (`proxy_connect_timeout`), without TLS.

    `settings` has the socket options, `local` is the local address (`proxy_bind`), `kind` the type
    of the socket.
    Raises `ProxyError`.
    """
    try:
        sock = socket.socket(peer.family, kind | SOCK_NONBLOCK)
    except OSError as error:
        failure = Failure("socket() failed", Level.ALERT, FailureType.INTERNAL, error.errno)
        raise ProxyError(failure) from None
    try:
        if settings.socket_keepalive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if settings.socket_rcvbuf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, settings.socket_rcvbuf)
        if settings.socket_sndbuf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.socket_sndbuf)
        if local is not None:
            _bind(sock, local)
        stream = SocketStream(sock, Side.UPSTREAM)
        try:
            error_number = sock.connect_ex(peer.sockaddr)
        except OSError as error:
            error_number = error.errno or errno.EINVAL
        text = f"connect() to {peer.name} failed"
        if error_number in CONNECTING:
            text = "connect() failed"
            # A connection on the same machine may be established already.
            error_number = sock.connect_ex(peer.sockaddr)
            if error_number == errno.EALREADY:
                await stream.wait_writable(timeout)
                error_number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            elif error_number == errno.EISCONN:
                error_number = 0
        if error_number:
            level = Level.ERROR if error_number in _NETWORK_ERRNOS else Level.CRIT
            raise ProxyError(Failure(text, level, errno=error_number))
    except BaseException:
        sock.close()
        raise
    return stream


def _bind(sock: socket.socket, local: LocalAddress) -> None:
    if not local.port and hasattr(socket, "IP_BIND_ADDRESS_NO_PORT"):
        # The kernel selects the port in connect(): a port can be used for several destinations.
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
    try:
        sock.bind((local.host, local.port))
    except OSError as error:
        # Another address family is rejected before the system call.
        number = errno.EAFNOSUPPORT if isinstance(error, socket.gaierror) else error.errno
        text = f"bind({local.text}) failed"
        raise ProxyError(Failure(text, Level.CRIT, FailureType.INTERNAL, number)) from None


def keep_session(peer: Peer, stream: TLSStream) -> None:
    """Store the session of `stream`, if there is one, to offer it to `peer` next time.

    nginx stores the last session of a peer, regardless of the result of the request, and offers
    it to the next connection of any location: context, name and verification may differ, and
    the result of the verification is part of the session.
    """
    peer.session = stream.session or peer.session


def handshake_line(handshake: Handshake) -> str:
    """Format a handshake as a line of the debug log (an extension)."""
    sent = handshake.server_name
    parts = [f'SNI "{sent}"' if sent is not None else "no SNI"]
    if handshake.protocol:
        parts += [handshake.protocol, handshake.cipher]
        parts.append("resumed session" if handshake.resumed else "new session")
    if handshake.verified_name is not None:
        parts.append(f'verified as "{handshake.verified_name}"')
    if handshake.verify_result:
        parts.append(f"chain: {handshake.verify_result}:{handshake.verify_error}")
    ended = "done" if handshake.failure is None else "failed"
    return f"upstream SSL handshake {ended} in {handshake.duration:.3f}s: {', '.join(parts)}"


def verify(stream: TLSStream, name: str) -> None:
    """Verify the certificate as nginx does, first the chain, then the name; raises `ProxyError`."""
    result = stream.verify_result
    if result:
        words = stream.verify_error()
        raise ProxyError(Failure(f"upstream SSL certificate verify error: ({result}:{words})"))
    certificate = stream.peer_certificate
    if certificate is None or not check_host(certificate_names(certificate), name):
        raise ProxyError(Failure(f'upstream SSL certificate does not match "{name}"'))


class PeerRequest(Protocol):
    """What connects: a request to an upstream, or a session."""

    @property
    def ctx(self) -> Any: ...
    @property
    def settings(self) -> ConnectionSettings: ...
    @property
    def upstream(self) -> Upstream: ...
    @property
    def local_address(self) -> LocalAddress | None: ...
    @property
    def log(self) -> ConnectionLog: ...
    @property
    def observer(self) -> Observer | None: ...


class PeerConnection(UpstreamState):
    """An attempt with a peer, and its connection."""

    alpn: bytes = b""
    """The protocols to offer in the TLS handshake, in wire format."""
    kind: int = socket.SOCK_STREAM
    """Type of the socket."""
    stream: SocketStream | None = None
    _handshake_started: float | None = None
    """POSIX time; None if this attempt made no TLS handshake."""
    _handshake_duration = 0.0
    _handshake_failure: Failure | None = None

    def __init__(self, peer: Peer, tls: UpstreamTLSConfig | None) -> None:
        super().__init__(peer.name, time.monotonic())
        self.peer = peer
        self.tls: UpstreamTLSConfig | None = tls

    async def connect(self, request: PeerRequest, preamble: bytes = b"") -> SocketStream:
        """Connect, send what comes before TLS, and make the TLS handshake. Raises `ProxyError`."""
        tls, timeout = self.tls, request.settings.connect_timeout
        request.upstream.next_connection_id()
        stream = await connect(
            self.peer, timeout, request.settings, request.local_address, self.kind
        )
        stream.opened = self.started
        self.stream = stream
        if tls is None:
            return stream
        if preamble:
            await stream.send_all(preamble, timeout)
        self.stream = stream = tls.stream(stream, self.peer, self.alpn)
        request.log.action = "SSL handshaking to upstream"
        self._handshake_started, started = time.time(), time.monotonic()
        try:
            await stream.do_handshake(timeout)
            if tls.session_reuse:
                keep_session(self.peer, stream)
            if tls.verify:
                verify(stream, tls.name)
        except ProxyError as failed:
            self._handshake_failure = failed.failure
            raise
        finally:
            self._handshake_duration = time.monotonic() - started
            if request.log.error_log.level is Level.DEBUG or request.observer is not None:
                self._report_handshake(request)
        return stream

    def _report_handshake(self, request: PeerRequest) -> None:
        handshake = self.handshake()
        assert handshake is not None
        request.log.write(Level.DEBUG, handshake_line(handshake))
        observer = request.observer
        if observer is not None and observer.wants_handshakes:
            observer.upstream_handshake_finished(request.ctx, self, handshake)

    def handshake(self) -> Handshake | None:
        """The TLS handshake, finished or failed; None if this attempt made none."""
        if self._handshake_started is None:
            return None
        assert isinstance(self.stream, TLSStream)
        assert self.tls is not None
        return self.stream.handshake(
            self.address,
            verified_name=self.tls.name if self.tls.verify else None,
            began=self._handshake_started,
            duration=self._handshake_duration,
            failure=self._handshake_failure,
        )

    def keep_session(self) -> None:
        """Store the TLS session, to offer it to the peer next time (`proxy_ssl_session_reuse`)."""
        if self.tls is not None and self.tls.session_reuse and isinstance(self.stream, TLSStream):
            keep_session(self.peer, self.stream)
