"""Upstreams for tests of faults."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.robustness import far_upstream
from tests.robustness.far_upstream import FarUpstream
from tests.robustness.faults import serving


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

    with serving(answer) as port:
        yield port


@pytest.fixture
def far() -> Iterator[FarUpstream]:
    """An upstream in a network namespace of its own."""
    with far_upstream.opened() as upstream:
        yield upstream
