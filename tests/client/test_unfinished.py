"""Incomplete requests are logged, with a status that is not sent."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest

from tests.compare_nginx import NginxPair, Served, paired_with_nginx

HTTP = """
access_log access.log;
client_header_timeout 50ms;
client_body_timeout 50ms;
server {
    listen 127.0.0.1:@PORT@;
    server_name front.test;
    location / { proxy_pass http://127.0.0.1:@PORT2@; }
}
server { listen 127.0.0.1:@PORT2@; return 204; }
"""

HEAD = b"POST /x HTTP/1.1\r\nHost: front.test\r\n"

_TIME = re.compile(r"\[.*?\]")

UNFINISHED = {
    "line": b"GET /x",
    "line-ended": b"GET /x HTTP/1.1\r\n",
    "head": b"GET /x?y HTTP/1.1\r\nHost: front.test\r\n",
    "empty-line": b"\r\n",
    "body": HEAD + b"Content-Length: 5\r\n\r\n12",
    "chunked": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\na",
    "nothing": b"",
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxPair]:
    with paired_with_nginx(tmp_path_factory.mktemp("unfinished"), HTTP) as running:
        yield running


def access_lines(served: Served, sent: bytes, *, ends: bool) -> list[str]:
    """The access log lines, without times, of a client that stops sending."""
    with served.connected() as client:
        client.sendall(sent)
        if ends:
            client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    return [_TIME.sub("", line) for line in served.log(lines=int(bool(sent)))]


@pytest.mark.nginx
@pytest.mark.parametrize("ends", [True, False], ids=["gone", "silent"])
@pytest.mark.parametrize("sent", UNFINISHED.values(), ids=UNFINISHED)
def test_access_lines_of_unfinished_requests_equal_nginx(
    both: NginxPair, sent: bytes, ends: bool
) -> None:
    ours, nginxs = (access_lines(served, sent, ends=ends) for served in both.both)
    assert ours == nginxs
    assert len(nginxs) == bool(sent)
