"""Hosts of `proxy_pass` and `server`: resolved once, shared by all locations that name them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sniproxy.build import load
from sniproxy.build.hosts import resolve_host
from sniproxy.build.paths import Paths
from sniproxy.config.addresses import parse_address
from sniproxy.config.tree import Place
from sniproxy.handlers.proxy import ProxyHandler
from sniproxy.models import ConfigError
from sniproxy.upstream.selector import Upstream, peer_name
from tests.configured import configuration


@pytest.mark.parametrize(
    ("sockaddr", "name"),
    [
        (("192.0.2.1", 443), "192.0.2.1:443"),
        (("::1", 443, 0, 0), "[::1]:443"),
    ],
)
def test_peer_names(sockaddr: tuple[str, int], name: str) -> None:
    assert peer_name(sockaddr) == name


def test_unknown_host_is_an_error() -> None:
    with pytest.raises(ConfigError) as refused:
        resolve_host(parse_address("no.invalid", 80), "no.invalid", Place("a.conf", 3))
    assert str(refused.value) == 'host not found in upstream "no.invalid" in a.conf:3'


def test_grpc_pass_needs_a_port(tmp_path: Path) -> None:
    config = configuration(tmp_path, "server { location / { grpc_pass grpcs://localhost; } }")
    with pytest.raises(ConfigError, match=r'no port in upstream "localhost" in .*nginx.conf:\d+'):
        load(config, Paths(str(tmp_path), str(tmp_path)))


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_addresses_are_not_resolved(host: str) -> None:
    found = resolve_host(parse_address(f"{host}:81", 80), host, Place("a.conf", 3))
    assert [sockaddr[:2] for _, sockaddr in found] == [(host.strip("[]"), 81)]


def upstreams(directory: Path, *targets: str, groups: str = "") -> list[Upstream]:
    """The upstream of each `proxy_pass`."""
    text = "".join(f"location /{n} {{ proxy_pass {to}; }}" for n, to in enumerate(targets))
    config = configuration(directory, f"{groups} server {{ {text} }}")
    assert config.http is not None
    prepared = load(config, Paths(str(directory), str(directory)))
    handlers = [prepared.handlers[one] for one in config.http.servers[0].default_location.locations]
    assert all(isinstance(handler, ProxyHandler) for handler in handlers)
    found = [handler.upstream for handler in handlers if isinstance(handler, ProxyHandler)]
    return [upstream for upstream in found if isinstance(upstream, Upstream)]


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("http://127.0.0.1:81", "http://127.0.0.1:81/uri/", True),
        ("http://127.0.0.1:81", "http://127.0.0.1:82", False),
        ("http://LOCALHOST", "http://localhost:80", True),
        ("http://group", "http://GROUP/x", True),
    ],
)
def test_same_address_shares_one_upstream(
    tmp_path: Path, first: str, second: str, shared: bool
) -> None:
    group = "upstream group { server 127.0.0.1:1; }"
    one, other = upstreams(tmp_path, first, second, groups=group)
    assert (one is other) is shared


def test_upstream_group_has_its_peers(tmp_path: Path) -> None:
    text = (
        "upstream Group { server 127.0.0.1:1 weight=3; server unix:/a.sock backup;"
        " server 127.0.0.1:2 down; }"
    )
    (group,) = upstreams(tmp_path, "http://group", groups=text)
    assert group.name == "Group"
    assert group.explicit
    assert not group.single
    assert [(p.name, p.settings.weight, p.settings.down) for p in group.peers] == [
        ("127.0.0.1:1", 3, False),
        ("127.0.0.1:2", 1, True),
    ]
    assert [peer.name for peer in group.backups] == ["unix:/a.sock"]


def test_address_without_group_is_an_upstream(tmp_path: Path) -> None:
    (upstream,) = upstreams(tmp_path, "http://127.0.0.1:81")
    assert (upstream.name, upstream.explicit, upstream.single) == ("127.0.0.1", False, True)


@pytest.mark.parametrize(
    "http",
    [
        "resolver no.invalid; server { resolver 127.0.0.1; }",
        "server { location / { resolver 127.0.0.1 no.invalid; } }",
        "upstream u { resolver no.invalid; server 127.0.0.1; }",
    ],
)
def test_name_servers_are_looked_up_even_if_unused(tmp_path: Path, http: str) -> None:
    config = configuration(tmp_path, http)
    with pytest.raises(ConfigError, match='host not found in resolver "no'):
        load(config, Paths("", str(tmp_path)))
