"""The client's offers as text, and session IDs."""

from __future__ import annotations

import socket

import pytest

from sniproxy.models import Side
from sniproxy.tls.contexts import server_context, upstream_context
from sniproxy.tls.iana_names import GROUPS, format_ids
from sniproxy.tls.stream import TLSStream

from .conftest import Files
from .pairs import shake_hands


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (23, "prime256v1"),
        (24, "secp384r1"),
        (25, "secp521r1"),
        (29, "X25519"),
        (30, "X448"),
        (256, "ffdhe2048"),
        (260, "ffdhe8192"),
        (4587, "SecP256r1MLKEM768"),
        (4588, "X25519MLKEM768"),
        (31, "brainpoolP256r1tls13"),
        (1, "sect163k1"),
    ],
)
def test_groups_are_named_as_in_openssl(number: int, name: str) -> None:
    assert GROUPS[number] == name


def test_unknown_ids_are_displayed_as_numbers() -> None:
    assert format_ids([29, 0x0A0A, 0xFFFF], GROUPS.get) == "X25519:0x0a0a:0xffff"
    assert format_ids([], GROUPS.get) == ""


async def hands_shaken(files: Files, *, keep_hello: bool, protocol: str) -> TLSStream:
    near, far = socket.socketpair()
    context = server_context(certificates=[files.leaf])
    server = TLSStream(
        near, Side.CLIENT, context, choose=lambda name: context, keep_hello=keep_hello
    )
    client = TLSStream(
        far,
        Side.UPSTREAM,
        upstream_context(protocols=[protocol], ciphers="ECDHE-ECDSA-AES128-GCM-SHA256"),
        server_name="w.test",
    )
    await shake_hands(server, client)
    client.close()
    return server


@pytest.mark.parametrize("protocol", ["TLSv1.2", "TLSv1.3"])
async def test_offers_are_available_if_the_hello_is_retained(files: Files, protocol: str) -> None:
    server = await hands_shaken(files, keep_hello=True, protocol=protocol)
    ciphers = server.offered_ciphers.split(":")
    assert ("ECDHE-ECDSA-AES128-GCM-SHA256" in ciphers) is (protocol == "TLSv1.2")
    assert server.offered_groups == "X25519:prime256v1:X448:secp521r1:secp384r1"
    assert "0x0403" in server.offered_signature_algorithms.split(":")
    assert (len(server.session_id) == 32) is (protocol == "TLSv1.3")
    server.close()


async def test_offers_are_empty_unless_the_hello_is_retained(files: Files) -> None:
    server = await hands_shaken(files, keep_hello=False, protocol="TLSv1.3")
    assert server.offered_ciphers == server.offered_groups == ""
    assert server.offered_signature_algorithms == ""
    server.close()
