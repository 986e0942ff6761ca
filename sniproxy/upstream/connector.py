"""One connection to one peer: connect, handshake, verify, in nginx's order.

    connect ─► SO_ERROR ─► SNI, session ─► handshake ─► chain ─► name

The chain and the name are judged after a finished handshake, as nginx does: the upstream
sees no alert, only a closed connection. Everything raises `Failed` with nginx's words; the
OS's errors become failures here and TLS's in `tls.stream`.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from OpenSSL import SSL

from ..config.directives.proxy import LocalAddress, ProxySettings
from ..models import Failure, FailureType, Handshake, Level, ProxyError, Side
from ..server_name import certificate_names, check_host, sent_server_name
from ..tls.errors import NATIVE, Dialect
from ..tls.stream import SocketStream, TLSStream
from .selector import Peer

# nginx takes these for the network's doing and logs them at error; others are crit.
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

DEFAULTS = ProxySettings.resolve()


@dataclass(frozen=True, slots=True)
class UpstreamTLSConfig:
    """Settings of the TLS handshakes of one request: the location's, with the name evaluated."""

    context: SSL.Context
    name: str
    """What SNI and the check start from, without its port (`proxy_ssl_name`)."""
    server_name: bool
    """`proxy_ssl_server_name`."""
    verify: bool
    """`proxy_ssl_verify`."""
    session_reuse: bool
    """`proxy_ssl_session_reuse`."""
    dialect: Dialect = NATIVE
    """Whose OpenSSL's words failures are told in."""
    named: Callable[[], SSL.Context | None] | None = None
    """Finds the context of a certificate named by variables; None for `context`."""

    sent_name: str | None = field(init=False)
    """The SNI that is sent; None without one."""

    def __post_init__(self) -> None:
        sent = sent_server_name(self.name, proxy_ssl_server_name=self.server_name)
        object.__setattr__(self, "sent_name", sent)

    def stream(self, plain: SocketStream, peer: Peer) -> TLSStream:
        """The TLS side of a connection to `peer`, before its handshake; raises `Failed`."""
        context = self.context if self.named is None else self.named() or self.context
        stream = TLSStream(
            plain.sock,
            Side.UPSTREAM,
            context,
            server_name=self.sent_name,
            session=peer.session if self.session_reuse else None,
            dialect=self.dialect,
        )
        stream.take_over(plain)
        return stream


async def connect(
    peer: Peer, timeout: float, proxy: ProxySettings = DEFAULTS, local: LocalAddress | None = None
) -> SocketStream:
    """A plain connection to `peer` within `timeout` seconds (`proxy_connect_timeout`).

    `proxy` has the socket's options, `local` its own address (`proxy_bind`). Raises `Failed`.
    """
    try:
        sock = socket.socket(peer.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        failure = Failure("socket() failed", Level.ALERT, FailureType.INTERNAL, error.errno)
        raise ProxyError(failure) from None
    try:
        if proxy.proxy_socket_keepalive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if proxy.proxy_socket_rcvbuf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, proxy.proxy_socket_rcvbuf)
        if proxy.proxy_socket_sndbuf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, proxy.proxy_socket_sndbuf)
        if local is not None:
            _bind(sock, local)
        stream = SocketStream(sock, Side.UPSTREAM)
        try:
            error_number = sock.connect_ex(peer.sockaddr)
        except OSError as error:
            error_number = error.errno or errno.EINVAL
        text = f"connect() to {peer.name} failed"
        if error_number == errno.EINPROGRESS:
            text = "connect() failed"
            # A peer on this machine has answered by now.
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
        # The port is chosen when it is known where to: one may serve several destinations.
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
    try:
        sock.bind((local.host, local.port))
    except OSError as error:
        # An address of another family does not get as far as the system.
        number = errno.EAFNOSUPPORT if isinstance(error, socket.gaierror) else error.errno
        text = f"bind({local.text}) failed"
        raise ProxyError(Failure(text, Level.CRIT, FailureType.INTERNAL, number)) from None


def keep_session(peer: Peer, stream: TLSStream) -> None:
    """Offer the session of `stream` to `peer` next time, if there is one to be had by now.

    nginx keeps the last session that a peer gave, whatever became of the request, and offers
    it to the next connection, whichever location that is for: context, name and verification
    of the two may differ, and the verdict on the chain travels with the session.
    """
    peer.session = stream.session or peer.session


def handshake_line(handshake: Handshake) -> str:
    """A handshake in one line of the debug log (ours)."""
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
    """Judge the certificate as nginx does: the chain first, then the name; raises `Failed`."""
    result = stream.verify_result
    if result:
        words = stream.verify_error()
        raise ProxyError(Failure(f"upstream SSL certificate verify error: ({result}:{words})"))
    certificate = stream.peer_certificate
    if certificate is None or not check_host(certificate_names(certificate), name):
        raise ProxyError(Failure(f'upstream SSL certificate does not match "{name}"'))
