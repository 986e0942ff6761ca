"""Test certificates: OpenSSL accepts them, or rejects them for exactly one reason."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509

from sniproxy.testing.authority import Authority, Identity, Validity, pem, self_signed
from sniproxy.testing.upstreams.certificates import MAX_INTERMEDIATES, generate_certificates

ROOT = Authority.root("Root")
BELOW = ROOT.intermediate("Below").intermediate("Further below")


def verify(identity: Identity, directory: Path, name: str = "a.test") -> str:
    """OpenSSL's verify error for a client that trusts ROOT; "" if verification succeeds."""
    identity.write(directory, "leaf")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(directory / "leaf.pem", directory / "leaf.key")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=pem(ROOT.certificate).decode())
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(3):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                return error.verify_message
    return ""


@pytest.mark.parametrize(
    ("identity", "error"),
    [
        (ROOT.issue("a.test"), ""),
        (ROOT.issue("IP:::1", "*.w.test", "a.test"), ""),
        (BELOW.issue("a.test"), ""),
        (BELOW.issue("a.test", with_root=True), ""),
        (BELOW.issue("a.test", with_chain=False), "unable to get local issuer certificate"),
        (ROOT.issue("b.test"), "Hostname mismatch"),
        (ROOT.issue("a.test", validity=Validity(-9, -1)), "certificate has expired"),
        (ROOT.issue("a.test", validity=Validity(1, 9)), "certificate is not yet valid"),
        (self_signed("a.test"), "self-signed certificate"),
        (Authority.root("Other").issue("a.test"), "unable to get local issuer certificate"),
    ],
)
def test_verify(identity: Identity, error: str, tmp_path: Path) -> None:
    result = verify(identity, tmp_path).replace("self signed", "self-signed")
    assert result.startswith(error)
    assert bool(result) == bool(error)


def test_only_names_with_ip_prefix_become_addresses() -> None:
    names = ROOT.issue("a.test", "IP:127.0.0.1", "127.0.0.1").certificate.extensions
    found = names.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [type(name) for name in found] == [x509.DNSName, x509.IPAddress, x509.DNSName]


def test_generate_certificates_writes_certificates_and_keys(tmp_path: Path) -> None:
    generate_certificates(tmp_path)
    for name in ("good", "expired", f"deep-{MAX_INTERMEDIATES}"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
    chain = x509.load_pem_x509_certificates(
        (tmp_path / f"deep-{MAX_INTERMEDIATES}.pem").read_bytes()
    )
    assert len(chain) == 1 + MAX_INTERMEDIATES
