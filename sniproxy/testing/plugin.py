"""The pytest plugin: a proxy, upstreams and a CA as fixtures.

def test_site(sniproxy_serve, tls_upstream, dev_ca):
    upstream = tls_upstream("needs-sni-112")
    proxy = sniproxy_serve(CONFIG % upstream.address)
    assert requests.get(proxy.urls[0], verify=dev_ca.path).status_code == 502

Every suite of a machine that has us installed loads this module: it imports pytest and nothing
else, and what it needs when a fixture is used stands in `fixtures.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .fixtures import DevelopmentCA, Serve, Upstreams


@pytest.fixture(scope="session")
def dev_ca(tmp_path_factory: pytest.TempPathFactory) -> DevelopmentCA:
    """The CA behind `ssl_certificate auto` of the proxies of this session, and no other's.

    `path` is the file to trust, `context` an `ssl.SSLContext` that trusts it, `issue(NAME, …)`
    a certificate for a server of yours.
    """
    from .fixtures import DevelopmentCA

    return DevelopmentCA(tmp_path_factory.mktemp("sniproxy-ca"))


@pytest.fixture
def sniproxy_serve(request: pytest.FixtureRequest, dev_ca: DevelopmentCA) -> Iterator[Serve]:
    """`sniproxy_serve(config)` is a proxy (`sniproxy.ThreadProxy`) that runs until the test ends.

    In trio tests `async with sniproxy_serve.in_trio(config)` gives one in the test's own loop. A
    test that fails is reported with the lines of its proxies' error logs.
    """
    from .fixtures import Serve, report_failures

    with Serve(dev_ca.state) as serve:
        report_failures(request, serve)
        yield serve


@pytest.fixture
def tls_upstream(_sniproxy_wardrobe: Path) -> Iterator[Upstreams]:
    """`tls_upstream(NAME)` is an upstream of the zoo (`sniproxy.testing.zoo.Peer`) on a port of
    its own until the test ends: `address`, `url`, `root` to trust, and `visits` that it had.
    """
    from .fixtures import Upstreams

    with Upstreams(_sniproxy_wardrobe) as upstreams:
        yield upstreams


@pytest.fixture(scope="session")
def _sniproxy_wardrobe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from .zoo import wear

    directory = tmp_path_factory.mktemp("sniproxy-zoo")
    wear(directory)
    return directory
