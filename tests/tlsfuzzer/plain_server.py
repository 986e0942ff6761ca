"""A small TLS server on sniproxy's OpenSSL, without sniproxy.

nginx has an OpenSSL of its own. If sniproxy differs from nginx, and this server behaves as sniproxy
does, the difference is between the two releases of OpenSSL.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from OpenSSL import SSL

from sniproxy.tls import openssl
from tests.tlsfuzzer.site import CIPHERS, GROUPS

TIMEOUT = 2.0
PROTOCOLS = (b"http/1.1", b"http/1.0", b"http/0.9")
ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: plain\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n"
    b"Connection: close\r\n\r\nhello\n"
)

LIBRARY = SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode().rpartition(" ")[0].rsplit(" ", 2)[0]
"""Name and version of the library: `OpenSSL 4.0.3`."""


def context(server: str, certificates: Path) -> SSL.Context:
    """The settings of a server of `site.py`."""
    made = SSL.Context(SSL.TLS_SERVER_METHOD)
    kind = "ecdsa" if server == "ecdsa" else "rsa"
    made.use_certificate_chain_file(str(certificates / f"{kind}.crt"))
    made.use_privatekey_file(str(certificates / f"{kind}.key"))
    made.set_cipher_list(CIPHERS.encode())
    openssl.set_groups(made, GROUPS.encode())
    made.load_tmp_dh(str(certificates / "ffdhe2048.pem"))
    made.set_min_proto_version(SSL.TLS1_2_VERSION)
    made.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
    made.set_session_id(b"plain")
    made.set_session_cache_mode(SSL.SESS_CACHE_SERVER)
    made.set_alpn_select_callback(_choose)
    if server == "tls12":
        made.set_max_proto_version(SSL.TLS1_2_VERSION)
    elif server == "tls13":
        made.set_min_proto_version(SSL.TLS1_3_VERSION)
    elif server == "cached":
        made.set_options(SSL.OP_NO_TICKET)
    elif server == "client":
        made.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    return made


def _choose(_connection: SSL.Connection, offered: list[bytes]) -> bytes:
    """Choose a protocol as nginx does, which ends the handshake if there is none."""
    return next(protocol for protocol in PROTOCOLS if protocol in offered)


@dataclass(slots=True)
class PlainServer:
    """A server that runs."""

    port: int
    failures: list[tuple[str, ...]] = field(default_factory=list)
    """The reasons of the errors that OpenSSL has queued, for each failed connection."""


@contextlib.contextmanager
def serving(server: str, certificates: Path) -> Iterator[PlainServer]:
    """Serve on a free port of 127.0.0.1."""
    settings = context(server, certificates)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        plain = PlainServer(listener.getsockname()[1])

        def accept() -> None:
            while True:
                try:
                    sock = listener.accept()[0]
                except OSError:
                    return
                threading.Thread(
                    target=_serve, args=(settings, sock, plain.failures), daemon=True
                ).start()

        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        try:
            yield plain
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            acceptor.join()


def _serve(settings: SSL.Context, sock: socket.socket, failures: list[tuple[str, ...]]) -> None:
    """Answer one request."""
    with sock, contextlib.suppress(OSError, StopIteration):
        # A timeout of Python's would make the socket non-blocking, which OpenSSL does not expect.
        seconds = int(TIMEOUT).to_bytes(8, "little") + bytes(8)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, seconds)
        connection = SSL.Connection(settings, sock)
        connection.set_accept_state()
        try:
            connection.do_handshake()
            request = b""
            while b"\n\n" not in request.replace(b"\r", b""):
                request += connection.recv(16384)
            connection.sendall(ANSWER)
            connection.shutdown()
        except SSL.Error as error:
            if error.args and isinstance(error.args[0], list):
                failures.append(tuple(reason for _, _, reason in error.args[0]))
