"""Features that work on the stand-ins of other systems, and messages about those that do not."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sniproxy.testing.upstreams import reserve_port
from tests.platforms.__main__ import HIDDEN, ROOT
from tests.platforms.stand_in import PLATFORMS, VARIABLE

POSIX_ONLY = {"sniproxy.master"}
LINUX_ONLY = {"sniproxy.stream.epoll_relay_loop"}
IMPORT_ALL = """
import importlib, pkgutil, sniproxy
for module in pkgutil.walk_packages(sniproxy.__path__, "sniproxy."):
    try:
        importlib.import_module(module.name)
    except (AssertionError, ImportError):
        print(module.name)
"""
CONFIG = """
error_log stderr notice;
{main}
events {{}}
http {{
    access_log off;
    {http}
    server {{ listen 127.0.0.1:{port}; {server} location / {{ return 200 "served\\n"; }} }}
}}
"""

every_system = pytest.mark.parametrize("system", PLATFORMS)


def environment(system: str) -> dict[str, str]:
    path = os.pathsep.join((str(HIDDEN), str(ROOT)))
    return {**os.environ, VARIABLE: system, "PYTHONPATH": path}


def run(system: str, *words: str, program: tuple[str, ...] = ("-m", "sniproxy")) -> str:
    """The output of a command on stdout and stderr, which has no traceback."""
    result = subprocess.run(
        [sys.executable, *program, *words],
        env=environment(system),
        capture_output=True,
        text=True,
        timeout=60,
    )
    output = result.stdout + result.stderr
    assert "Traceback" not in output
    return output


@pytest.fixture
def port() -> Iterator[int]:
    """A port that nobody else takes."""
    with reserve_port() as reserved:
        yield reserved.getsockname()[1]


Configuration = Callable[..., Path]


@pytest.fixture
def configuration(tmp_path: Path, port: int) -> Configuration:
    """`configuration(main=…, http=…, server=…)` is a file with these directives."""

    def write(**parts: str) -> Path:
        file = tmp_path / "nginx.conf"
        file.write_text(CONFIG.format(**{"main": "", "http": "", "server": "", **parts}, port=port))
        return file

    return write


@contextmanager
def started(system: str, *words: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A command that serves, with the lines it has printed until then; killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sniproxy", *words],
        env=environment(system),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        for line in process.stdout:
            lines.append(line)
            if "OS: " in line:  # its addresses are bound by now
                break
        yield process, lines
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_all_modules_are_imported_on_macos() -> None:
    printed = run("macos", program=("-c", IMPORT_ALL))
    assert set(printed.split()) == LINUX_ONLY


def test_all_modules_but_the_master_are_imported_on_windows() -> None:
    printed = run("windows", program=("-c", IMPORT_ALL))
    assert set(printed.split()) == LINUX_ONLY | POSIX_ONLY


@every_system
def test_one_process_serves_until_ctrl_c(
    system: str, configuration: Configuration, port: int, tmp_path: Path
) -> None:
    file = configuration()
    with started(system, "-p", f"{tmp_path}/", "-c", str(file)) as (process, lines):
        assert urllib.request.urlopen(f"http://127.0.0.1:{port}").read() == b"served\n", lines
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=20)[0]
    assert process.returncode == 0
    assert "signal 2 (SIGINT) received, exiting" in rest
    assert not list(tmp_path.glob("*.pid"))


@every_system
def test_workers_are_replaced_by_one_process_with_a_warning(
    system: str, configuration: Configuration, port: int, tmp_path: Path
) -> None:
    file = configuration(main="worker_processes 4;")
    with started(system, "-p", f"{tmp_path}/", "-c", str(file)) as (process, lines):
        assert urllib.request.urlopen(f"http://127.0.0.1:{port}").read() == b"served\n"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert "one process serves in place of the master and its workers" in "".join(lines)


def test_directives_about_processes_are_ignored_on_windows(configuration: Configuration) -> None:
    main = "user nobody; worker_priority 5; worker_rlimit_nofile 999; daemon on;"
    file = configuration(main=main)
    printed = run("windows", "-t", "-c", str(file))
    assert f'"user" is not supported, ignored in {file}:3' in printed
    for name in ("worker_priority", "worker_rlimit_nofile", "daemon"):
        assert f'"{name}" is not supported on this platform, ignored' in printed
    assert "test is successful" in printed


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"server": "listen unix:/tmp/site.sock;"},
            "the unix domain sockets are not supported on this platform in "
            '"unix:/tmp/site.sock" of the "listen" directive',
        ),
        (
            {"http": "upstream group { server unix:/tmp/site.sock; }"},
            "the unix domain sockets are not supported on this platform in upstream "
            '"unix:/tmp/site.sock"',
        ),
        (
            {"http": "disable_symlinks on;"},
            '"disable_symlinks" is not supported on this platform',
        ),
    ],
)
def test_what_windows_lacks_is_refused(
    parts: dict[str, str], message: str, configuration: Configuration
) -> None:
    printed = run("windows", "-t", "-c", str(configuration(**parts)))
    assert message in printed
    assert "test failed" in printed


def test_signals_are_refused_on_windows(configuration: Configuration) -> None:
    printed = run("windows", "-c", str(configuration()), "-s", "reload")
    assert "-s needs signals, which this system lacks" in printed


def test_reuseport_is_no_error_on_windows(configuration: Configuration, port: int) -> None:
    file = configuration(server=f"listen 127.0.0.2:{port} reuseport;")
    assert "test is successful" in run("windows", "-t", "-c", str(file))


@every_system
def test_commands_work(
    system: str, configuration: Configuration, port: int, tmp_path: Path
) -> None:
    file = configuration()
    log = (
        "2026/01/01 00:00:00 [error] 1#1: *1 connect() failed (111: Connection refused) while "
        'connecting to upstream, client: 127.0.0.1, server: , request: "GET / HTTP/1.1", '
        'upstream: "http://127.0.0.1:1/", host: "a"\n'
    )
    (tmp_path / "error.log").write_text(log)
    assert "connect() failed" in run(system, "explain", str(tmp_path / "error.log"))
    assert "return 200" in run(system, "convert", str(file), "--to", "nginx")
    assert "200" in run(system, "trace", "-c", str(file), f"http://127.0.0.1:{port}/")
    assert "127.0.0.1:1" in run(system, "diagnose", "https://127.0.0.1:1")
    run(system, "names", "-c", str(file))
    run(system, "diagnose", "-c", str(file))
    assert "ca" in run(system, "ca", "--help")


SIZE = 8 << 20
SERVE_STREAM = """
import os, socket, threading, sniproxy
server = "server {{ listen 127.0.0.1:0; proxy_pass 127.0.0.1:{upstream}; }}"
data = os.urandom({size})
with sniproxy.serve_in_thread("events {{}} stream {{" + server + "}}") as proxy:
    with socket.create_connection(proxy.addresses[0]) as client:
        sender = threading.Thread(target=client.sendall, args=(data,))
        sender.start()
        received = b""
        while len(received) < {size} and (piece := client.recv(1 << 20)):
            received += piece
        sender.join()
        assert received == data
    assert proxy.wait_for(lambda: proxy.sessions)[0].received == {size}
print(len(received))
"""


def echo(listening: socket.socket) -> None:
    """Send back what the first connection sends."""
    connection, _ = listening.accept()
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)


@every_system
def test_sessions_of_stream_are_relayed_without_epoll(system: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        upstream = threading.Thread(target=echo, args=(listening,))
        upstream.start()
        code = SERVE_STREAM.format(upstream=listening.getsockname()[1], size=SIZE)
        printed = run(system, program=("-c", code))
        upstream.join()
    assert printed == f"{SIZE}\n"
