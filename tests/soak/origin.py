"""The upstream of a soak, in a process of its own: HTTP, HTTPS, WebSocket, and an echo of UDP.

`python -m tests.soak.origin FOLDER PLAIN SECURE ECHO` prints a line when it serves. The last part
of a path decides what is sent: `/any/prefix/big`.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import struct
import sys
import threading
import zlib
from http.server import ThreadingHTTPServer
from pathlib import Path

from tests.services import Service

SIZES = {"big": 1024 * 1024, "page": 20_000}


def page(name: str) -> bytes:
    """The body of a path that ends in `name`."""
    size = SIZES.get(name.partition("-")[0], 200)
    seed = zlib.crc32(name.encode())
    return (f"{name} {seed:08x}\n".encode() * (size // 8))[:size]


class _Origin(Service):
    def setup(self) -> None:
        self.request.settimeout(30)
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()
        super().setup()

    def do_GET(self) -> None:  # noqa: N802
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self.echo_texts()
            return
        name = self.path.partition("?")[0].rpartition("/")[2]
        if name == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
        elif name == "cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")
            self.close_connection = True
        elif name == "garbage":
            self.wfile.write(b"\x00\x01 not HTTP\r\n\r\n")
            self.close_connection = True
        elif name == "error":
            self.send_error(503)
        else:
            self._send(page(name))

    def do_POST(self) -> None:  # noqa: N802
        left = int(self.headers["Content-Length"])
        digest = hashlib.sha256()
        while left and (piece := self.rfile.read(min(left, 65536))):
            digest.update(piece)
            left -= len(piece)
        self._send(digest.hexdigest().encode())

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", port), _Origin)
        if context is not None:
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections that break are part of the traffic."""


def _echo(sock: socket.socket) -> None:
    while True:
        data, address = sock.recvfrom(65536)
        sock.sendto(data, address)


def main(folder: str, plain: str, secure: str, echo: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(folder, "front.pem"), Path(folder, "front.key"))
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", int(echo)))
    threading.Thread(target=_echo, args=(datagrams,), daemon=True).start()
    servers = _Server(int(plain)), _Server(int(secure), context)
    print("serving", flush=True)
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
