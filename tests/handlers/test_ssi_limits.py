"""SSI pages that would use much memory or time."""

from __future__ import annotations

import tracemalloc
import urllib.request
from pathlib import Path

import sniproxy

SITE = """
events {}
http {
    default_type text/html;
    server {
        listen 127.0.0.1:0;
        location / { ssi on; alias FOLDER/; }
        location = /p { return 200 included; }
    }
}
"""


def body(folder: Path, page: bytes) -> bytes:
    """The response with a page's commands processed."""
    (folder / "page.html").write_bytes(page)
    with (
        sniproxy.serve_in_thread(SITE.replace("FOLDER", str(folder))) as proxy,
        urllib.request.urlopen(f"{proxy.urls[0]}/page.html") as response,
    ):
        data: bytes = response.read()
    return data


def test_a_page_has_ten_thousand_includes(tmp_path: Path) -> None:
    page = b'<!--#include virtual="/p" -->' * 10_000
    assert body(tmp_path, page) == b"included" * 10_000


def test_a_value_does_not_double_without_end(tmp_path: Path) -> None:
    page = b'<!--#set var="v" value="0123456789" -->'
    page += b'<!--#set var="v" value="$v$v" -->' * 40 + b'<!--#echo var="v" -->'
    tracemalloc.start()
    data = body(tmp_path, page)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert b"an error occurred" in data
    assert peak < 50_000_000


def test_blocks_are_limited(tmp_path: Path) -> None:
    block = b'<!--#block name="b" -->' + b"x" * 3_000_000 + b"<!--#endblock -->"
    page = block + b'[<!--#include virtual="none" stub="b" -->]'
    data = body(tmp_path, page)
    assert data.startswith(b"[")
    assert data.endswith(b"]")
    assert len(data) <= 2 + (1 << 20)


def test_variables_are_limited(tmp_path: Path) -> None:
    page = b"".join(b'<!--#set var="v%d" value="1" -->' % number for number in range(10_010))
    assert body(tmp_path, page).count(b"an error occurred") == 10


def test_values_are_limited_together(tmp_path: Path) -> None:
    page = b'<!--#set var="v" value="0123456789" -->'
    page += b'<!--#set var="v" value="$v$v" -->' * 15
    page += b"".join(b'<!--#set var="v%d" value="$v-" -->' % number for number in range(20))
    assert body(tmp_path, page).count(b"an error occurred") == 20 - 11
