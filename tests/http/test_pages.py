"""Status lines and built-in pages, byte for byte as in nginx."""

from __future__ import annotations

import pytest

from sniproxy.http import pages
from tests.http.conftest import RETURNED
from tests.http.oracle import Nginx
from tests.http.requests import get

pytestmark = pytest.mark.nginx


def test_nginx_sends_the_same_status_lines_and_pages(nginx: Nginx) -> None:
    for status in RETURNED:
        answer = nginx.ask(get(target=f"/status/{status}"))
        page = pages.error_page(status)
        assert answer.status_line == pages.status_line(status)
        assert answer.body == page
        assert answer.pool is not pages.closes_connection(status), status
        assert ("Content-Type: text/html" in answer.fields) is bool(page), status


@pytest.mark.parametrize(
    "user_agent",
    [
        "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)",
        "MSIE 6.",
        "MSIE 6.0",
        "MSIE 6.0 Opera 8",
        "Mozilla/5.0 (Windows) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/9.0 Safari/537.36",
        "Chrome/1 Gecko/2",
        "Chrome/1 Opera",
        "chrome/1",
        "Mozilla/5.0 (X11; Linux) Gecko/20100101 Firefox/128.0",
        "curl/8",
    ],
)
@pytest.mark.parametrize("status", [302, 404, 494, 418])
def test_error_pages_are_padded_for_msie_and_chrome(
    nginx: Nginx, status: int, user_agent: str
) -> None:
    answer = nginx.ask(get(f"User-Agent: {user_agent}", target=f"/status/{status}"))
    assert answer.body == pages.error_page(status, user_agent=user_agent)


def test_page_without_version(nginx: Nginx) -> None:
    answer = nginx.ask(b"GET / HTTP/1.1\r\nHost: hidden.test\r\n\r\n")
    assert answer.body == pages.error_page(404, server_tokens="off")
    assert f"Server: {pages.server_field('off')}" in answer.fields
