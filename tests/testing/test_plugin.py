"""The pytest plugin, in test suites that pytester runs."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from sniproxy.models import Level
from sniproxy.testing.fixtures import (
    MAX_LOG_LINES,
    DevelopmentCA,
    ProxyFactory,
    UpstreamFactory,
    report_sections,
)
from sniproxy.testing.upstreams import UnknownUpstreamError, UpstreamSpec, catalog

pytest_plugins = ["pytester"]

CONFIG = """
events {}
http {
    ssl_certificate auto;
    server {
        listen 127.0.0.1:0 ssl;
        server_name localhost;
        location / { proxy_pass %s; }
    }
}
"""

UNRELATED = """
def test_something():
    assert True
"""

FAILING = f"""
import urllib.error, urllib.request, pytest
CONFIG = {CONFIG!r}

@pytest.fixture
def proxy(sniproxy_serve, tls_upstream):
    return sniproxy_serve(CONFIG % tls_upstream("needs-sni-112").url)

def test_fails(proxy, dev_ca):
    urllib.request.urlopen(proxy.urls[0], context=dev_ca.context).close()

def test_passes(proxy, dev_ca):
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(proxy.urls[0], context=dev_ca.context)
"""

TRIO = f"""
import trio
CONFIG = {CONFIG!r}

async def test_fails(sniproxy_serve, tls_upstream, dev_ca):
    upstream = tls_upstream("closes")
    async with sniproxy_serve.in_trio(CONFIG % upstream.url) as proxy:
        stream = await trio.open_ssl_over_tcp_stream(
            *proxy.addresses[0], ssl_context=dev_ca.context, https_compatible=True
        )
        async with stream:
            await stream.send_all(b"GET / HTTP/1.0\\r\\n\\r\\n")
            assert b" 200 " in await stream.receive_some()
"""

MANY = f"""
import os, pytest, urllib.request
CONFIG = {CONFIG!r}

@pytest.mark.parametrize("number", range(40))
def test_one_of_many(number, sniproxy_serve, tls_upstream, dev_ca):
    upstream = tls_upstream("good")
    proxy = sniproxy_serve(CONFIG % upstream.url)
    for _ in range(3):
        with urllib.request.urlopen(proxy.urls[0], context=dev_ca.context) as answer:
            assert answer.status == 200
    assert len(upstream.connections) == 3
    assert proxy.wait_for(lambda: len(proxy.access_log) == 3)
    with open(f"seen-{{os.environ['PYTEST_XDIST_WORKER']}}", "a") as file:
        file.write(dev_ca.path + chr(10))
"""


def outcome(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    options = ("-p", "no:cacheprovider", "-W", "error", "-o", "trio_mode=true", *options)
    # The tests of these suites build on each other.
    options = ("-p", "no:randomly", "-p", "no:random_order", *options)
    return pytester.runpytest_subprocess(*options)


def test_unused_plugin_imports_only_itself(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Other plugins could import the modules that are checked for.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(UNRELATED)
    pytester.makeconftest(
        """
        import sys

        def pytest_unconfigure():
            ours = sorted(name for name in sys.modules if name.startswith("sniproxy"))
            print("loaded:", *ours, "trio" in sys.modules, "OpenSSL" in sys.modules)
        """
    )
    result = pytester.runpytest_subprocess("-s", "-p", "sniproxy.testing.plugin")
    result.assert_outcomes(passed=1)
    loaded = "sniproxy sniproxy.testing sniproxy.testing.plugin sniproxy.version"
    result.stdout.fnmatch_lines(f"loaded: {loaded} False False")


def test_report_of_failed_test_has_error_log_and_explanation(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FAILING)
    result = outcome(pytester)
    result.assert_outcomes(failed=1, passed=1)
    lines = result.outlines
    [headline] = [index for index, line in enumerate(lines) if "sniproxy error log of" in line]
    assert re.search(r"- sniproxy error log of https://127\.0\.0\.1:\d+ -", lines[headline])
    assert "[error]" in lines[headline + 1]
    assert "SSL alert number 112) while SSL handshaking to upstream" in lines[headline + 1]
    assert re.search(r"- sniproxy explain -", lines[headline + 2])
    assert any("proxy_ssl_server_name on;" in line for line in lines[headline + 3 :])


def test_report_of_failed_trio_test_has_error_log(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TRIO)
    result = outcome(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines("*peer closed connection in SSL handshake while *")


def test_report_has_the_last_lines_of_a_long_log(sniproxy_serve: ProxyFactory) -> None:
    proxy = sniproxy_serve(CONFIG % "https://127.0.0.1:1")
    for number in range(MAX_LOG_LINES + 3):
        line = f"2024/07/15 17:14:08 [notice] 1#1: line {number}\n"
        proxy.records.line_logged(Level.NOTICE, line, None)
    [(heading, text)] = report_sections(proxy)
    assert heading == f"sniproxy error log of {proxy.urls[0]}"
    first, second, *_, last = text.splitlines()
    assert first == "(3 earlier lines)"
    assert second.endswith("line 3")
    assert last.endswith(f"line {MAX_LOG_LINES + 2}")


@pytest.mark.packages("xdist")
@pytest.mark.long
def test_xdist_workers_do_not_share_ports_or_ca(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(MANY)
    outcome(pytester, "-n", "4").assert_outcomes(passed=40)
    authorities = [set(file.read_text().split()) for file in pytester.path.glob("seen-*")]
    assert len(authorities) == len(set.union(*authorities)) == 4, "a CA for each worker"


def test_ca_of_the_user_is_not_touched(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = pytester.mkdir("home")
    monkeypatch.delenv("SNIPROXY_STATE", raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    pytester.makepyfile(FAILING)
    outcome(pytester).assert_outcomes(failed=1, passed=1)
    assert list(home.rglob("*")) == []


def test_dev_ca_issues_certificates(dev_ca: DevelopmentCA) -> None:
    issued = dev_ca.issue("origin.test", "127.0.0.1")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(issued.certificate, issued.key)
    near, far = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_side = dev_ca.context.wrap_bio(near, far, server_hostname="origin.test")
    server_side = server.wrap_bio(far, near, server_side=True)
    for side in (client_side, server_side, client_side):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    certificate = client_side.getpeercert()
    assert certificate is not None
    assert ("DNS", "origin.test") in certificate["subjectAltName"]
    assert dev_ca.issue("other.test").key != issued.key


@pytest.mark.parametrize("upstream", ["plain", catalog.PLAIN])
def test_tls_upstream_takes_names_and_specs(
    upstream: str | UpstreamSpec, tls_upstream: UpstreamFactory
) -> None:
    running = tls_upstream(upstream)
    assert running.url == f"http://127.0.0.1:{running.port}"
    with urllib.request.urlopen(f"{running.url}/a") as answer:
        assert answer.read() == b"no SNI\nGET /a HTTP/1.1\n"
    assert running.wait_for(lambda: not running.open_connections)
    with pytest.raises(TimeoutError, match="the upstream plain has recorded"):
        running.wait_for(lambda: running.open_connections, timeout=0.01)


def test_tls_upstream_raises_for_unknown_name_and_taken_port(tls_upstream: UpstreamFactory) -> None:
    with pytest.raises(KeyError, match='no upstream is called "unknown"'):
        tls_upstream("unknown")
    with pytest.raises(UnknownUpstreamError, match="similar: needs-sni-112, "):
        tls_upstream("needs-sni-11")
    taken = tls_upstream("good").port
    with pytest.raises(OSError, match="in use"):
        tls_upstream("good", taken)


SCOPES = f"""
CONFIG = {CONFIG!r}
import pytest, urllib.request

@pytest.fixture(scope="module")
def site(module_sniproxy_serve, module_tls_upstream):
    upstream = module_tls_upstream("good")
    return module_sniproxy_serve(CONFIG % upstream.url), upstream

@pytest.fixture(scope="session")
def whole(session_sniproxy_serve, session_tls_upstream):
    return session_sniproxy_serve(CONFIG % session_tls_upstream("needs-sni-112").url)

@pytest.mark.parametrize("number", [1, 2])
def test_module(number, site, dev_ca):
    proxy, upstream = site
    urllib.request.urlopen(proxy.urls[0] + f"/{{number}}", context=dev_ca.context).close()
    assert upstream.requests == [f"GET /{{n}}" for n in range(1, number + 1)]

def test_session_fails(whole, dev_ca):
    urllib.request.urlopen(whole.urls[0], context=dev_ca.context).close()
"""


def test_proxies_and_upstreams_of_a_module_and_of_the_session(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SCOPES)
    result = outcome(pytester)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines("*SSL alert number 112) while SSL handshaking to upstream*")


def get(url: str, **options: Any) -> tuple[int, str, bytes]:
    request = urllib.request.Request(url, **options)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.headers["Content-Type"], response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read()


def test_upstream_responds_as_the_test_says(tls_upstream: UpstreamFactory) -> None:
    upstream = tls_upstream("plain")
    assert get(f"{upstream.url}/a")[2] == b"no SNI\nGET /a HTTP/1.1\n"
    upstream.respond("hello")
    upstream.respond({"a": [1]}, path="/json")
    upstream.respond(b"\0", 503, {"Content-Type": "x/y", "Retry-After": "1"}, path="/down")
    upstream.respond(lambda request: f"{request.method} {request.body!r}", path="/echo")
    assert get(f"{upstream.url}/a") == (200, "text/plain; charset=utf-8", b"hello")
    assert get(f"{upstream.url}/json?x") == (200, "application/json", b'{"a": [1]}')
    assert get(f"{upstream.url}/down") == (503, "x/y", b"\0")
    assert get(f"{upstream.url}/echo", data=b"sent")[2] == b"POST b'sent'"
    assert get(f"{upstream.url}/json", method="HEAD")[2] == b""
    assert upstream.requests == [
        "GET /a", "GET /a", "GET /json?x", "GET /down", "POST /echo", "HEAD /json"
    ]  # fmt: skip
    posted = upstream.requests[4]
    assert (posted.method, posted.path, posted.body) == ("POST", "/echo", b"sent")
    assert posted.headers["host"] == upstream.address
    assert posted.headers["content-length"] == "4"


@pytest.mark.parametrize(
    ("status", "headers"), [(99, {}), (1000, {}), (200, {"A B": "x"}), (200, {"A": "x\r\nB: y"})]
)
def test_invalid_responses_are_refused_at_once(
    status: int, headers: dict[str, str], tls_upstream: UpstreamFactory
) -> None:
    with pytest.raises(ValueError):
        tls_upstream("plain").respond("", status, headers)


@pytest.mark.parametrize("name", ["good", "needs-sni-112", "needs-sni-certificate"])
def test_upstream_with_a_name_of_the_tests_own(
    name: str, sniproxy_serve: ProxyFactory, tls_upstream: UpstreamFactory
) -> None:
    upstream = tls_upstream(name, names=["shop.test", "*.shop.test"])
    directives = (
        f"proxy_ssl_server_name on; proxy_ssl_name shop.test; proxy_ssl_verify on; "
        f"proxy_ssl_trusted_certificate {upstream.root}"
    )
    proxy = sniproxy_serve(PLAIN % f"{upstream.url}; {directives}")
    assert get(proxy.urls[0])[2] == b"SNI shop.test\nGET / HTTP/1.1\n"
    [handshake] = proxy.handshakes
    assert handshake.certificate_names == ("shop.test", "*.shop.test")


def test_upstream_with_a_certificate_of_the_tests_own(
    tls_upstream: UpstreamFactory, dev_ca: DevelopmentCA
) -> None:
    upstream = tls_upstream("good", certificate=dev_ca.issue("localhost", "127.0.0.1"))
    with urllib.request.urlopen(upstream.url, context=dev_ca.context) as response:
        assert response.status == 200
    with pytest.raises(ValueError, match="the upstream plain has no TLS"):
        tls_upstream("plain", names=["a.test"])


PLAIN = "events {} http { server { listen 127.0.0.1:0; location / { proxy_pass %s; } } }"


def test_waiting_does_not_block_asyncio(
    sniproxy_serve: ProxyFactory, tls_upstream: UpstreamFactory
) -> None:
    upstream = tls_upstream("plain")
    proxy = sniproxy_serve(PLAIN % upstream.url)

    async def main() -> None:
        fetching = asyncio.get_running_loop().run_in_executor(None, get, proxy.urls[0])
        # If that blocked the loop, nothing below could end it.
        assert await proxy.wait_for_async(lambda: len(proxy.access_log)) == 1
        assert await upstream.wait_for_async(lambda: upstream.requests) == ["GET /"]
        await fetching
        for waiting in (proxy.wait_for_async, upstream.wait_for_async):
            with pytest.raises(TimeoutError, match="not true within"):
                await waiting(lambda: False, timeout=0.01)

    asyncio.run(main())


def test_handshakes_and_failures_in_assertions(
    sniproxy_serve: ProxyFactory, tls_upstream: UpstreamFactory
) -> None:
    proxy = sniproxy_serve(PLAIN % tls_upstream("needs-sni-112").url)
    assert get(proxy.urls[0])[0] == 502
    [handshake] = proxy.handshakes
    assert handshake.side == "upstream"
    assert handshake.failure is not None
    assert handshake.failure.kind == "error"
    assert handshake.failure.level == "error"
    assert handshake.failure.level not in ("info", "crit", 3, None)
    assert f"failure={handshake.failure.message!r}" in repr(handshake)
    assert "resumed" not in repr(handshake)


TYPED = """
from sniproxy.testing import ProxyFactory, RecordedRequest, RunningUpstream, UpstreamFactory

def test(session_sniproxy_serve: ProxyFactory, tls_upstream: UpstreamFactory) -> None:
    upstream: RunningUpstream = tls_upstream("good", names=["a.test"])
    upstream.respond({"a": 1}, path="/")
    requests: list[RecordedRequest] = upstream.requests
    found: int = session_sniproxy_serve("").wait_for(lambda: len(requests))
    found = upstream.connections
"""


@pytest.mark.long
def test_names_for_annotations_are_typed(tmp_path: Path) -> None:
    (tmp_path / "typed.py").write_text(TYPED)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, "typed.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.startswith("typed.py:9: error: Incompatible types in assignment"), done
    assert "Found 1 error" in done.stdout


def test_plugin_module_imports_only_pytest() -> None:
    module = Path(sys.modules["sniproxy.testing.plugin"].__file__ or "").read_text()
    imports = re.findall(r"^(?:from|import) .*", module, re.MULTILINE)
    assert [line for line in imports if "pytest" not in line] == [
        "from __future__ import annotations",
        "from collections.abc import Iterator",
        "from pathlib import Path",
        "from typing import TYPE_CHECKING",
    ]
