"""One connection to one peer: connect, handshake, verify, in nginx's order.

    connect ─► SO_ERROR ─► SNI, session ─► handshake ─► chain ─► name

The chain and the name are judged after a finished handshake, as nginx does: the upstream
sees no alert, only a closed connection. Everything raises `Failed` with nginx's words; the
OS's errors become failures here and TLS's in `tls.stream`.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

import trio
from OpenSSL import SSL

from ..logs.error import ConnectionLog
from ..message import Failed, Failure, FailureClass, Level, Side
from ..names import certificate_names, check_host, sent_server_name
from ..tls.stream import SocketStream, TLSStream
from .peers import Peer

# nginx takes these for the network's doing and logs them at error; others are crit.
_ORDINARY = frozenset(
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

TIMED_OUT = Failure("upstream timed out", kind=FailureClass.TIMEOUT, errno=errno.ETIMEDOUT)


@dataclass(frozen=True, slots=True)
class UpstreamTLS:
    """How one request's handshakes go: the location's settings with its name evaluated."""

    context: SSL.Context
    name: str
    """What SNI and the check start from, without its port (`proxy_ssl_name`)."""
    server_name: bool
    """`proxy_ssl_server_name`."""
    verify: bool
    """`proxy_ssl_verify`."""
    session_reuse: bool
    """`proxy_ssl_session_reuse`."""

    def stream(self, plain: SocketStream, peer: Peer) -> TLSStream:
        """The TLS side of a connection to `peer`, before its handshake; raises `Failed`."""
        return TLSStream(
            plain.sock,
            Side.UPSTREAM,
            self.context,
            server_name=sent_server_name(self.name, proxy_ssl_server_name=self.server_name),
            session=peer.session if self.session_reuse else None,
        )


async def connect(peer: Peer, timeout: float) -> SocketStream:
    """A plain connection to `peer` within `timeout` seconds (`proxy_connect_timeout`).

    Raises `Failed`.
    """
    try:
        sock = socket.socket(peer.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        failure = Failure("socket() failed", Level.ALERT, FailureClass.INTERNAL, error.errno)
        raise Failed(failure) from None
    try:
        await _finish_connect(sock, peer, timeout)
    except BaseException:
        sock.close()
        raise
    return SocketStream(sock, Side.UPSTREAM)


async def _finish_connect(sock: socket.socket, peer: Peer, timeout: float) -> None:
    try:
        refused = sock.connect_ex(peer.sockaddr)
    except OSError as error:
        refused = error.errno or errno.EINVAL
    if refused == errno.EINPROGRESS:
        with trio.move_on_after(timeout) as timer:
            await trio.lowlevel.wait_writable(sock)
        if timer.cancelled_caught:
            raise Failed(TIMED_OUT)
        refused = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        text = "connect() failed"
    else:
        text = f"connect() to {peer.name} failed"
    if refused:
        level = Level.ERROR if refused in _ORDINARY else Level.CRIT
        raise Failed(Failure(text, level, errno=refused))


async def secure(stream: TLSStream, tls: UpstreamTLS, timeout: float, log: ConnectionLog) -> None:
    """Shake hands within `timeout` seconds (`proxy_connect_timeout` again), then verify.

    Raises `Failed`.
    """
    log.action = "SSL handshaking to upstream"
    await stream.do_handshake(timeout)
    if tls.verify:
        verify(stream, tls.name)


def verify(stream: TLSStream, name: str) -> None:
    """Judge the certificate as nginx does: the chain first, then the name; raises `Failed`."""
    result = stream.verify_result
    if result:
        words = stream.verify_error()
        raise Failed(Failure(f"upstream SSL certificate verify error: ({result}:{words})"))
    certificate = stream.peer_certificate
    if certificate is None or not check_host(certificate_names(certificate), name):
        raise Failed(Failure(f'upstream SSL certificate does not match "{name}"'))
