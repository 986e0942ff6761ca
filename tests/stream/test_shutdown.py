"""Sessions that exceed `worker_shutdown_timeout` end with the same lines as in nginx."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sniproxy.testing.upstreams import reserve_port
from tests.config.oracle import nginx_binary
from tests.stream.sessions import wait_until

CONFIG = """
user {user};
daemon off;
pid nginx.pid;
error_log error.log info;
worker_shutdown_timeout 300ms;
events {{}}
stream {{
    log_format sessions "$protocol $status $bytes_sent $bytes_received";
    access_log access.log sessions;
    server {{ listen 127.0.0.1:{port}; proxy_pass 127.0.0.1:{tcp}; }}
    server {{ listen 127.0.0.1:{port} udp; proxy_pass 127.0.0.1:{udp}; }}
}}
"""


@pytest.fixture
def upstreams() -> Iterator[tuple[int, int]]:
    """The ports of upstreams that send back what they receive, by TCP and UDP."""

    def echo() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                with sock:
                    while data := sock.recv(4096):
                        sock.sendall(data)

    def echo_datagrams() -> None:
        with contextlib.suppress(OSError):
            while True:
                data, address = datagrams.recvfrom(4096)
                if not address:
                    return
                datagrams.sendto(data, address)

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind(("127.0.0.1", 0))
        for work in (echo, echo_datagrams):
            threading.Thread(target=work, daemon=True).start()
        yield listener.getsockname()[1], datagrams.getsockname()[1]
        for sock in (listener, datagrams):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def lines_of(command: list[str], folder: Path, upstreams: tuple[int, int]) -> list[str]:
    """The lines about sessions that a program is told to end."""
    folder.mkdir()
    tcp, udp = upstreams
    user = pwd.getpwuid(os.getuid()).pw_name
    with reserve_port() as reserved:
        port = reserved.getsockname()[1]
        (folder / "n.conf").write_text(CONFIG.format(user=user, port=port, tcp=tcp, udp=udp))
        arguments = ["-p", f"{folder}/", "-c", str(folder / "n.conf"), "-e", f"{folder}/early.log"]
        process = subprocess.Popen([*command, *arguments], stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: (folder / "nginx.pid").exists(), 15)
            with contextlib.ExitStack() as clients:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    client = clients.enter_context(socket.socket(socket.AF_INET, kind))
                    client.settimeout(10)
                    client.connect(("127.0.0.1", port))
                    client.send(b"ping")
                    assert client.recv(4) == b"ping"
                process.send_signal(signal.SIGQUIT)
                assert process.wait(15) == 0
        finally:
            process.kill()
            process.wait()
    errors = (folder / "error.log").read_text().splitlines()
    text = [line for line in errors if "shutdown" in line and "signal" not in line]
    text = [re.sub(r"^.*?(\[\w+\]) [\d#]+: (\*\d+ )?", r"\1 ", line) for line in text]
    text += (folder / "access.log").read_text().splitlines()
    return sorted(line.replace(str(port), "PORT") for line in text)


@pytest.mark.nginx
def test_sessions_are_cut_off_as_by_nginx(tmp_path: Path, upstreams: tuple[int, int]) -> None:
    theirs = lines_of([str(nginx_binary())], tmp_path / "nginx", upstreams)
    ours = lines_of([sys.executable, "-m", "sniproxy"], tmp_path / "sniproxy", upstreams)
    assert "TCP 200 4 4" in theirs
    assert sum("shutdown timeout while proxying connection" in line for line in theirs) == 2
    assert ours == theirs
