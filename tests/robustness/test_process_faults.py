"""Faults of the process: stderr without a reader, SIGSTOP, clocks that jump, no memory."""

from __future__ import annotations

import resource
import signal
import socket
import ssl
import sys
from contextlib import ExitStack, suppress
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tests.cli.processes import PATIENCE, Served, ask, everything, served, wait_until
from tests.cli.test_master import workers
from tests.programs import SNIPROXY, Command
from tests.robustness.faults import (
    ALONE,
    HEAD,
    Visit,
    both,
    descriptors,
    is_well,
    little_cpu,
    messages,
    pause,
    serving_bytes,
)

HELLO = HEAD + "http { access_log off; server { listen 127.0.0.1:PORT; return 200 hello; } }"

# --- stderr ---

_WITHOUT_STDERR = """
import os, signal, sys
reader, writer = os.pipe()
os.dup2(writer if sys.argv[1] == "pipe" else os.open("/dev/full", os.O_WRONLY), 2)
os.close(reader)
os.close(writer)
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
os.execvp(sys.argv[2], sys.argv[2:])
"""


@both
@pytest.mark.parametrize("kind", ["pipe", "full"])
@pytest.mark.parametrize("words", [ALONE, ("-g", "daemon off;")], ids=["alone", "workers"])
def test_stderr_without_a_reader(
    program: Command, kind: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    """A pipe without a reader, or a full disk: lines are lost, and nothing else."""
    code = (sys.executable, "-c", _WITHOUT_STDERR, kind, *program.command)
    configuration = HELLO.replace("error_log error.log", "user root; error_log stderr")
    with served(Command(program.name, code), tmp_path, configuration, *words) as process:
        visit = Visit(process)
        assert {visit.get(f"/{number}") for number in range(300)} == {200}
        process.send(signal.SIGUSR1)
        if words is not ALONE:
            process.send(signal.SIGHUP)
        wait_until(lambda: visit.get("/") == 200)
        assert process.stop() == 0


# --- stopped for a while ---

TIMEOUTS = (
    HEAD
    + """
http {
    access_log off;
    client_header_timeout 1s; client_body_timeout 1s; send_timeout 1s; keepalive_timeout 30s;
    proxy_read_timeout 1s; proxy_connect_timeout 1s;
    server {
        listen 127.0.0.1:PORT;
        location / { return 200 hello; }
        location /up { proxy_pass http://127.0.0.1:UPSTREAM; }
    }
}
"""
)


@both
def test_a_stopped_process_serves_what_has_come_meanwhile(program: Command, tmp_path: Path) -> None:
    """All timeouts are over when it continues, but the data that they are about has arrived.

    Which of the two counts depends on the kernel, for nginx too: Linux may end an epoll_wait()
    that SIGSTOP caught with EINTR, without events, and then the timers are looked at first.
    Clients without a running timer are served in any case.
    """
    with (
        socket.create_server(("127.0.0.1", 0), backlog=100) as upstream,
        ExitStack() as opened,
        served(
            program,
            tmp_path,
            TIMEOUTS.replace("UPSTREAM", str(upstream.getsockname()[1])),
            *ALONE,
        ) as process,
    ):
        idle, half, waiting = (
            [opened.enter_context(process.connect()) for _ in range(10)] for _ in range(3)
        )
        for client in idle:
            ask(client)
            assert client.recv(65536).endswith(b"hello")
        for client in half:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n")
        for client in waiting:
            ask(client, "/up", connection="close")
        behind = [opened.enter_context(upstream.accept()[0]) for _ in waiting]
        for sock in behind:
            assert sock.recv(65536)
        process.send(signal.SIGSTOP)
        for client in idle:
            ask(client, connection="close")
        for client in half:
            client.sendall(b"Connection: close\r\n\r\n")
        for sock in behind:
            sock.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nthere")
        fresh = [opened.enter_context(process.connect()) for _ in range(10)]
        for client in fresh:
            ask(client, connection="close")
        pause(2)
        process.send(signal.SIGCONT)
        assert {everything(client)[-5:] for client in (*idle, *fresh)} == {b"hello"}
        assert {everything(client)[-5:] for client in half} <= {b"hello", b""}
        answers = {everything(client).split(b"\r\n")[0] for client in waiting}
        assert answers <= {b"HTTP/1.1 200 OK", b"HTTP/1.1 504 Gateway Time-out"}
        is_well(process)


# --- clocks ---

CLOCK = (
    HEAD
    + """
http {
    access_log access.log;
    client_header_timeout 2s;
    proxy_cache_path cache keys_zone=pages:1m inactive=1m;
    limit_req_zone $uri zone=rates:1m rate=100r/s;
    server {
        listen 127.0.0.1:PORT;
        location / { return 200 hello; }
        location /limited { limit_req zone=rates burst=5; return 200 hello; }
        location /cached {
            proxy_pass http://127.0.0.1:UPSTREAM; proxy_cache pages; proxy_cache_valid 1h;
            add_header X-Cache $upstream_cache_status;
        }
    }
}
"""
)
DAY = 24 * 3600


def fake_clock_library() -> str | None:
    found = [*Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")]
    return str(found[0]) if found else None


@pytest.mark.needs("faketime")
@pytest.mark.parametrize("days", [1, -1, 10_000, -10_000])
def test_a_clock_that_jumps_changes_times_only(days: int, tmp_path: Path) -> None:
    """Timeouts are measured by another clock; stored responses expire with the jump."""
    clock = tmp_path / "clock"
    clock.write_text("+0")
    library = fake_clock_library()
    assert library is not None
    environment = {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    words = ("env", *(f"{name}={value}" for name, value in environment.items()))
    program = Command("sniproxy", (*words, *SNIPROXY.command))
    answer = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nup"
    with (
        serving_bytes(answer) as upstream,
        served(program, tmp_path, CLOCK.replace("UPSTREAM", str(upstream)), *ALONE) as process,
        process.connect() as idle,
        process.connect() as half,
    ):
        pid = process.process.pid
        ask(idle)
        first = moment(idle.recv(65536))
        assert [cache_status(process) for _ in range(2)] == ["MISS", "HIT"]
        half.sendall(b"GET / HT")
        clock.write_text(f"{days:+}d")
        with little_cpu(pid):
            pause(1)
        ask(idle)
        second = moment(idle.recv(65536))
        assert second - first == pytest.approx(days * DAY, abs=60)
        # Its time comes as if nothing had happened.
        half.settimeout(PATIENCE)
        assert everything(half) == b""
        visit = Visit(process)
        assert {visit.get("/limited") for _ in range(10)} == {200}
        assert cache_status(process) == ("EXPIRED" if days > 0 else "HIT")
        assert cache_status(process) == "HIT"
        clock.write_text("+0")
        assert cache_status(process) == "HIT"
        is_well(process)
        assert process.stop() == 0


def moment(response: bytes) -> float:
    """The Date of a response."""
    (field,) = [line for line in response.split(b"\r\n") if line.startswith(b"Date: ")]
    return parsedate_to_datetime(field[6:].decode()).timestamp()


def cache_status(process: Served) -> str:
    with process.connect() as client:
        ask(client, "/cached", connection="close")
        answer = everything(client)
    (field,) = [line for line in answer.split(b"\r\n") if line.startswith(b"X-Cache: ")]
    return field[9:].decode()


# --- memory ---


def address_space(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()


MEMORY = (
    HEAD
    + """
http {
    access_log off;
    client_body_buffer_size 64m; client_max_body_size 0;
    server {
        listen 127.0.0.1:PORT;
        location / { return 200 hello; }
        location /body { proxy_pass http://127.0.0.1:UPSTREAM; }
    }
}
"""
)


@both
def test_a_request_for_which_there_is_no_memory(
    program: Command, upstream: int, tmp_path: Path
) -> None:
    """It gets a 500; others are served, and so is it later."""
    configuration = MEMORY.replace("UPSTREAM", str(upstream))
    with served(program, tmp_path, configuration, *ALONE) as process:
        pid = process.process.pid
        visit = Visit(process)
        body = b"a" * 48_000_000 + b"z"
        assert visit.get("/") == 200
        before = len(descriptors(pid))
        limits = resource.prlimit(pid, resource.RLIMIT_AS)
        resource.prlimit(pid, resource.RLIMIT_AS, (address_space(pid) + 20_000_000, limits[1]))
        for _ in range(3):
            assert visit.get("/body", body) == 500
            assert visit.get("/") == 200
        resource.prlimit(pid, resource.RLIMIT_AS, limits)
        lines = messages(process, "(12: ")
        assert len(lines) == 3
        for line in lines:
            assert line.startswith("[emerg] malloc(")
            assert ') failed (12: …), client: 127.0.0.1, server: , request: "POST /body' in line
        assert visit.get("/body", body) == 200
        wait_until(lambda: len(descriptors(pid)) <= before)
        is_well(process)


MANY = (
    HEAD.replace("events {}", "events { worker_connections 4000; }").replace(
        "pid run.pid;", "pid run.pid; user root; worker_processes 2;"
    )
    + """
http {
    access_log off;
    server { listen 127.0.0.1:PORT ssl; ssl_certificate auto; return 200 hello; }
}
"""
)


@pytest.mark.long
def test_memory_that_runs_out_under_many_connections(tmp_path: Path) -> None:
    """Handshakes fail; when the clients have left, all is well, if need be by a new worker."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def answer(process: Served) -> bytes:
        with process.connect() as client, context.wrap_socket(client) as tls:
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return everything(tls)

    with served(SNIPROXY, tmp_path, MANY, "-g", "daemon off;") as process, ExitStack() as opened:
        assert answer(process).endswith(b"hello")
        wait_until(lambda: len(workers(process)) == 2)
        for worker in workers(process):
            limits = resource.prlimit(worker, resource.RLIMIT_AS)
            most = address_space(worker) + 300_000
            resource.prlimit(worker, resource.RLIMIT_AS, (most, limits[1]))
        failed = 0
        while failed < 30:
            client = opened.enter_context(process.connect())
            try:
                opened.enter_context(context.wrap_socket(client))
            except OSError:
                failed += 1
        opened.close()

        def is_served() -> bool:
            with suppress(OSError):
                return answer(process).endswith(b"hello")
            return False

        wait_until(is_served)
        log = process.read("error.log")
        assert "malloc failure" in log or "malloc() failed (12: " in log
        assert "internal error: MemoryError" not in log
        # Python itself may say that it could not print an exception.
        assert "Traceback" not in process.read("stderr.log")
        assert process.stop() == 0
