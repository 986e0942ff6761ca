"""Tests of `sniproxy upstreams`."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from sniproxy.testing.upstreams import catalog, reserve_port
from sniproxy.testing.upstreams.certificates import ensure_certificates
from tests.cli.commands import Sniproxy

ADDRESS = re.compile(r"127\.0\.0\.1:(\d+) +(\S+) +(\S.+)")


class Command:
    """A running `sniproxy upstreams …`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.ports: dict[str, int] = {}
        while match := ADDRESS.fullmatch(line := self.line()):
            port, name, description = match.groups()
            assert description == catalog.ALL[name].description
            self.ports[name] = int(port)
        self.root = Path(line.removeprefix("trust "))

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[Command]:
    command = [sys.executable, "-m", "sniproxy", "upstreams", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Command(process)
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0


def ask(port: int, root: Path, name: str) -> bytes:
    context = ssl.create_default_context(cafile=str(root))
    with (
        socket.create_connection(("127.0.0.1", port)) as sock,
        context.wrap_socket(sock, server_hostname=name) as tls,
    ):
        tls.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        return tls.recv(65536)


def test_connections_are_printed() -> None:
    with running("needs-sni-112") as command:
        port = command.ports["needs-sni-112"]
        with pytest.raises(ssl.SSLError, match="unrecognized name"):
            ask(port, command.root, "other.test")
        assert command.line() == "needs-sni-112: SNI other.test"
        assert ask(port, command.root, "upstream.test").startswith(b"HTTP/1.1 200 OK\r\n")
        assert (
            command.line() == "needs-sni-112: SNI upstream.test, handshake finished, GET / HTTP/1.1"
        )
    assert not command.root.exists()


def test_all_runs_every_upstream() -> None:
    with running("--all") as command:
        assert list(command.ports) == list(catalog.ALL)
        assert len(set(command.ports.values())) == len(catalog.ALL)
        url = f"http://127.0.0.1:{command.ports['plain']}/"
        with urllib.request.urlopen(url) as answer:
            assert answer.status == 200


def test_port_and_certificates_options(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"
    with reserve_port() as reserved:
        port = reserved.getsockname()[1]
    for _ in range(2):
        with running("good", "--port", str(port), "--certificates", str(folder)) as command:
            assert command.ports == {"good": port}
            assert command.root == folder / "root.pem"
            assert ask(port, command.root, "upstream.test")
    assert list(folder.parent.iterdir()) == [folder]


def test_control_characters_from_clients_are_escaped() -> None:
    with running("plain") as command:
        with socket.create_connection(("127.0.0.1", command.ports["plain"])) as sock:
            sock.sendall(b"\x1b[31m\xff\r\n\r\n")
        assert command.line() == r"plain: \x1b[31m\xff"


def test_list_describes_every_upstream(sniproxy: Sniproxy) -> None:
    output = sniproxy("upstreams", "--list")
    assert (output.status, output.stderr) == (0, "")
    for upstream in catalog.ALL.values():
        line = rf"(?m)^{re.escape(upstream.name)} +{re.escape(upstream.description)}$"
        assert re.search(line, output.stdout)
        assert upstream.expected_log in output.stdout


def test_invalid_arguments_are_reported(sniproxy: Sniproxy, tmp_path: Path) -> None:
    output = sniproxy("upstreams", "unknown")
    assert (output.status, output.lines) == (1, ['no upstream is called "unknown"; see --list'])
    output = sniproxy("upstreams")
    assert (output.status, output.lines[0].split()[:3]) == (2, ["usage:", "sniproxy", "upstreams"])
    with reserve_port() as taken:
        taken.listen()
        port = str(taken.getsockname()[1])
        output = sniproxy("upstreams", "good", "--port", port)
    assert output.status == 1
    assert "in use" in output.stderr
    (tmp_path / "file").write_text("")
    output = sniproxy("upstreams", "good", "--certificates", "file")
    assert output.status == 1
    assert output.lines


def test_certificates_are_generated_once(tmp_path: Path) -> None:
    assert ensure_certificates(tmp_path / "a") == tmp_path / "a"
    root = (tmp_path / "a" / "root.pem").read_bytes()
    ensure_certificates(tmp_path / "a")
    assert (tmp_path / "a" / "root.pem").read_bytes() == root
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
