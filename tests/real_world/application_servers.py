"""php-fpm, uwsgi and memcached from Debian, as processes of a test."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from sniproxy.testing.upstreams import reserve_port

PHP_FPM, UWSGI, MEMCACHED = "php-fpm8.2", "uwsgi_python3", "memcached"
PATIENCE = 20.0

WSGI = """
import hashlib

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/broken":
        raise ValueError("on purpose")
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    status = "404 Not Found" if path == "/absent" else "200 OK"
    start_response(status, [("Content-Type", "text/plain"), ("X-App", "wsgi")])
    names = ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "HTTP_HOST", "HTTP_COOKIE",
             "SERVER_PROTOCOL", "REMOTE_ADDR", "wsgi.url_scheme")
    lines = [f"{name}={environ.get(name)}" for name in names]
    if path == "/large":
        lines = ["x" * 99] * 5000
    lines.append(f"{len(body)} {hashlib.sha1(body).hexdigest()}")
    return [("\\n".join(lines) + "\\n").encode()]
"""


@contextlib.contextmanager
def process(command: list[str], port: int, folder: Path) -> Iterator[int]:
    """A process that listens on `port`, while the block runs."""
    with (folder / f"{Path(command[0]).name}.log").open("wb") as log:
        running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + PATIENCE
        while not accepts(port):
            assert running.poll() is None, Path(log.name).read_text()
            assert time.monotonic() < deadline, f"{command[0]} does not listen"
        yield port
    finally:
        running.terminate()
        running.wait(PATIENCE)


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.1).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    with reserve_port() as reserved:
        return int(reserved.getsockname()[1])


@contextlib.contextmanager
def php_fpm(folder: Path) -> Iterator[int]:
    """The port of php-fpm; errors of scripts go to its FastCGI error stream."""
    port = free_port()
    is_root = os.geteuid() == 0
    user = f"user = {getpass.getuser()}\n" if is_root else ""
    (folder / "fpm.conf").write_text(
        f"[global]\nerror_log = {folder}/fpm.log\n[www]\n{user}listen = 127.0.0.1:{port}\n"
        "pm = static\npm.max_children = 2\n"
        "php_admin_flag[log_errors] = on\nphp_admin_flag[display_errors] = off\n"
    )
    command = [PHP_FPM, "--nodaemonize", "--fpm-config", f"{folder}/fpm.conf"]
    with process([*command, *["--allow-to-run-as-root"] * is_root], port, folder):
        yield port


@contextlib.contextmanager
def uwsgi(folder: Path) -> Iterator[int]:
    """The port of uwsgi with a WSGI application."""
    port = free_port()
    (folder / "wsgi.py").write_text(WSGI)
    command = [UWSGI, "--socket", f"127.0.0.1:{port}", "--wsgi-file", f"{folder}/wsgi.py"]
    with process([*command, "--need-app", "--die-on-term"], port, folder):
        yield port


@contextlib.contextmanager
def memcached(folder: Path, values: dict[str, tuple[bytes, int]]) -> Iterator[int]:
    """The port of memcached, with these values and flags by key."""
    port = free_port()
    command = [MEMCACHED, "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-u", getpass.getuser()]
    with process(command, port, folder):
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            for key, (value, flags) in values.items():
                client.sendall(
                    b"set %s %d 0 %d\r\n%s\r\n" % (key.encode(), flags, len(value), value)
                )
                assert client.recv(100) == b"STORED\r\n"
        yield port
