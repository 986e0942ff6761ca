"""An upstream for large bodies: a part of `benchmarks.limits`."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import ssl
import threading
from pathlib import Path

MIB = 1024 * 1024
BLOCK = os.urandom(MIB)


class Origin:
    """An upstream that takes and gives bodies of any size, and tells their digests."""

    def __init__(self, directory: Path, size: int) -> None:
        self.size = size
        self.received = ""
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(directory / "ecdsa.crt", directory / "ecdsa.key")
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            sock, _ = self._listening.accept()
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError), self._context.wrap_socket(sock, server_side=True) as tls:
            while request := read_head(tls):
                self._answer(tls, *request)

    def _answer(self, tls: ssl.SSLSocket, head: bytes, rest: bytes) -> None:
        method, path = head.split(b" ", 2)[:2]
        if method == b"PUT":
            self.received = _digest_of_request(tls, head, rest)
            tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        elif path.endswith(b"big"):
            tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % self.size)
            for _ in range(self.size // MIB):
                tls.sendall(BLOCK)
        else:
            tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def read_head(tls: ssl.SSLSocket) -> tuple[bytes, bytes] | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = tls.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _digest_of_request(tls: ssl.SSLSocket, head: bytes, rest: bytes) -> str:
    (length,) = [
        int(f[15:]) for f in head.split(b"\r\n") if f.lower().startswith(b"content-length:")
    ]
    return digest_of_body(tls, rest, length)


def digest_of_body(tls: ssl.SSLSocket, first: bytes, size: int) -> str:
    """The digest of a body of `size` bytes, which begins with `first`; of less if it ends early."""
    digest = hashlib.sha256(first)
    left = size - len(first)
    while left > 0:
        piece = tls.recv(min(left, 262144))
        if not piece:
            break
        digest.update(piece)
        left -= len(piece)
    return digest.hexdigest()


def expected_digest(size: int) -> str:
    digest = hashlib.sha256()
    for _ in range(size // MIB):
        digest.update(BLOCK)
    return digest.hexdigest()
