"""`Expect: 100-continue`, and other parts of heads in which sniproxy has differed from nginx."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compare_nginx import NginxPair, Served, paired_with_nginx

pytestmark = pytest.mark.nginx

SITE = """
    client_max_body_size 10;
    server {
        listen 127.0.0.1:@PORT@;
        location /text { return 200 text; }
        location /redirect { return 302 /elsewhere; }
        location /refusal { return 404; }
        location /refusal-text { return 404 text; }
        location /page { error_page 404 /text; return 404; }
        location /closed { return 444; }
        location /denied { deny all; }
        location /gif { empty_gif; }
        location /file { root FOLDER; }
        location /missing { root FOLDER; }
        location /protocol { return 200 "<$server_protocol>"; }
    }
"""
PATHS = (
    *("text", "redirect", "refusal", "refusal-text", "page", "closed", "denied", "gif", "file"),
    "missing",
)
BODIES = {
    "no body": b"\r\n",
    "empty body": b"Content-Length: 0\r\n\r\n",
    "body": b"Content-Length: 3\r\n\r\nabc",
    "body that is missing": b"Content-Length: 3\r\n\r\n",
    "too large body": b"Content-Length: 11\r\n\r\n" + bytes(11),
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxPair]:
    folder = tmp_path_factory.mktemp("site")
    Path(folder, "file").write_text("file\n")
    with paired_with_nginx(folder, SITE.replace("FOLDER", str(folder))) as running:
        yield running


def lines(program: Served, data: bytes) -> list[str]:
    """The lines of all answers, but for dates."""
    received = b""
    with program.connected() as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        while more := client.recv(65536):
            received += more
    return [
        program.without_ports(line)
        for line in received.decode("latin-1").splitlines()
        if not line.startswith(("Date:", "Last-Modified:", "ETag:"))
    ]


@pytest.mark.parametrize(("method", "path"), list(itertools.product(("GET", "POST"), PATHS)))
def test_expectation_is_answered_as_by_nginx(method: str, path: str, pair: NginxPair) -> None:
    for body in BODIES.values():
        head = f"{method} /{path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n".encode()
        ours, theirs = (lines(program, head + body) for program in pair.both)
        assert ours == theirs


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"GET /protocol HTTP/1.1\r\nHost: a\r\n\r\n", "<HTTP/1.1>"),
        (b"GET /protocol HTTP/1.18  \r\nHost: a\r\n\r\n", "<HTTP/1.18  >"),
        (b"GET /protocol HTTP/1.0\r\n\r\n", "<HTTP/1.0>"),
        (b"GET /protocol\r\n", "<>"),
        (b"HEAD /protocol\r\n", "</html>"),
    ],
)
def test_protocol_is_that_of_the_request_line(head: bytes, expected: str, pair: NginxPair) -> None:
    ours, theirs = (lines(program, head) for program in pair.both)
    assert theirs[-1] == expected
    assert ours == theirs
