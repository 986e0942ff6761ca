"""Parsing of ClientHellos: of Python's ssl, of our upstream side, and generated ones."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.models import FailureType, ProxyError, Side
from sniproxy.tls.client_hello import (
    ClientHello,
    HelloRecords,
    NotTLSError,
    ServerNameError,
    parse_client_hello,
    peek_server_name,
)
from sniproxy.tls.contexts import server_context, upstream_context
from sniproxy.tls.stream import TLSStream
from tests.robustness.tls_attacks import fragments, message, padded, server_name


def python_hello(name: str | None = "w.test", **settings: ssl.TLSVersion) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.set_alpn_protocols(["h2", "http/1.1"])
    for setting, value in settings.items():
        setattr(context, setting, value)
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


HELLO = python_hello()


def parsed(data: bytes) -> ClientHello:
    hello = parse_client_hello(data)
    assert hello is not None
    return hello


def test_hello_of_python() -> None:
    hello = parsed(HELLO)
    assert hello.legacy_version == 0x0303
    assert hello.server_name == b"w.test"
    assert hello.alpn == (b"h2", b"http/1.1")
    assert hello.supported_versions[0] == 0x0304
    assert 0x1301 in hello.cipher_suites
    assert 29 in hello.groups
    assert set(hello.key_shares) <= set(hello.groups)
    assert 0x0403 in hello.signature_algorithms
    assert hello.session_ticket == b""
    assert hello.psk_identities == ()
    assert not hello.offers_session


def test_tls_1_2_hello_without_server_name() -> None:
    hello = parsed(python_hello(None, maximum_version=ssl.TLSVersion.TLSv1_2))
    assert hello.server_name is None
    assert 0x0304 not in hello.supported_versions
    assert hello.key_shares == ()


@pytest.mark.parametrize("name", ["W.test.", "a_b", "x" * 255, "b\xfc.test"])
async def test_hello_of_the_upstream_side(name: str) -> None:
    """The name is sent unchanged, and no post-quantum key share."""
    near, far = socket.socketpair()
    with near, far:
        stream = TLSStream(near, Side.UPSTREAM, upstream_context(), server_name=name)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.do_handshake, 5)
            await trio.lowlevel.wait_readable(far)
            nursery.cancel_scope.cancel()
        hello = parsed(far.recv(65536))
    assert hello.server_name == name.encode("latin-1")
    assert hello.supported_versions == (0x0304, 0x0303)
    assert hello.groups == (29, 23, 30, 25, 24)
    assert hello.key_shares == (29,)
    assert hello.alpn == ()


def test_every_prefix_is_incomplete() -> None:
    for length in range(len(HELLO)):
        assert parse_client_hello(HELLO[:length]) is None
    assert parse_client_hello(HELLO + b"more") == parsed(HELLO)


@given(st.lists(st.integers(1, len(HELLO) - 1), max_size=8))
def test_hello_may_be_split_into_records(cuts: list[int]) -> None:
    message = HELLO[5:]
    edges = [0, *sorted(set(cuts) - {0} & set(range(1, len(message)))), len(message)]
    pieces = [message[a:b] for a, b in itertools.pairwise(edges) if a < b]
    data = b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2) + piece for piece in pieces)
    assert parse_client_hello(data) == parsed(HELLO)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16GET",
        b"\x15\x03\x01\x00\x02\x01\x00",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\xff\xff",
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
        b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",
        b"\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03",
        b"\x16\x03\x01\x00\x2b\x01\x00\x00\x27\x03\x03" + bytes(32) + b"\xff" + bytes(4),
    ],
)
def test_other_data_is_rejected(data: bytes) -> None:
    with pytest.raises(NotTLSError):
        parse_client_hello(data)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_raise_no_other_exception(data: bytes, framed: bool) -> None:
    if framed:
        message = b"\x01" + len(data).to_bytes(3) + data
        data = b"\x16\x03\x01" + len(message).to_bytes(2) + message
    with contextlib.suppress(NotTLSError):
        parse_client_hello(data)


def _outcome(find: Callable[[bytes], object], data: bytes) -> object:
    try:
        return find(data)
    except ServerNameError:
        raise
    except NotTLSError:
        return NotTLSError


def _thorough(data: bytes) -> str | None:
    hello = parse_client_hello(data)
    return None if hello is None else (hello.server_name or b"").decode("latin-1")


@pytest.mark.parametrize("name", ["w.test", None])
def test_peeked_server_name(name: str | None) -> None:
    data = python_hello(name)
    assert peek_server_name(data) == (name or "")
    assert peek_server_name(data[:-1]) is None


@given(st.integers(0, len(HELLO) - 1), st.binary(min_size=1, max_size=4))
def test_peeked_server_name_equals_the_parsed_one(position: int, damage: bytes) -> None:
    """Unless the complete parser rejects the hello for another reason, or OpenSSL the name."""
    data = HELLO[:position] + damage + HELLO[position + len(damage) :]
    thorough = _outcome(_thorough, data)
    with contextlib.suppress(ServerNameError):
        assert thorough is NotTLSError or _outcome(peek_server_name, data) == thorough


@given(st.integers(5, len(HELLO) - 1), st.binary(min_size=1, max_size=4))
def test_damaged_hello_is_parsed_or_rejected(position: int, damage: bytes) -> None:
    data = HELLO[:position] + damage + HELLO[position + len(damage) :]
    with contextlib.suppress(NotTLSError):
        parse_client_hello(data)


def test_server_name_rejected_by_openssl_is_not_sent() -> None:
    near, far = socket.socketpair()
    with near, far:
        with pytest.raises(ProxyError) as failed:
            TLSStream(near, Side.UPSTREAM, upstream_context(), server_name="x" * 256)
        assert failed.value.failure.kind is FailureType.INTERNAL
        assert far.recv(100) == b""


@pytest.mark.parametrize(
    "extension",
    [
        server_name(b"a" * 256),
        server_name(b"a\0b"),
        server_name(b"a", kind=1),
        b"\0\0\0\0",
        b"\0\0\0\x02\0\0",
        b"\0\0\0\x07\0\x04\0\0\x01ab",
        b"\0\0\0\x0a\0\x08\0\0\x01a\0\0\x01b",
    ],
)
def test_malformed_server_name_is_not_peeked(extension: bytes) -> None:
    with pytest.raises(ServerNameError):
        peek_server_name(fragments(message(extension), 16384))


@pytest.mark.parametrize("name", [b"", b"a" * 255, b"\xff"])
def test_odd_server_name_is_peeked(name: bytes) -> None:
    peeked = peek_server_name(fragments(message(server_name(name)), 16384))
    assert peeked == name.decode("latin-1")


class CountedBytes(bytes):
    """Counts how often a part of it is taken."""

    taken = 0

    def __getitem__(self, key: Any) -> Any:
        CountedBytes.taken += 1
        return super().__getitem__(key)


def test_hello_in_small_records_is_not_joined_again_for_each_of_its_bytes() -> None:
    """A client that sends n records of one byte would cause work in n² otherwise."""
    data = fragments(padded(2000), 1)
    records = HelloRecords()
    CountedBytes.taken = 0
    for length in range(0, len(data), 6):
        assert records.join(CountedBytes(data[:length])) is None
    assert CountedBytes.taken < 5 * len(data) / 6
    assert peek_server_name(data, records) == "front.test"


async def test_hello_may_arrive_byte_by_byte_in_small_records() -> None:
    data = fragments(padded(300), 1)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    client = await trio.open_tcp_stream(*listener.socket.getsockname())
    accepted = await listener.accept()
    async with listener, client, accepted:
        sock = socket.socket(fileno=os.dup(accepted.socket.fileno()))
        stream = TLSStream(sock, Side.CLIENT, server_context(), choose=lambda name: stream.context)

        async def shake_hands() -> None:
            with pytest.raises(ProxyError, match="no suitable signature algorithm"):
                await stream.do_handshake(5)  # there is no certificate

        async with trio.open_nursery() as nursery:
            nursery.start_soon(shake_hands)
            for start in range(len(data)):
                await client.send_all(data[start : start + 1])
                await trio.testing.wait_all_tasks_blocked()
        stream.close()
    assert stream.server_name == "front.test"
