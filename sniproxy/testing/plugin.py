"""The pytest plugin: fixtures for a proxy, upstreams and a CA.

def test_site(sniproxy_serve, tls_upstream, dev_ca):
    upstream = tls_upstream("needs-sni-112")
    proxy = sniproxy_serve(CONFIG % upstream.address)
    assert requests.get(proxy.urls[0], verify=dev_ca.path).status_code == 502

pytest loads this module in every test run where sniproxy is installed. So it imports nothing
but pytest; what the fixtures need is in `fixtures.py`, imported when a fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .fixtures import DevelopmentCA, ProxyFactory, UpstreamFactory


@pytest.fixture(scope="session")
def dev_ca(tmp_path_factory: pytest.TempPathFactory) -> DevelopmentCA:
    """The development CA of this test session, used for `ssl_certificate auto`.

    `path` is the CA certificate, `context` an `ssl.SSLContext` that trusts it, and
    `issue(NAME, …)` issues a certificate for a server of your own.
    """
    from .fixtures import DevelopmentCA

    return DevelopmentCA(tmp_path_factory.mktemp("sniproxy-ca"))


@pytest.fixture
def sniproxy_serve(request: pytest.FixtureRequest, dev_ca: DevelopmentCA) -> Iterator[ProxyFactory]:
    """`sniproxy_serve(config)` starts a `sniproxy.ThreadProxy` that runs until the test ends.

    In trio tests `async with sniproxy_serve.in_trio(config)` starts one in the test's own trio
    run. The report of a failed test includes the error logs of its proxies.
    """
    yield from _proxies(request, dev_ca)


@pytest.fixture(scope="module")
def module_sniproxy_serve(
    request: pytest.FixtureRequest, dev_ca: DevelopmentCA
) -> Iterator[ProxyFactory]:
    """As `sniproxy_serve`; proxies run until the last test of the module ends."""
    yield from _proxies(request, dev_ca)


@pytest.fixture(scope="session")
def session_sniproxy_serve(
    request: pytest.FixtureRequest, dev_ca: DevelopmentCA
) -> Iterator[ProxyFactory]:
    """As `sniproxy_serve`; proxies run until the last test ends."""
    yield from _proxies(request, dev_ca)


def _proxies(request: pytest.FixtureRequest, dev_ca: DevelopmentCA) -> Iterator[ProxyFactory]:
    from .fixtures import ProxyFactory, report_failures

    with ProxyFactory(dev_ca.state) as serve:
        report_failures(request, serve)
        yield serve


@pytest.fixture
def tls_upstream(_sniproxy_certificates: Path) -> Iterator[UpstreamFactory]:
    """`tls_upstream(NAME)` starts an upstream of the catalog, which runs until the test ends.

    It returns a `sniproxy.testing.RunningUpstream` with `address`, `url`, `root` (the CA
    certificate), `respond(…)`, `requests`, and `connections`, the records of its connections.
    """
    yield from _upstreams(_sniproxy_certificates)


@pytest.fixture(scope="module")
def module_tls_upstream(_sniproxy_certificates: Path) -> Iterator[UpstreamFactory]:
    """As `tls_upstream`; upstreams run until the last test of the module ends."""
    yield from _upstreams(_sniproxy_certificates)


@pytest.fixture(scope="session")
def session_tls_upstream(_sniproxy_certificates: Path) -> Iterator[UpstreamFactory]:
    """As `tls_upstream`; upstreams run until the last test ends."""
    yield from _upstreams(_sniproxy_certificates)


def _upstreams(certificates: Path) -> Iterator[UpstreamFactory]:
    from .fixtures import UpstreamFactory

    with UpstreamFactory(certificates) as upstreams:
        yield upstreams


@pytest.fixture(scope="session")
def _sniproxy_certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from .upstreams import generate_certificates

    directory = tmp_path_factory.mktemp("sniproxy-upstreams")
    generate_certificates(directory)
    return directory
