"""The running process: pid file, signals, the background. One story, told of both programs."""

from __future__ import annotations

import os
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.commands import Sniproxy, run
from tests.cli.processes import HEAD, PATIENCE, ask, everything, lives, served, wait_until
from tests.http2_frames import START, fields, headers
from tests.nginx import NGINX
from tests.programs import SNIPROXY, Command

both = pytest.mark.parametrize(
    "program",
    [SNIPROXY, pytest.param(NGINX, marks=pytest.mark.nginx)],
    ids=lambda program: program.name,
)

FOREGROUND = ("-g", "daemon off;")
HELLO = HEAD + (
    " http { access_log access.log; server { listen 127.0.0.1:PORT; return 200 hello; } }"
)


@pytest.fixture
def upstream() -> Iterator[socket.socket]:
    """A listening socket: its test is the upstream, and as slow as it likes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(PATIENCE)
        yield listening


def proxying(upstream: socket.socket) -> str:
    port = upstream.getsockname()[1]
    return HEAD + (
        " http { access_log access.log; server { listen 127.0.0.1:PORT; location = /hello "
        "{ return 200 hello; } location / { proxy_buffering off; "
        f"proxy_pass http://127.0.0.1:{port}; }} }} }}"
    )


@both
def test_the_pid_file_is_there_while_it_serves(program: Command, tmp_path: Path) -> None:
    with served(program, tmp_path, HELLO, *FOREGROUND) as process:
        assert process.read("run.pid") == f"{process.process.pid}\n"
        with process.connect() as client:
            ask(client, connection="close")
            assert everything(client).endswith(b"hello")
        assert process.stop() == 0
        assert not process.pid_file.exists()
        assert process.read("stderr.log") == ""


@both
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_term_and_int_end_it_at_once(
    program: Command, number: signal.Signals, upstream: socket.socket, tmp_path: Path
) -> None:
    with (
        served(program, tmp_path, proxying(upstream), *FOREGROUND) as process,
        process.connect() as client,
    ):
        ask(client)
        with upstream.accept()[0] as behind:
            assert behind.recv(65536)
            assert process.stop(number) == 0
            assert everything(client) == b""
            assert everything(behind) == b""
        assert not process.pid_file.exists()
        assert process.read("stderr.log") == ""
        assert process.read("access.log") == ""


@both
def test_quit_lets_requests_finish(
    program: Command, upstream: socket.socket, tmp_path: Path
) -> None:
    with (
        served(program, tmp_path, proxying(upstream), *FOREGROUND) as process,
        process.connect() as busy,
        process.connect() as idle,
        process.connect() as fresh,
        process.connect() as halfway,
    ):
        ask(idle, "/hello")
        assert idle.recv(65536).endswith(b"hello")
        halfway.sendall(b"GET /hello HTTP/1.1\r\n")
        ask(busy)
        with upstream.accept()[0] as behind:
            assert behind.recv(65536)
            process.send(signal.SIGQUIT)
            assert everything(idle) == b"", "idle connections are closed"
            wait_until(process.refuses)
            behind.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
            behind.sendall(b"there")
            assert everything(busy).endswith(b"\r\n\r\nthere")
        ask(fresh, "/hello")
        assert everything(fresh).endswith(b"hello"), "a first request is still answered"
        halfway.sendall(b"Host: a\r\n\r\n")
        assert everything(halfway).endswith(b"hello"), "so is one that has begun"
        assert process.process.wait(PATIENCE) == 0
        assert not process.pid_file.exists()
        assert process.read("stderr.log") == ""
        assert process.read("access.log").count("\n") == 4


@both
def test_quit_closes_a_connection_whose_answer_was_under_way(
    program: Command, upstream: socket.socket, tmp_path: Path
) -> None:
    """The head has promised keep-alive before: the connection is closed behind the body."""
    with (
        served(program, tmp_path, proxying(upstream), *FOREGROUND) as process,
        process.connect() as client,
    ):
        ask(client)
        with upstream.accept()[0] as behind:
            assert behind.recv(65536)
            behind.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + b"a")
            behind.shutdown(socket.SHUT_RD)
            answer = client.recv(65536)
            assert b"Connection: keep-alive" in answer
            process.send(signal.SIGQUIT)
            wait_until(process.refuses)
            behind.sendall(b"bcdefghij")
            answer += everything(client)
        assert answer.endswith(b"abcdefghij")
        assert process.process.wait(PATIENCE) == 0


@both
def test_quit_sends_goaway_and_finishes_the_streams(
    program: Command, upstream: socket.socket, tmp_path: Path
) -> None:
    port = upstream.getsockname()[1]
    configuration = HEAD + (
        " http { access_log access.log; server { listen 127.0.0.1:PORT; http2 on; "
        f"location / {{ proxy_pass http://127.0.0.1:{port}; }} }} }}"
    )
    goaway = bytes((0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0))
    with (
        served(program, tmp_path, configuration, *FOREGROUND) as process,
        process.connect() as client,
        process.connect() as idle,
    ):
        idle.sendall(START)
        client.sendall(START + headers(1, fields()))
        with upstream.accept()[0] as behind:
            assert behind.recv(65536)
            process.send(signal.SIGQUIT)
            wait_until(process.refuses)
            received = b""
            while goaway not in received:
                received += client.recv(65536)
            assert goaway[:12] in everything(idle)
            behind.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthere")
            assert b"there" in everything(client)
        assert process.process.wait(PATIENCE) == 0
        assert '"GET / HTTP/2.0" 200' in process.read("access.log")


@both
def test_quit_takes_no_longer_than_it_is_given(
    program: Command, upstream: socket.socket, tmp_path: Path
) -> None:
    configuration = "worker_shutdown_timeout 100ms; " + proxying(upstream)
    with (
        served(program, tmp_path, configuration, *FOREGROUND) as process,
        process.connect() as client,
    ):
        ask(client)
        with upstream.accept()[0] as behind:
            assert behind.recv(65536)
            assert process.stop(signal.SIGQUIT) == 0
            assert everything(client) == b""


@both
def test_usr1_opens_logs_that_were_moved_away_again(program: Command, tmp_path: Path) -> None:
    with (
        served(program, tmp_path, HELLO, *FOREGROUND) as process,
        process.connect() as client,
    ):
        for name in ("access.log", "error.log"):
            (tmp_path / name).rename(tmp_path / f"{name}.old")
        ask(client)
        assert client.recv(65536).endswith(b"hello")
        wait_until(lambda: process.read("access.log.old").count("\n") == 1)
        process.send(signal.SIGUSR1)
        wait_until(lambda: all((tmp_path / n).exists() for n in ("access.log", "error.log")))

        def lands_in_the_new_file() -> bool:
            # nginx's worker opens them a little later than its master.
            ask(client)
            assert client.recv(65536).endswith(b"hello")
            return process.read("access.log") != ""

        wait_until(lands_in_the_new_file)
        assert process.stop() == 0
        assert process.read("stderr.log") == ""


@both
def test_in_the_background(program: Command, tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text(HEAD)
    started = run(program, ("-p", f"{tmp_path}/", "-c", "nginx.conf", "-g", "daemon on;"), tmp_path)
    assert (started.status, started.stdout, started.stderr) == (0, "", "")
    pid_file = tmp_path / "run.pid"
    wait_until(lambda: pid_file.exists() and pid_file.read_text() != "")
    pid = int(pid_file.read_text())
    session = os.getsid(pid)

    def has_ended() -> bool:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)  # again: nginx sleeps over one while it starts
        return not lives(pid) or not pid_file.exists()

    wait_until(has_ended)
    assert session == pid
    assert not pid_file.exists()


@both
def test_a_site_that_listens_nowhere_runs(program: Command, tmp_path: Path) -> None:
    with served(program, tmp_path, HEAD, *FOREGROUND) as process:
        assert process.stop(signal.SIGQUIT) == 0


@both
def test_a_unix_socket_is_for_everybody_and_removed_at_the_end(
    program: Command, tmp_path: Path
) -> None:
    configuration = HEAD + " http { server { listen unix:socket; return 200 a; } }"
    path = tmp_path / "socket"
    for _ in range(2):
        with served(program, tmp_path, configuration, *FOREGROUND) as process:
            assert stat.S_IMODE(path.stat().st_mode) == 0o666
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(PATIENCE)
                # The address of a socket holds a hundred bytes, and a folder may be deeper.
                client.connect(f"/proc/{process.process.pid}/cwd/socket")
                ask(client, connection="close")
                assert everything(client).endswith(b"a")
            assert process.stop() == 0
        assert not path.exists()


def test_what_concerns_workers_is_taken(tmp_path: Path, sniproxy: Sniproxy) -> None:
    (tmp_path / "nginx.conf").write_text(
        "user www-data; worker_processes auto; master_process off; daemon on;"
        " worker_rlimit_nofile 1000; worker_priority 0; events { worker_connections 1024; }"
    )
    tested = sniproxy("-tq")
    assert (tested.status, tested.stderr) == (0, "")


def test_hup_ends_nothing(tmp_path: Path) -> None:
    with served(SNIPROXY, tmp_path, HELLO, *FOREGROUND) as process, process.connect() as client:
        process.send(signal.SIGHUP)
        # A connection that has not asked yet is answered by the old configuration.
        ask(client, connection="close")
        assert everything(client).endswith(b"hello")
        assert process.stop() == 0
