"""Chromium and a page of 200 files: all of them over one HTTP/2 connection."""

from __future__ import annotations

from pathlib import Path

import pytest

import sniproxy
from tests.live.browser import CHROMIUM, FLAGS

FILES = 200
SITE = """
events {}
http {
    ssl_certificate auto;
    log_format protocol '$server_protocol $http2 $status $uri $connection';
    server {
        listen 127.0.0.1:0 ssl;
        http2 on;
        root FOLDER;
        access_log FOLDER/access.log protocol;
    }
}
"""
PROTOCOLS = """
() => performance.getEntriesByType("resource").map(entry => entry.nextHopProtocol)
"""


@pytest.mark.needs("chromium")
@pytest.mark.packages("playwright")
def test_chromium_loads_a_page_of_200_files_over_http2(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    scripts = "".join(f'<script src="{n}.js"></script>\n' for n in range(FILES))
    content = f"<!doctype html><p id=n>0</p>\n{scripts}"
    (tmp_path / "index.html").write_text(content)
    for number in range(FILES):
        count = "n.textContent = 1 + Number(n.textContent);"
        (tmp_path / f"{number}.js").write_text(f"{count} // {'x' * 3000}\n")
    with (
        sniproxy.serve_in_thread(SITE.replace("FOLDER", str(tmp_path))) as proxy,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as browser,
    ):
        page = browser.new_page(ignore_https_errors=True)
        page.goto(proxy.urls[0] + "/index.html", wait_until="load")
        assert page.inner_text("#n") == str(FILES)
        assert set(page.evaluate(PROTOCOLS)) == {"h2"}
    served = (tmp_path / "access.log").read_text().splitlines()
    scripts_served = [line.split() for line in served if ".js" in line]
    assert len(scripts_served) == FILES
    assert {(line[0], line[1], line[2]) for line in scripts_served} == {("HTTP/2.0", "h2", "200")}
    assert len({line[4] for line in scripts_served}) == 1
