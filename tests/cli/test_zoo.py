"""`sniproxy zoo`: broken upstreams for tests in any language."""

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

from sniproxy.testing.zoo import animals, reserve_port
from sniproxy.testing.zoo.wardrobe import wardrobe
from tests.cli.commands import Sniproxy

ADDRESS = re.compile(r"127\.0\.0\.1:(\d+) +(\S+) +(\S.+)")


class Command:
    """`sniproxy zoo …` while it runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.ports: dict[str, int] = {}
        while match := ADDRESS.fullmatch(line := self.line()):
            port, name, does = match.groups()
            assert does == animals.ALL[name].does
            self.ports[name] = int(port)
        self.root = Path(line.removeprefix("trust "))

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")


@contextlib.contextmanager
def running(*words: str) -> Iterator[Command]:
    command = [sys.executable, "-m", "sniproxy", "zoo", *words]
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


def test_one_of_them_tells_of_its_visits() -> None:
    with running("needs-sni-112") as zoo:
        port = zoo.ports["needs-sni-112"]
        with pytest.raises(ssl.SSLError, match="unrecognized name"):
            ask(port, zoo.root, "other.test")
        assert zoo.line() == "needs-sni-112: SNI other.test"
        assert ask(port, zoo.root, "upstream.test").startswith(b"HTTP/1.1 200 OK\r\n")
        assert zoo.line() == "needs-sni-112: SNI upstream.test, handshake finished, GET / HTTP/1.1"
    assert not zoo.root.exists()


def test_all_of_them() -> None:
    with running("--all") as zoo:
        assert list(zoo.ports) == list(animals.ALL)
        assert len(set(zoo.ports.values())) == len(animals.ALL)
        url = f"http://127.0.0.1:{zoo.ports['plain']}/"
        with urllib.request.urlopen(url) as answer:
            assert answer.status == 200


def test_ports_and_certificates_can_be_chosen(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"
    with reserve_port() as reserved:
        port = reserved.getsockname()[1]
    for _ in range(2):
        with running("good", "--port", str(port), "--certificates", str(folder)) as zoo:
            assert zoo.ports == {"good": port}
            assert zoo.root == folder / "root.pem"
            assert ask(port, zoo.root, "upstream.test")
    assert list(folder.parent.iterdir()) == [folder]


def test_what_visitors_send_is_told_safely() -> None:
    with running("plain") as zoo:
        with socket.create_connection(("127.0.0.1", zoo.ports["plain"])) as sock:
            sock.sendall(b"\x1b[31m\xff\r\n\r\n")
        assert zoo.line() == r"plain: \x1b[31m\xff"


def test_the_list(sniproxy: Sniproxy) -> None:
    said = sniproxy("zoo", "--list")
    assert (said.status, said.stderr) == (0, "")
    for upstream in animals.ALL.values():
        assert re.search(rf"(?m)^{re.escape(upstream.name)} +{re.escape(upstream.does)}$",
                         said.stdout)  # fmt: skip
        assert upstream.logged in said.stdout


def test_what_is_refused(sniproxy: Sniproxy, tmp_path: Path) -> None:
    said = sniproxy("zoo", "unicorn")
    assert (said.status, said.lines) == (1, ['no upstream is called "unicorn"; see --list'])
    said = sniproxy("zoo")
    assert (said.status, said.lines[0].split()[:3]) == (2, ["usage:", "sniproxy", "zoo"])
    with reserve_port() as taken:
        taken.listen()
        port = str(taken.getsockname()[1])
        said = sniproxy("zoo", "good", "--port", port)
    assert said.status == 1
    assert "in use" in said.stderr
    (tmp_path / "file").write_text("")
    said = sniproxy("zoo", "good", "--certificates", "file")
    assert said.status == 1
    assert said.lines


def test_a_wardrobe_is_made_once(tmp_path: Path) -> None:
    assert wardrobe(tmp_path / "a") == tmp_path / "a"
    root = (tmp_path / "a" / "root.pem").read_bytes()
    wardrobe(tmp_path / "a")
    assert (tmp_path / "a" / "root.pem").read_bytes() == root
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
