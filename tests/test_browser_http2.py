"""Chromium and a page of 200 files: all of them over one HTTP/2 connection."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import sniproxy
from tests.browser import chromium

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


@pytest.mark.needs("chromium")
def test_chromium_loads_a_page_of_200_files_over_http2(tmp_path: Path) -> None:
    scripts = "".join(f'<script src="{n}.js"></script>\n' for n in range(FILES))
    page = f"<!doctype html><p id=n>0</p>\n{scripts}"
    (tmp_path / "index.html").write_text(page)
    for number in range(FILES):
        count = "n.textContent = 1 + Number(n.textContent);"
        (tmp_path / f"{number}.js").write_text(f"{count} // {'x' * 3000}\n")
    with sniproxy.serve_in_thread(SITE.replace("FOLDER", str(tmp_path))) as proxy:
        network = tmp_path / "network.json"
        displayed = chromium(
            tmp_path,
            "--ignore-certificate-errors",
            f"--log-net-log={network}",
            "--virtual-time-budget=10000",  # stands still while requests are under way
            "--dump-dom",
            proxy.urls[0] + "/index.html",
        )
    assert f'<p id="n">{FILES}</p>' in displayed.stdout
    served = (tmp_path / "access.log").read_text().splitlines()
    scripts_served = [line.split() for line in served if ".js" in line]
    assert len(scripts_served) == FILES
    assert {(line[0], line[1], line[2]) for line in scripts_served} == {("HTTP/2.0", "h2", "200")}
    assert len({line[4] for line in scripts_served}) == 1
    recorded = json.loads(network.read_text())
    kinds = {number: name for name, number in recorded["constants"]["logEventTypes"].items()}
    assert "HTTP2_SESSION_INITIALIZED" in {kinds[event["type"]] for event in recorded["events"]}
