"""Properties of `map`, `geo`, `split_clients` and of the address parsing behind them."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.config.cidr import Network, parse_ip, parse_network
from sniproxy.config.wildcards import WildcardNames, wildcard_kind
from sniproxy.variables.maps import forwarded_address, parse_address_port
from sniproxy.variables.murmur import murmur_hash2

LABELS = st.sampled_from(["a", "b", "test"])
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(".".join)


@pytest.mark.parametrize(
    ("data", "value"),
    [(b"", 0), (b"a", 0x92685F5E), (b"abcd", 0x26873021), (b"hello, world", 0x4B4C9D80)],
)
def test_murmur_hash_known_values(data: bytes, value: int) -> None:
    assert murmur_hash2(data) == value


@given(st.ip_addresses(), st.data())
def test_network_contains_its_addresses(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, data: st.DataObject
) -> None:
    bits = data.draw(st.integers(0, address.max_prefixlen))
    parsed = parse_network(f"{address}/{bits}")
    if str(address) == "255.255.255.255":  # for nginx this is not an address
        assert parsed is None
        return
    assert parsed is not None
    network, exact = parsed
    theirs = ipaddress.ip_network(f"{address}/{bits}", strict=False)
    assert network.address == int(theirs.network_address)
    assert exact == (theirs.network_address == address)
    number = parse_ip(str(address))
    assert number is not None
    if number.version == address.version:
        assert number in network


@pytest.mark.parametrize(
    "text", ["", "1.2.3", "1.2.3.4/", "1.2.3.4/33", "::1/129", "a", "unix:", "1.2.3.4/x", "::1%1"]
)
def test_invalid_networks_are_rejected(text: str) -> None:
    assert parse_network(text) is None


@given(
    st.dictionaries(
        st.one_of(NAMES, NAMES.map("*.{}".format), NAMES.map("{}.*".format)), st.integers(1)
    ),
    NAMES,
)
def test_longest_wildcard_matches(names: dict[str, int], name: str) -> None:
    table: WildcardNames[int] = WildcardNames()
    for key, value in names.items():
        assert wildcard_kind(key) is not None
        table.add(key, value)

    def rank(key: str) -> tuple[int, int] | None:
        if key == name:
            return (3, 0)
        if key.startswith("*") and name.endswith(key[1:]):
            return (2, len(key))
        if key.endswith("*") and name.startswith(key[:-1]):
            return (1, len(key))
        return None

    fitting = [key for key in names if rank(key)]
    best = max(fitting, key=lambda key: rank(key) or (0, 0), default=None)
    assert table.find(name) == (None if best is None else names[best])


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        ("192.0.2.1", "192.0.2.1", 0),
        ("192.0.2.1:80", "192.0.2.1", 80),
        ("192.0.2.1:65536", None, 0),
        ("[2001:db8::1]:80", "2001:db8::1", 80),
        ("2001:db8::1", "2001:db8::1", 0),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1", 0),
        ("x", None, 0),
        ("", None, 0),
    ],
)
def test_addresses_with_ports_are_parsed(text: str, address: str | None, port: int) -> None:
    assert parse_address_port(text) == (None if address is None else (parse_ip(address), port))


@given(st.lists(st.ip_addresses(v=4).map(str), max_size=4))
def test_x_forwarded_for_ignored_from_untrusted_client(fields: list[str]) -> None:
    client = parse_ip("192.0.2.1")
    assert client is not None
    assert forwarded_address(client, fields, (), recursive=True) == client
    everyone = (Network(4, 0, 0),)
    farthest = parse_ip(fields[0]) if fields else client
    assert forwarded_address(client, fields, everyone, recursive=True) == farthest
