"""The plugin in suites of its own: what it costs, what it reports, what it leaves alone."""

from __future__ import annotations

import re
import ssl
import sys
import urllib.request
from pathlib import Path

import pytest

from sniproxy.message import Level
from sniproxy.testing.fixtures import MOST_LINES, DevelopmentCA, Serve, Upstreams, told_of
from sniproxy.testing.zoo import Upstream, animals

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

LONELY = """
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
    assert len(upstream.visits) == 3
    assert proxy.wait_for(lambda: len(proxy.access_log) == 3)
    with open(f"seen-{{os.environ['PYTEST_XDIST_WORKER']}}", "a") as file:
        file.write(dev_ca.path + chr(10))
"""


def outcome(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    options = ("-p", "no:cacheprovider", "-W", "error", "-o", "trio_mode=true", *options)
    return pytester.runpytest_subprocess(*options)


def test_a_suite_that_does_not_use_it_pays_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Other plugins import this and that.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(LONELY)
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


def test_a_test_that_fails_is_told_why(pytester: pytest.Pytester) -> None:
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


def test_so_is_one_that_runs_on_trio(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TRIO)
    result = outcome(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines("*peer closed connection in SSL handshake while *")


def test_of_many_lines_the_last_are_shown(sniproxy_serve: Serve) -> None:
    proxy = sniproxy_serve(CONFIG % "https://127.0.0.1:1")
    for number in range(MOST_LINES + 3):
        line = f"2024/07/15 17:14:08 [notice] 1#1: line {number}\n"
        proxy.records.line_logged(Level.NOTICE, line, None)
    [(heading, text)] = told_of(proxy)
    assert heading == f"sniproxy error log of {proxy.urls[0]}"
    first, second, *_, last = text.splitlines()
    assert first == "(3 lines before these)"
    assert second.endswith("line 3")
    assert last.endswith(f"line {MOST_LINES + 2}")


@pytest.mark.packages("xdist")
def test_four_workers_collide_nowhere(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(MANY)
    outcome(pytester, "-n", "4").assert_outcomes(passed=40)
    authorities = [set(file.read_text().split()) for file in pytester.path.glob("seen-*")]
    assert len(authorities) == len(set.union(*authorities)) == 4, "a CA for each worker"


def test_the_users_own_ca_is_left_alone(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = pytester.mkdir("home")
    monkeypatch.delenv("SNIPROXY_STATE", raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    pytester.makepyfile(FAILING)
    outcome(pytester).assert_outcomes(failed=1, passed=1)
    assert list(home.rglob("*")) == []


def test_certificates_for_servers_of_ones_own(dev_ca: DevelopmentCA) -> None:
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


@pytest.mark.parametrize("upstream", ["plain", animals.PLAIN])
def test_upstreams_by_name_and_as_values(upstream: str | Upstream, tls_upstream: Upstreams) -> None:
    peer = tls_upstream(upstream)
    assert peer.url == f"http://127.0.0.1:{peer.port}"
    with urllib.request.urlopen(f"{peer.url}/a") as answer:
        assert answer.read() == b"no SNI\nGET /a HTTP/1.1\n"
    assert peer.wait_for(lambda: not peer.staying)
    assert not peer.wait_for(lambda: peer.staying, timeout=0.01)


def test_upstreams_that_are_not_there(tls_upstream: Upstreams) -> None:
    with pytest.raises(KeyError, match="nobody"):
        tls_upstream("nobody")
    taken = tls_upstream("good").port
    with pytest.raises(OSError, match="in use"):
        tls_upstream("good", taken)


def test_its_own_module_is_light() -> None:
    module = Path(sys.modules["sniproxy.testing.plugin"].__file__ or "").read_text()
    imports = re.findall(r"^(?:from|import) .*", module, re.MULTILINE)
    assert [line for line in imports if "pytest" not in line] == [
        "from __future__ import annotations",
        "from collections.abc import Iterator",
        "from pathlib import Path",
        "from typing import TYPE_CHECKING",
    ]
