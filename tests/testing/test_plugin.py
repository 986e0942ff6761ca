"""The pytest plugin, in test suites that pytester runs."""

from __future__ import annotations

import re
import ssl
import sys
import urllib.request
from pathlib import Path

import pytest

from sniproxy.models import Level
from sniproxy.testing.fixtures import (
    MAX_LOG_LINES,
    DevelopmentCA,
    ProxyFactory,
    UpstreamFactory,
    report_sections,
)
from sniproxy.testing.upstreams import UpstreamSpec, catalog

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
    assert not running.wait_for(lambda: running.open_connections, timeout=0.01)


def test_tls_upstream_raises_for_unknown_name_and_taken_port(tls_upstream: UpstreamFactory) -> None:
    with pytest.raises(KeyError, match="unknown"):
        tls_upstream("unknown")
    taken = tls_upstream("good").port
    with pytest.raises(OSError, match="in use"):
        tls_upstream("good", taken)


def test_plugin_module_imports_only_pytest() -> None:
    module = Path(sys.modules["sniproxy.testing.plugin"].__file__ or "").read_text()
    imports = re.findall(r"^(?:from|import) .*", module, re.MULTILINE)
    assert [line for line in imports if "pytest" not in line] == [
        "from __future__ import annotations",
        "from collections.abc import Iterator",
        "from pathlib import Path",
        "from typing import TYPE_CHECKING",
    ]
