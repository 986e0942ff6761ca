"""Idle connections after a signal to stop, compared with nginx."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.processes import HEAD, Served, served
from tests.compare_nginx import get
from tests.nginx import NGINX
from tests.programs import SNIPROXY, Command

ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class Upstream:
    """Responds at once, except to `/slow`; reports the end of connections."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.query = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.ended = threading.Semaphore(0)
        self.threads: list[threading.Thread] = []

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                thread = threading.Thread(target=self._answer, args=(connection,))
                self.threads.append(thread)
                thread.start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            while request := connection.recv(65536):
                self.query.release()
                if b"/slow" in request:
                    self.go_on.wait(10)
                connection.sendall(ANSWER)
        self.ended.release()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    one = Upstream()
    thread = threading.Thread(target=one.serve)
    thread.start()
    yield one
    one.listener.shutdown(socket.SHUT_RDWR)
    for started in (thread, *one.threads):
        started.join(10)
    one.listener.close()


@contextlib.contextmanager
def proxying(program: Command, room: Path, group: str) -> Iterator[Served]:
    """A process without a master that serves the group."""
    http = f"{group} server {{ listen 127.0.0.1:PORT; location / {{ proxy_pass http://u; }} }}"
    words = ("-g", "daemon off; master_process off;")
    with served(program, room, f"{HEAD} http {{ access_log off; {http} }}", *words) as process:
        yield process


@pytest.mark.parametrize(
    "program",
    [SNIPROXY, pytest.param(NGINX, marks=pytest.mark.nginx)],
    ids=lambda program: program.name,
)
@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGTERM])
def test_idle_connections_end_at_once(
    tmp_path: Path, upstream: Upstream, program: Command, number: signal.Signals
) -> None:
    group = f"upstream u {{ server 127.0.0.1:{upstream.port}; keepalive 4; }}"
    with proxying(program, tmp_path, group) as process, process.connect() as client:
        client.sendall(get("/"))
        assert client.recv(65536).startswith(b"HTTP/1.1 204 ")
        assert not upstream.ended.acquire(timeout=0.05)
        began = time.monotonic()
        process.send(number)
        assert upstream.ended.acquire(timeout=5)
        assert time.monotonic() - began < 2
        process.process.wait(5)


def test_one_that_is_in_use_is_not_retained_afterwards(tmp_path: Path, upstream: Upstream) -> None:
    # nginx does so in workers; without a master it exits at once.
    group = f"upstream u {{ server 127.0.0.1:{upstream.port}; }}"
    with proxying(SNIPROXY, tmp_path, group) as process:
        with process.connect() as client:
            client.sendall(get("/slow"))
            assert upstream.query.acquire(timeout=5)
            process.send(signal.SIGQUIT)
            assert not upstream.ended.acquire(timeout=0.1)
            upstream.go_on.set()
            assert client.recv(65536).startswith(b"HTTP/1.1 204 ")
        assert upstream.ended.acquire(timeout=5)
        assert process.process.wait(5) == 0
