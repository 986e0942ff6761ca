"""Upstreams that wish us ill, names that nobody has, command lines that make no sense."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sniproxy.diagnose.model import Attempt, Result, Setting
from sniproxy.diagnose.probe import Timeouts
from sniproxy.diagnose.report import format_names, table
from sniproxy.terminal import escape_control
from sniproxy.testing.authority import Authority
from sniproxy.testing.upstreams import UpstreamSpec, catalog
from sniproxy.testing.upstreams.spec import Action, HandshakeFault
from tests.diagnose.conftest import HASTY, Diagnose, RunUpstreams
from tests.diagnose.fake_upstreams import make_spec

ESCAPE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


@contextlib.contextmanager
def serving(play: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port where `play` has every connection, in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        ended = threading.Event()

        def run() -> None:
            while not ended.is_set():
                with contextlib.suppress(OSError):
                    client, _ = listener.accept()
                    with client, contextlib.suppress(OSError):
                        client.settimeout(1.0)
                        play(client)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            thread.join()


def test_escapes_in_a_certificate(diagnose: Diagnose, tmp_path: Path) -> None:
    identity = Authority.root("Root").issue(common_name="\x1b[2J\x1b]0;owned\x07\r\nnginx logs: x")
    identity.write(tmp_path, "evil")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "evil.pem", tmp_path / "evil.key")

    def play(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as tls:
            tls.recv(4096)
            tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with serving(play) as port:
        for more in ((), ("--json",), ("--ca", str(tmp_path / "evil.pem"), "--name", "a.test")):
            output = diagnose(f"https://127.0.0.1:{port}/", *more)
            assert not ESCAPE.search(output.text)
            assert "x1B" in output.text or "u001b" in output.text


def test_endless_certificates(diagnose: Diagnose) -> None:
    """A handshake message that never ends is given up, by the library or by the clock."""
    record = b"\x16\x03\x03\x40\x00" + bytes(0x4000)
    hello = bytes.fromhex("020000260303" + "00" * 32 + "00c02b00")
    first = b"\x16\x03\x03" + len(hello).to_bytes(2) + hello
    endless = b"\x16\x03\x03\x40\x00\x0b\xff\xff\xff" + bytes(0x4000 - 4)

    def play(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(first + endless)
        for _ in range(2000):
            client.sendall(record)

    with serving(play) as port:
        began = time.monotonic()
        output = diagnose(f"https://127.0.0.1:{port}/")
    assert output.status == 4
    assert time.monotonic() - began < 10


def test_an_endless_header(diagnose: Diagnose) -> None:
    def play(client: socket.socket) -> None:
        data = client.recv(4096)
        if data.startswith(b"\x16"):
            client.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")
            return
        client.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            client.sendall(b"X: " + b"y" * 1000 + b"\r\n")

    with serving(play) as port:
        output = diagnose(f"https://127.0.0.1:{port}/")
    assert output.status == 4


def test_a_tarpit_has_its_time(diagnose: Diagnose) -> None:
    """A byte now and then does not make the whole last longer."""
    timeouts = Timeouts(connect=0.3, handshake=5.0, response=5.0, total=0.6)

    def play(client: socket.socket) -> None:
        client.recv(4096)
        client.settimeout(0.02)
        client.sendall(b"\x16\x03\x03\x40\x00")
        while True:
            client.sendall(b"\x02")
            with contextlib.suppress(TimeoutError):
                if not client.recv(4096):
                    return

    with serving(play) as port:
        began = time.monotonic()
        output = diagnose(f"https://127.0.0.1:{port}/", timeouts=timeouts)
        assert time.monotonic() - began < 2
    assert output.status == 4
    assert "before the deadline" in output.errors


@pytest.mark.parametrize("size", [0, 1, 5, 7, 4096])
@pytest.mark.parametrize("first", [b"\x15\x03", b"\x16\x03\x01", b"HTTP", b"\x00", b"\xff" * 9])
def test_any_bytes(
    run_upstreams: RunUpstreams, diagnose: Diagnose, first: bytes, size: int
) -> None:
    bytes_ = (first + bytes(range(256)) * 16)[:size]
    upstream = UpstreamSpec("bytes", "says them", handshake_fault=HandshakeFault(Action(bytes_)))
    with run_upstreams(upstream) as (peer,):
        output = diagnose(f"https://127.0.0.1:{peer.port}/", "--name", "a.test")
        assert output.status in (3, 4)
        assert len(peer.connections) <= 12
    assert not ESCAPE.search(output.text)
    assert "Traceback" not in output.errors


def test_an_alert_of_an_odd_size_is_no_plain_http(
    run_upstreams: RunUpstreams, diagnose: Diagnose
) -> None:
    """What a library takes for a wrong version may be an alert: the first bytes tell."""
    odd = UpstreamSpec(
        "odd",
        "answers a hello without a name with an alert of an unknown version",
        handshake_fault=HandshakeFault(
            Action(b"\x15\x03\x09\x00\x02\x02\x28"), allow_sni=("upstream.test",)
        ),
    )
    with run_upstreams(odd) as (peer,):
        output = diagnose(f"https://127.0.0.1:{peer.port}/", "--name", "upstream.test", "--json")
    assert (output.status, output.data["cause"]) == (3, "sni-missing")
    assert output.data["attempts"][0]["result"].startswith("alert")


@pytest.mark.parametrize(
    "words",
    [
        ("http://a.test/",),
        ("https://",),
        ("https://a.test:port/",),
        ("https://a.test:70000/",),
        ("https://user@a.test/",),
        ("https://a.test/\x1b[2J",),
        ("https://[::1/",),
        ("https://a.test/", "--name", "x y"),
        ("https://a.test/", "--name", "\x1b[2J"),
        ("https://a.test/", "--host", "a\r\nb: c"),
        ("https://a.test/", "--cert", "x"),
        ("https://a.test/", "--ca", "/nowhere"),
        ("https://a.test/", "--for", "yaml"),
        ("https://a.test/", "--fix"),
        ("-c", "nginx.conf", "--name", "a.test"),
        ("-c", "nginx.conf", "--for", "caddy"),
        (),
    ],
)
def test_usage(diagnose: Diagnose, words: tuple[str, ...]) -> None:
    output = diagnose(*words)
    assert output.status == 2
    assert output.errors
    assert not ESCAPE.search(output.errors)
    assert "Traceback" not in output.errors


def test_a_host_that_no_one_knows(diagnose: Diagnose) -> None:
    output = diagnose("https://nobody.invalid/")
    assert output.status == 4
    assert "nobody" in output.errors


def test_files_that_are_no_certificates(
    run_upstreams: RunUpstreams, diagnose: Diagnose, tmp_path: Path
) -> None:
    (tmp_path / "no.pem").write_text("no")
    with run_upstreams(catalog.GOOD) as (peer,):
        url = f"https://127.0.0.1:{peer.port}/"
        output = diagnose(url, "--name", "a.test", "--ca", str(tmp_path / "no.pem"))
        assert (output.status, "no.pem" in output.text) == (4, True)


def test_resolve_keeps_the_name(run_upstreams: RunUpstreams, diagnose: Diagnose) -> None:
    with run_upstreams(catalog.NEEDS_SNI) as (peer,):
        output = diagnose(
            f"https://upstream.test:{peer.port}/a?b", "--resolve", "127.0.0.1", "--json"
        )
        assert output.status == 3
        assert peer.connections[-1].server_name == "upstream.test"
        query = next(visit.requests[0] for visit in peer.connections if visit.requests)
    assert query.startswith(b"GET /a?b HTTP/1.1\r\nHost: upstream.test\r\n")
    assert output.data["proxy_pass"] == f"https://127.0.0.1:{peer.port}"


def test_names_go_out_as_they_are_written(run_upstreams: RunUpstreams, diagnose: Diagnose) -> None:
    with run_upstreams(catalog.NEEDS_SNI) as (peer,):
        diagnose(f"https://UP.test:{peer.port}/", "--resolve", "127.0.0.1")
    assert {visit.server_name for visit in peer.connections} == {None, "UP.test"}


def test_what_is_printed_has_an_end() -> None:
    attempt = Attempt(
        Setting(make_spec().base),
        Result.RESPONSE,
        "l" * 9999,
        names=("n" * 9999,) * 999,
        status=200,
    )
    lines = list(table(make_spec(), [attempt]))
    assert max(map(len, lines)) < 400
    assert format_names(attempt.names).endswith("+996")


def test_printable_is_plain() -> None:
    assert escape_control("a\x1b[2J\xe9\n") == "a\\x1B[2J\xe9\\x0A"


def test_a_terminal_sees_what_is_tried(
    run_upstreams: RunUpstreams,
    diagnose: Diagnose,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with run_upstreams(catalog.GOOD) as (peer,):
        output = diagnose(f"https://127.0.0.1:{peer.port}/", "--json")
    assert "\r\x1b[K1: no SNI …" in output.errors
    assert output.errors.endswith("\r\x1b[K")
    assert json.loads(output.text)["status"] == 0


def test_patience_is_ten_seconds_a_step() -> None:
    default = Timeouts()
    assert default == Timeouts.patient(10)
    assert (default.handshake, default.response, default.total) == (10, 10, 60)
    assert HASTY.total <= 10
