"""Error log lines: format, context, truncation and targets."""

from __future__ import annotations

import errno
import os
import re
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.logs.error import MAX_ERROR_LINE, ConnectionLog, ErrorLog, LogTarget, error_line
from sniproxy.models import Failure, Header, Level
from tests.compare_nginx import NginxPair, get, paired_with_nginx


class Lines:
    """A sink that stores its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, line: str) -> None:
        self.lines.append(line)


def test_error_line_format() -> None:
    line = error_line(Level.ERROR, "text", 7)
    ids = f"{os.getpid()}#{threading.get_native_id()}"
    assert re.fullmatch(rf"\d{{4}}/\d\d/\d\d \d\d:\d\d:\d\d \[error\] {ids}: \*7 text\n", line)


def test_line_without_connection_has_no_number() -> None:
    assert error_line(Level.NOTICE, "text").endswith(f"#{threading.get_native_id()}: text\n")


@given(st.integers(0, 3 * MAX_ERROR_LINE))
def test_lines_are_truncated_at_the_length_of_nginx(length: int) -> None:
    line = error_line(Level.INFO, "x" * length, 1)
    whole = len(error_line(Level.INFO, "", 1)) + length
    assert len(line) == min(whole, MAX_ERROR_LINE)
    assert line.endswith("\n")
    assert line.count("\n") == 1


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("taken", Level)
def test_target_ignores_less_severe_lines(level: Level, taken: Level) -> None:
    sink = Lines()
    ErrorLog([LogTarget(sink, taken)]).write(level, "text")
    assert bool(sink.lines) is (level <= taken)
    assert all(f"[{level.label}]" in line for line in sink.lines)


def test_target_gets_lines_of_its_level_and_above() -> None:
    severe, chatty = Lines(), Lines()
    log = ErrorLog([LogTarget(severe, Level.CRIT), LogTarget(chatty, Level.INFO)])
    for level in (Level.CRIT, Level.ERROR, Level.DEBUG):
        log.write(level, level.label)
    assert [line[-5:-1] for line in severe.lines] == ["crit"]
    assert [line.split()[-1] for line in chatty.lines] == ["crit", "error"]


def connection_log(sink: Lines) -> ConnectionLog:
    return ConnectionLog(ErrorLog([LogTarget(sink, Level.INFO)]), 7, "192.0.2.1", "0.0.0.0:443")


REQUEST = 'request: "GET / HTTP/1.1"'


@pytest.mark.parametrize(
    ("action", "server", "line", "headers", "upstream", "suffix"),
    [
        ("", None, "", (), None, ", client: 192.0.2.1, server: 0.0.0.0:443"),
        (
            "SSL handshaking",
            None,
            "",
            (),
            None,
            " while SSL handshaking, client: 192.0.2.1, server: 0.0.0.0:443",
        ),
        ("", "a.test", "", (), None, ", client: 192.0.2.1, server: a.test"),
        (
            "",
            "",
            "GET / HTTP/1.1",
            (),
            None,
            f", client: 192.0.2.1, server: , {REQUEST}",
        ),
        (
            "reading upstream",
            "a.test",
            "GET / HTTP/1.1",
            (("Host", "A.test:80"), ("Referer", 'a"b')),
            ("https", "192.0.2.3:443", "/"),
            f" while reading upstream, client: 192.0.2.1, server: a.test, {REQUEST}"
            ', upstream: "https://192.0.2.3:443/", host: "A.test:80", referrer: "a"b"',
        ),
        (
            "",
            "a.test",
            "GET / HTTP/1.1",
            (("Referer", ""),),
            None,
            f', client: 192.0.2.1, server: a.test, {REQUEST}, referrer: ""',
        ),
    ],
)
def test_context_of_a_connection(
    action: str,
    server: str | None,
    line: str,
    headers: tuple[Header, ...],
    upstream: tuple[str, str, str] | None,
    suffix: str,
) -> None:
    log = connection_log(Lines())
    log.action, log.server_name, log.request_line = action, server, line
    log.headers, log.upstream = headers, upstream
    assert log.context() == suffix


def test_failure_shows_its_errno() -> None:
    sink = Lines()
    log = connection_log(sink)
    log.write_failure(Failure("recv() failed", errno=errno.ECONNRESET))
    log.write_failure(Failure("gone", Level.INFO))
    first, second = sink.lines
    assert f"[error] {os.getpid()}#" in first
    assert "*7 recv() failed (104: Connection reset by peer), client: " in first
    assert "[info]" in second


def test_next_request_resets_the_context() -> None:
    log = connection_log(Lines())
    log.server_name, log.request_line = "a.test", "GET / HTTP/1.1"
    log.upstream = ("http", "x", "/")
    log.headers = (("Host", "a.test"),)
    log.next_request()
    assert log.context() == ", client: 192.0.2.1, server: 0.0.0.0:443"


# --- beside nginx: lines of a peer that refuses, around the length where they are cut ---

REQUESTS = [
    get("/a"),
    get("/uri/x%20y?z"),
    get('/"q"?"', 'Referer: "r\\'),
    get("/a", host="Front.Test:80"),
    get("/a", host="re"),
    b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    get("/a", "Referer:"),
    get("/\xe9", "Referer: \xe9\tx"),
    get("http://re/x", host="front.test"),
    get("/big", "Content-Length: 5").replace(b"GET", b"POST", 1) + b"12345",
    *[get("/" + "x" * length) for length in range(880, 920, 2)],
    *[get("/", f"Referer: {'r' * length}") for length in range(1780, 1840, 3)],
    get("/" + "x" * 3000),
]

HTTP = """
access_log off;
server {
    listen 127.0.0.1:@PORT@;
    server_name .front.test other;
    location / { proxy_pass http://127.0.0.1:@DEAD@; }
    location /uri/ { proxy_pass http://127.0.0.1:@DEAD@/there/; }
    location /big { client_max_body_size 1; return 200; }
    location /quiet { error_log quiet.log crit; proxy_pass http://127.0.0.1:@DEAD@; }
    location /two {
        error_log two.log warn;
        error_log error.log;
        proxy_pass http://127.0.0.1:@DEAD@;
    }
}
server {
    listen 127.0.0.1:@PORT@;
    server_name ~^re;
    location / { proxy_pass http://127.0.0.1:@DEAD@; }
}
server {
    listen 127.0.0.1:@PORT@;
    location / { proxy_pass http://127.0.0.1:@DEAD@; }
}
"""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxPair]:
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        http = HTTP.replace("@DEAD@", str(dead.getsockname()[1]))
        with paired_with_nginx(tmp_path_factory.mktemp("errors"), http) as running:
            yield running


_STAMP = re.compile(r"^\S+ \S+ (\[\w+\]) \d+#\d+: \*\d+ ")


def errors(lines: list[str]) -> list[str]:
    """Lines of level error without time, process and connection number."""
    return [_STAMP.sub(r"\1 ", line) for line in lines if "[error]" in line]


@pytest.mark.nginx
def test_lines_beside_nginx(both: NginxPair) -> None:
    both.ask(REQUESTS)
    raw = both.logs("error.log", lines=len(REQUESTS))
    ours, nginxs = map(errors, raw)
    assert len(ours) == len(nginxs) == len(REQUESTS)
    for our, nginx in zip(ours, nginxs, strict=True):
        # Numbers of processes and connections may differ in length, and so may the truncation.
        length = min(len(our), len(nginx))
        assert our[:length] == nginx[:length]
        assert abs(len(our) - len(nginx)) <= 3
    for served, lines in zip(both.both, raw, strict=True):
        longest = max((served.room / "error.log").read_bytes().split(b"\n"), key=len)
        assert len(longest) == MAX_ERROR_LINE - 1, served.program.name
        assert len(lines) >= len(REQUESTS)


@pytest.mark.nginx
def test_targets_beside_nginx(both: NginxPair) -> None:
    both.ask([get("/quiet"), get("/two")])
    ours, nginxs = both.logs("two.log", lines=1)
    assert errors(ours) == errors(nginxs)
    assert len(ours) == 1
    assert both.logs("quiet.log") == [[], []]
