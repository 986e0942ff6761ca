"""Certificate verification results, and how resumed sessions keep them."""

from __future__ import annotations

import socket

import pytest
from OpenSSL import SSL

from sniproxy.models import Side
from sniproxy.tls.certificates import CertificateSource
from sniproxy.tls.contexts import _session_id_context, server_context, upstream_context
from sniproxy.tls.stream import TLSStream

from .conftest import Files
from .pairs import connected, part, shake_hands, tls_pair


@pytest.fixture(params=["TLSv1.2", "TLSv1.3"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def verifying(files: Files, protocol: str) -> SSL.Context:
    return upstream_context(protocols=[protocol], verify=True, trusted_certificate=files.ca_file)


@pytest.mark.parametrize(
    ("certificate", "result", "words"),
    [
        ("leaf", 0, "ok"),
        ("deep", 0, "ok"),
        ("own", 18, "self-signed certificate"),
        ("old", 10, "certificate has expired"),
        ("lonely", 21, "unable to verify the first certificate"),
    ],
)
async def test_verification_never_fails_a_handshake(
    certificate: str, result: int, words: str, protocol: str, files: Files
) -> None:
    source: CertificateSource = getattr(files, certificate)

    near, far = await connected(server_context(certificates=[source]), verifying(files, protocol))
    assert (far.verify_result, far.verify_error()) == (result, words)
    part(near, far)


@pytest.mark.parametrize("verify_client", ["on", "optional", "optional_no_ca"])
async def test_client_certificate_never_fails_a_handshake(
    verify_client: str, protocol: str, files: Files
) -> None:
    server = server_context(
        certificates=[files.leaf], verify_client=verify_client, client_certificate=files.ca_file
    )

    for certificate, result in ((files.client, 0), (files.own, 18), (None, 0)):
        client = upstream_context(protocols=[protocol], certificate=certificate)
        near, far = await connected(server, client)
        assert near.verify_result == result
        assert (near.peer_certificate is None) is (certificate is None)
        part(near, far)


@pytest.mark.parametrize("certificate", ["leaf", "own"])
async def test_a_resumed_session_keeps_the_result_across_contexts(
    certificate: str, protocol: str, files: Files
) -> None:
    """As in nginx, the result is stored in the session, also for a location with another CA."""
    source: CertificateSource = getattr(files, certificate)
    server = server_context(certificates=[source])
    first, second = verifying(files, protocol), upstream_context(protocols=[protocol])
    strict = upstream_context(
        protocols=[protocol], verify=True, trusted_certificate=files.rsa.certificate
    )

    session = None
    results = []
    for context in (first, second, first, strict):
        near, far = await connected(server, context, session=session)
        results.append((far.resumed, far.verify_result))
        assert far.handshake("").certificate_names == ("w.test",)
        assert near.resumed is far.resumed
        session = far.session
        part(near, far)
    expected = 0 if certificate == "leaf" else 18
    assert results == [(False, expected)] + [(True, expected)] * 3
    near, far = await connected(server, strict)
    assert not far.resumed
    assert far.verify_result
    part(near, far)


async def test_session_remains_valid_after_an_unclean_close(protocol: str, files: Files) -> None:
    server, client = server_context(certificates=[files.leaf]), verifying(files, protocol)

    near, far = await connected(server, client)
    session = far.session
    near.close()
    far.close()
    del near, far
    near, far = await connected(server, client, session=session)
    assert far.resumed
    part(near, far)


async def test_tls_1_3_has_no_session_before_a_ticket(files: Files) -> None:
    pair = tls_pair(server_context(certificates=[files.leaf]), verifying(files, "TLSv1.3"))
    await shake_hands(*pair)
    assert pair[1].session is None
    part(*pair)


async def test_tickets_can_be_switched_off(protocol: str, files: Files) -> None:
    server = server_context(certificates=[files.leaf], session_tickets=False)
    client = verifying(files, protocol)

    near, far = await connected(server, client)
    session = far.session
    part(near, far)
    near, far = await connected(server, client, session=session)
    assert not far.resumed
    part(near, far)


def test_sessions_are_bound_to_certificates_and_client_cas() -> None:
    """OpenSSL compares nginx's session id context."""
    made = {
        _session_id_context(certificates, authorities)
        for certificates in ([b"a"], [b"b"], [b"a", b"b"])
        for authorities in ([], [b"CA"])
    }
    assert len(made) == 6
    assert {len(one) for one in made} == {20}


def test_stream_without_session() -> None:
    near, far = socket.socketpair()
    with near, far:
        stream = TLSStream(near, Side.UPSTREAM, upstream_context())
        assert stream.session is None
