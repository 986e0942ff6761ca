"""Upstreams for tests of faults."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.robustness import far_upstream
from tests.robustness.far_upstream import FarUpstream


@pytest.fixture
def upstream() -> Iterator[int]:
    """A port on which every request is answered once its body is there."""

    def answer(sock: socket.socket) -> None:
        with sock:
            data = bytearray()
            while b"\r\n\r\n" not in data or (data.startswith(b"POST") and data[-1:] != b"z"):
                if not (more := sock.recv(1024 * 1024)):
                    return
                data += more
            sock.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 20000\r\n\r\n" + b"b" * 20000)

    def accept() -> None:
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(sock,)).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=accept)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def far() -> Iterator[FarUpstream]:
    """An upstream in a network namespace of its own."""
    with far_upstream.opened() as upstream:
        yield upstream
