"""Other people's clients, many requests each: every one is answered."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

import sniproxy

SITE = """
events {}
http {
    ssl_certificate auto;
    keepalive_requests 100000;
    http2 on;
    server {
        listen 127.0.0.1:0 ssl;
        listen 127.0.0.2:0;
        location / { return 200 "hello world"; }
    }
}
"""


@pytest.fixture
def urls() -> Iterator[list[str]]:
    with sniproxy.serve_in_thread(SITE) as proxy:
        yield proxy.urls
        assert not [record for record in proxy.error_log if record.level < 7]


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.needs("wrk")
def test_wrk_gets_no_errors(urls: list[str]) -> None:
    for url in urls:
        reports = run("wrk", "-t1", "-c8", "-d1", url + "/")
        assert "Non-2xx" not in reports
        assert "Socket errors" not in reports
        (requests,) = re.findall(r"(\d+) requests in", reports)
        assert int(requests) > 50


@pytest.mark.needs("ab")
@pytest.mark.parametrize("pool", [("-k",), ()], ids=["kept", "closed"])
def test_ab_gets_no_errors(urls: list[str], pool: tuple[str, ...]) -> None:
    for url in urls:
        reports = run("ab", "-q", *pool, "-n", "300", "-c", "8", url + "/")
        assert re.search(r"Complete requests: +300\n", reports)
        assert re.search(r"Failed requests: +0\n", reports)
        assert "Non-2xx" not in reports


@pytest.mark.needs("h2load")
def test_h2load_gets_no_errors(urls: list[str]) -> None:
    for url in urls:
        reports = run("h2load", "--h1", "-n", "300", "-c", "8", url + "/")
        assert "300 succeeded, 0 failed, 0 errored" in reports


@pytest.mark.needs("h2load")
@pytest.mark.long
def test_h2load_has_no_failed_request_over_http2(urls: list[str]) -> None:
    command = ("h2load", "-n", "20000", "-c", "100", "-m", "32", urls[0] + "/")
    assert "20000 succeeded, 0 failed, 0 errored, 0 timeout" in run(*command)
    assert "2000 succeeded, 0 failed" in run("h2load", "-n2000", "-c10", "-m32", urls[1] + "/")


@pytest.mark.needs("nghttp")
def test_nghttp_gets_the_response(urls: list[str]) -> None:
    report = run("nghttp", "-ns", *[f"{urls[0]}/{number}" for number in range(20)])
    assert len(re.findall(r" 200 +11 /", report)) == 20


@pytest.mark.needs("curl")
def test_curl_speaks_http2_where_it_is_offered(urls: list[str]) -> None:
    report = run("curl", "-sk", "--http2", "-w", " %{http_version}", urls[0])
    assert report == "hello world 2"
    report = run("curl", "-s", "--http2-prior-knowledge", "-w", " %{http_version}", urls[1])
    assert report == "hello world 2"


@pytest.mark.needs("curl")
def test_curl_gets_the_response(urls: list[str]) -> None:
    for url in urls:
        reports = run("curl", "-sk", "--http1.1", "-w", "|", *[f"{url}/{n}" for n in range(20)])
        assert reports == "hello world|" * 20
