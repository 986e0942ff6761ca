"""What generator and origin agree on: TLS settings, ports, names and the bytes of an answer."""

from __future__ import annotations

import socket
import ssl
import struct

HOST = "127.0.0.1"
SERVER_NAME = "bench.test"
PROTOCOL = "TLSv1.3"
GROUP = "X25519"
CIPHER = "TLS_AES_256_GCM_SHA384"

PERIOD = 65536
"""An answer repeats itself after so many bytes."""
_PATTERN = b"".join(b"%07d " % number for number in range(PERIOD // 8)) * 2

SOCKET_SECONDS = 20
"""Nobody waits longer than this for one read or write."""


class UnexpectedDataError(Exception):
    """The other side did something the benchmark does not measure; the text says what."""


def client_context() -> ssl.SSLContext:
    """TLS 1.3 with X25519 alone; certificates are checked for their signature only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _alike(context)


def server_context(certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return _alike(context)


def _alike(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_ecdh_curve(GROUP)
    return context


def check_agreed(tls: ssl.SSLSocket, expected: str = CIPHER) -> None:
    """Raises `Unexpected` unless protocol and cipher are those every program is measured with.

    The group needs no look: nothing but X25519 is offered or taken.
    """
    cipher = tls.cipher()
    agreed = cipher[0] if cipher else "none"
    if tls.version() != PROTOCOL or agreed != expected:
        raise UnexpectedDataError(f"{tls.version()} with {agreed}, not {PROTOCOL} with {expected}")


def connect(port: int) -> socket.socket:
    """A blocking connection to `HOST` whose calls end after `SOCKET_SECONDS`, by the kernel's
    timers: Python's own time-outs cost a poll before each call."""
    sock = socket.socket()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    timeval = struct.pack("ll", SOCKET_SECONDS, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
    try:
        sock.connect((HOST, port))
    except OSError:
        sock.close()
        raise
    return sock


def answer(size: int) -> bytes:
    """The `size` bytes that the path `/{size}` stands for."""
    return (_PATTERN[:PERIOD] * (size // PERIOD + 1))[:size]


def is_answer_at(chunk: bytes, offset: int) -> bool:
    """Whether `chunk` (at most `PERIOD` bytes) is what an answer has at `offset`."""
    return _PATTERN.startswith(chunk, offset % PERIOD)
