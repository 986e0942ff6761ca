"""The origin: a process of blocking threads that answers over TLS and counts what it sees."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import re
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.wire import HOST, UnexpectedDataError, answer, check_agreed, server_context

THREADS = 80
"""Connections served at a time; more than the proxies can ever keep open at once."""


@dataclass(slots=True)
class Counts:
    """What the origin saw: handshakes of both sorts, those with settings that are not the
    benchmark's (and were dropped), and requests answered."""

    full: int = 0
    resumed: int = 0
    unlike: int = 0
    answers: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: Counts) -> Counts:
        return Counts(*(a - b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, slots=True)
class Origin:
    """A running origin, seen from the process that started it."""

    port: int
    _control: Connection

    def counts(self) -> Counts:
        """All that was seen since the start."""
        self._control.send(None)
        counts = self._control.recv()
        assert isinstance(counts, Counts)
        return counts


@contextlib.contextmanager
def running_origin(certificates: Path) -> Iterator[Origin]:
    """Starts an origin on a free port; it ends with the block."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, certificates), name="origin")
    process.start()
    theirs.close()
    try:
        yield Origin(ours.recv(), ours)
    finally:
        ours.close()
        process.join()


def _serve(control: Connection, certificates: Path) -> None:
    """The origin's process: answers each message with the counts, ends when nobody listens."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    context = server_context(f"{certificates}/ecdsa.crt", f"{certificates}/ecdsa.key")
    listener = socket.create_server((HOST, 0), backlog=1024)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Each thread has its own counts: adding to shared ones would need a lock.
    rows = [Counts() for _ in range(THREADS)]
    for row in rows:
        threading.Thread(target=_accept, args=(listener, context, row), daemon=True).start()
    control.send(listener.getsockname()[1])
    with contextlib.suppress(EOFError):
        while True:
            control.recv()
            control.send(sum(rows, Counts()))


def _accept(listener: socket.socket, context: ssl.SSLContext, counts: Counts) -> None:
    while True:
        sock, _ = listener.accept()
        # A broken connection shows as a count that is missing.
        with contextlib.suppress(OSError), context.wrap_socket(sock, server_side=True) as tls:
            _serve_connection(tls, counts)


def _serve_connection(tls: ssl.SSLSocket, counts: Counts) -> None:
    try:
        check_agreed(tls)
    except UnexpectedDataError:
        counts.unlike += 1
        return
    if tls.session_reused:
        counts.resumed += 1
    else:
        counts.full += 1
    _answer_all(tls, counts)


def _answer_all(tls: ssl.SSLSocket, counts: Counts) -> None:
    pending = b""
    while chunk := tls.recv(16384):
        pending += chunk
        if not pending.endswith(b"\r\n\r\n"):
            continue
        close = b"\r\nconnection: close\r\n" in pending.lower()
        counts.answers += 1
        tls.sendall(response(pending, close))
        pending = b""
        if close:
            with contextlib.suppress(OSError):
                tls.unwrap()
            return


@functools.lru_cache(maxsize=2)
def response(head: bytes, close: bool) -> bytes:
    """What a request with this head gets."""
    path = re.match(rb"GET /(\d+) HTTP/1\.[01]\r\n", head)
    if path is None:
        return b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    body = answer(int(path[1]))
    connection = b"Connection: close\r\n" if close else b""
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n%bContent-Length: %d\r\n\r\n%b" % (
        connection,
        len(body),
        body,
    )
