"""A small web service in threads: it tells what it was asked, and speaks WebSocket (RFC 6455).

With it the client's half of a WebSocket, over a socket. Messages are short texts in one frame.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import ClassVar

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_FIN, _MASKED = 0x80, 0x80
TEXT, CLOSE = 1, 8
_SHORT = 125


def accept(key: str) -> str:
    """Sec-WebSocket-Accept for a Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(f"{key}{_GUID}".encode()).digest()).decode()


def frame(opcode: int, payload: bytes, mask: bytes = b"") -> bytes:
    """`mask` is four bytes for what a client sends, nothing for a server."""
    assert len(payload) <= _SHORT
    if not mask:
        return bytes((_FIN | opcode, len(payload))) + payload
    return bytes((_FIN | opcode, _MASKED | len(payload))) + mask + _masked(payload, mask)


def read_frame(stream: BufferedIOBase) -> tuple[int, bytes]:
    """Opcode and payload, unmasked; CLOSE where the stream ends."""
    head = stream.read(2)
    if len(head) < 2:
        return CLOSE, b""
    length = head[1] & ~_MASKED
    assert length <= _SHORT
    mask = stream.read(4) if head[1] & _MASKED else bytes(4)
    return head[0] & ~_FIN, _masked(stream.read(length), mask)


def _masked(payload: bytes, mask: bytes) -> bytes:
    return bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


class Service(BaseHTTPRequestHandler):
    """Answers with the head of the request; echoes the texts of a WebSocket."""

    protocol_version = "HTTP/1.1"
    name: ClassVar[str] = "service"

    def do_GET(self) -> None:
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self.echo_texts()
        else:
            self.answer(f"{self.name}: {self.requestline}\n{self.headers}".replace("\r\n", "\n"))

    def answer(self, body: str, content_type: str = "text/plain") -> None:
        encoded = body.encode()
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def echo_texts(self) -> None:
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept(self.headers["Sec-WebSocket-Key"]))
        self.end_headers()
        self.close_connection = True
        while True:
            opcode, payload = read_frame(self.rfile)
            if opcode == TEXT:
                payload = f"{self.name} echoes: ".encode() + payload
            with contextlib.suppress(ConnectionError):
                self.wfile.write(frame(opcode, payload))
            if opcode == CLOSE:
                return

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


@contextlib.contextmanager
def service(kind: type[Service], port: int = 0) -> Iterator[int]:
    """The service on 127.0.0.1, until the block is left: the port."""
    with ThreadingHTTPServer(("127.0.0.1", port), kind) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
