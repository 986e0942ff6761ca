"""A DNS server that knows one answer: every name is 127.0.0.1, and nothing else."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

HEADER = 12
QUESTION_TAIL = 4
ADDRESS = 1
"""The type A."""


@contextlib.contextmanager
def nameserver() -> Iterator[int]:
    """The port of the server, which ends with the block."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=_serve, args=(sock,))
        thread.start()
        port = sock.getsockname()[1]
        try:
            yield port
        finally:
            sock.sendto(b"", ("127.0.0.1", port))
            thread.join()


def _serve(sock: socket.socket) -> None:
    while True:
        query, client = sock.recvfrom(512)
        if not query:
            return
        sock.sendto(reply(query), client)


def reply(query: bytes) -> bytes:
    """The answer to a query of one question."""
    end = query.index(0, HEADER) + 1 + QUESTION_TAIL
    question = query[HEADER:end]
    is_address = int.from_bytes(question[-QUESTION_TAIL:-2], "big") == ADDRESS
    counts = (1, int(is_address), 0, 0)
    head = query[:2] + b"\x81\x80" + b"".join(count.to_bytes(2, "big") for count in counts)
    record = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04" + bytes((127, 0, 0, 1))
    return head + question + record * is_address
