"""Thousands of clients that send and read next to nothing: others are served all the same."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.processes import Served, everything, served, wait_until
from tests.programs import Command
from tests.robustness.faults import (
    ALONE,
    both,
    cpu_seconds,
    descriptors,
    is_well,
    pause,
)
from tests.soak.figures import memory

CLIENTS = 5000
CONFIGURATION = """
pid run.pid; error_log error.log error;
worker_rlimit_nofile 20000;
events { worker_connections 12000; }
http {
    access_log off;
    client_header_timeout 600s; client_body_timeout 600s; send_timeout 600s;
    server {
        listen 127.0.0.1:PORT backlog=4096 sndbuf=16k;
        location / { return 200 well; }
        location /file { root .; }
        location /body { proxy_pass http://127.0.0.1:9; }
    }
}
"""
STARTS = (
    b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ",
    b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
    b"GET /file HTTP/1.1\r\nHost: a\r\n\r\n",
    b"",
)


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < 2 * CLIENTS:
        pytest.skip("too few descriptors for so many clients")
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.long
@both
def test_slow_clients_cost_next_to_nothing(
    program: Command, many_descriptors: None, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"a" * 3_000_000)
    with served(program, tmp_path, CONFIGURATION, *ALONE) as process, ExitStack() as opened:
        pid = process.process.pid
        is_well(process)
        before = len(descriptors(pid))
        empty = memory([pid])
        clients = [slow_client(process, number, opened) for number in range(CLIENTS)]
        wait_until(lambda: len(descriptors(pid)) >= before + CLIENTS)
        is_well(process)
        for client in clients[::4] + clients[1::4]:
            client.send(b"a")
        wait_until(lambda: is_idle(pid))
        assert longest_wait(process) < 2
        assert (memory([pid]) - empty) / CLIENTS < 100 * 1024
        opened.close()
        wait_until(lambda: len(descriptors(pid)) <= before)
        is_well(process)


def is_idle(pid: int) -> bool:
    """Whether a process takes next to no CPU time for a second."""
    spent = cpu_seconds(pid)
    pause(1)
    return cpu_seconds(pid) - spent < 0.1


def slow_client(process: Served, number: int, opened: ExitStack) -> socket.socket:
    client = opened.enter_context(socket.socket())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    # Not more than one address has ports for.
    client.bind((f"127.0.0.{2 + number % 4}", 0))
    client.settimeout(10)
    client.connect(("127.0.0.1", process.port))
    client.sendall(STARTS[number % len(STARTS)])
    return client


def longest_wait(process: Served) -> float:
    """Seconds that the slowest of 20 requests took."""
    times = []
    for _ in range(20):
        began = time.monotonic()
        with process.connect() as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert everything(client).endswith(b"well")
        times.append(time.monotonic() - began)
    return max(times)
