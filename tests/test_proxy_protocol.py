"""Headers of the PROXY protocol; `tests/conformance/http/proxy_protocol.py` has nginx's view."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sniproxy.proxy_protocol import (
    SIGNATURE,
    InvalidProxyHeaderError,
    ProxyHeader,
    TLVError,
    read_proxy_header,
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Addresses = tuple[Address, Address]
TLVList = list[tuple[int, bytes]]
PORTS = st.integers(0, 65535)
ADDRESSES = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)),
    st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6)),
)
TLVS = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40)), max_size=5)
NAMES = st.one_of(
    st.sampled_from(["alpn", "authority", "ssl", "ssl_verify", "ssl_cn", "ssl_0x21", "0x00", "x"]),
    st.text(max_size=8),
)


def encoded(tlvs: TLVList) -> bytes:
    return b"".join(bytes([kind]) + len(value).to_bytes(2) + value for kind, value in tlvs)


def version_2(addresses: Addresses, *ports: int, tlvs: bytes) -> bytes:
    payload = b"".join(address.packed for address in addresses)
    payload += b"".join(port.to_bytes(2) for port in ports) + tlvs
    family = 0x11 if addresses[0].version == 4 else 0x21
    return SIGNATURE + bytes([0x21, family]) + len(payload).to_bytes(2) + payload


@given(ADDRESSES, PORTS, PORTS, TLVS, st.binary(max_size=20))
def test_version_2_is_read_as_it_was_written(
    addresses: Addresses, client_port: int, server_port: int, tlvs: TLVList, rest: bytes
) -> None:
    header = version_2(addresses, client_port, server_port, tlvs=encoded(tlvs))
    found, length = read_proxy_header(header + rest)
    assert length == len(header)
    assert found is not None
    assert ipaddress.ip_address(found.client_address) == addresses[0]
    assert ipaddress.ip_address(found.server_address) == addresses[1]
    assert (found.client_port, found.server_port) == (client_port, server_port)
    first = dict(reversed(tlvs))
    for kind in range(256):
        value = found.tlv(f"0x{kind:x}")
        assert value == (first[kind].decode("latin-1") if kind in first else None)


@given(ADDRESSES, PORTS, PORTS, st.binary(max_size=20))
def test_version_1_is_read_as_it_was_written(
    addresses: Addresses, client_port: int, server_port: int, rest: bytes
) -> None:
    client, server = map(str, addresses)
    line = f"PROXY TCP{addresses[0].version} {client} {server} {client_port} {server_port}\r\n"
    found, length = read_proxy_header(line.encode() + rest)
    assert found == ProxyHeader(client, client_port, server, server_port)
    assert length == len(line)


@given(ADDRESSES, PORTS, TLVS)
def test_every_cut_header_is_refused(addresses: Addresses, port: int, tlvs: TLVList) -> None:
    client, server = addresses
    for header in (
        version_2(addresses, port, port, tlvs=encoded(tlvs)),
        f"PROXY TCP{client.version} {client} {server} {port} {port}\r\n".encode(),
        b"PROXY UNKNOWN\r\n",
    ):
        for length in range(len(header)):
            with pytest.raises(InvalidProxyHeaderError):
                read_proxy_header(header[:length])


@given(
    st.one_of(
        st.binary(max_size=120),
        st.binary(max_size=120).map(lambda data: SIGNATURE + data),
        st.binary(max_size=120).map(lambda data: b"PROXY TCP4 " + data),
        st.binary(max_size=120).map(lambda data: b"PROXY UNKNOWN" + data),
        st.from_regex(rb"PROXY TCP[46] [0-9a-f.:]* [0-9a-f.:]* [0-9]* [0-9]*\r\n"),
    ),
    NAMES,
)
@example(b"PROXY TCP4 1 2 " + b"9" * 5000 + b" 1\r\n", "alpn")
def test_any_data_is_a_header_or_refused(data: bytes, name: str) -> None:
    try:
        found, length = read_proxy_header(data)
    except InvalidProxyHeaderError as invalid:
        text = str(invalid)
    else:
        check_header(data, found, length, name)
        return
    assert "\n" not in text


def check_header(data: bytes, found: ProxyHeader | None, length: int, name: str) -> None:
    assert 15 <= length <= len(data)
    assert read_proxy_header(data[:length]) == (found, length)
    if found is not None:
        check_tlv(found, name)


def check_tlv(header: ProxyHeader, name: str) -> None:
    try:
        value = header.tlv(name)
    except TLVError as error:
        text = str(error)
    else:
        assert value is None or value.isdigit() or value.encode("latin-1") in header.tlvs
        return
    words = ("broken PROXY", "unknown PROXY", "invalid PROXY")
    assert text.startswith(words) or (not text and name.startswith("ssl_"))


@given(st.binary(max_size=60), NAMES)
def test_any_tlvs_have_a_value_or_none_or_are_refused(tlvs: bytes, name: str) -> None:
    check_tlv(ProxyHeader("192.0.2.1", 1, "192.0.2.2", 2, tlvs), name)
