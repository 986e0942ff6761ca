"""`error_detail`: which clients get the explanation, and in which media type."""

from __future__ import annotations

from pathlib import Path

import pytest

from sniproxy.handlers.error_detail import (
    ERROR_DETAIL_REFUSED,
    is_local,
    negotiate_media_type,
    with_detail,
)
from sniproxy.handlers.special_response import special_response
from sniproxy.logs.error import ConnectionLog, ErrorLog, LogTarget
from sniproxy.models import Level
from tests.configured import make_context, request, servers

LINE = (
    "2024/07/15 17:14:08 [error] 1#1: *1 connect() failed (111: Connection refused) while "
    "connecting to upstream, client: 127.0.0.1, server: a.test"
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"
HTML, JSON, TEXT = "text/html", "application/json", "text/plain"


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1", True),
        ("127.255.255.254", True),
        ("::1", True),
        ("unix:", True),
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("172.31.255.255", True),
        ("172.32.0.1", False),
        ("172.15.255.255", False),
        ("192.168.1.1", True),
        ("192.169.1.1", False),
        ("169.254.1.1", True),
        ("fd00::2", True),
        ("fc00::1", True),
        ("fe80::1", True),
        ("fe80::1%eth0", True),
        ("fec0::1", False),
        ("::", False),
        ("0.0.0.0", False),
        ("100.64.0.1", False),
        ("192.0.2.1", False),
        ("8.8.8.8", False),
        ("2001:4860:4860::8888", False),
        ("::ffff:127.0.0.1", True),
        ("::ffff:8.8.8.8", False),
        ("127.0.0.1.example.com", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_is_local(address: str, local: bool) -> None:
    assert is_local(address) == local


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/*", TEXT),
        ("image/png", TEXT),
        (HTML, HTML),
        (BROWSER, HTML),
        (JSON, JSON),
        ("Application/JSON", JSON),
        ("application/json, text/plain, */*", JSON),
        ("*/*, application/json", JSON),
        ("application/json;charset=utf-8", JSON),
        ("text/html, application/json", HTML),
        ("application/json, text/html", JSON),
        ("text/html;q=0.5, application/json", JSON),
        ("text/html; Q = 0.5 ,application/json; q=0.4", HTML),
        ("text/html;q=0.5, */*", TEXT),
        ("text/plain, text/html;q=0.9", TEXT),
        ("text/html;q=0", TEXT),
        ("text/html;q=0.000, application/json;q=0.001", JSON),
        ("text/html;q=nan", TEXT),
        ("text/html;q=inf, application/json;q=0.1", JSON),
        ("text/html;q=", TEXT),
        (";,;;q=1,", TEXT),
    ],
)
def test_negotiate_media_type(accept: str, form: str) -> None:
    assert negotiate_media_type(accept) == form


class Lines:
    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, line: str) -> None:
        self.written.append(line)


@pytest.mark.parametrize("status", [502, 504])
def test_remote_clients_get_the_page_of_nginx_and_one_log_line(tmp_path: Path, status: int) -> None:
    (server,) = servers(tmp_path, "server { error_detail on; }")
    sink = Lines()
    log = ConnectionLog(ErrorLog([LogTarget(sink, Level.WARN)]), 7, "192.0.2.1", "0.0.0.0:80")
    log.action = "sending to client"
    asking = make_context(request("/"), server)
    page = special_response(status, asking)
    for _ in range(2):
        assert with_detail(page, (LINE,), asking, log) is page
    (line,) = sink.written
    assert "[warn]" in line
    assert f"*7 {ERROR_DETAIL_REFUSED} while sending to client, client: 192.0.2.1, server:" in line


@pytest.mark.parametrize(
    ("headers", "content_type"),
    [
        ((), "text/plain; charset=utf-8"),
        ((("ACCEPT", BROWSER),), HTML),
        ((("Accept", "text/html;q=0.1"), ("accept", JSON)), JSON),
    ],
)
def test_explained_page_keeps_status_and_headers(
    tmp_path: Path, headers: tuple[tuple[str, str], ...], content_type: str
) -> None:
    (server,) = servers(tmp_path, "server { error_detail on; server_tokens off; }")
    asking = make_context(request("/", headers=headers), server)
    asking.connection.client_address = "::1"
    log = ConnectionLog(ErrorLog([]), 7, "::1", "[::1]:80")
    page = special_response(502, asking, headers=(("X-Field", "kept"),))
    reports = with_detail(page, (LINE,), asking, log)
    assert (reports.status, reports.headers, reports.content_type) == (
        502,
        page.headers,
        content_type,
    )
    assert isinstance(reports.body, bytes)
    assert reports.content_length == len(reports.body)
    assert b"connect() failed (111: Connection refused)" in reports.body
    assert b"1.31" not in reports.body


def test_internal_errors_are_not_explained(tmp_path: Path) -> None:
    """The log lines may name private key files."""
    (server,) = servers(tmp_path, "server { error_detail on; }")
    asking = make_context(request("/"), server)
    asking.connection.client_address = "127.0.0.1"
    page = special_response(500, asking)
    assert with_detail(page, (LINE,), asking, ConnectionLog(ErrorLog([]), 7, "", "")) is page
