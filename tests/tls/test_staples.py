"""OCSP responses for clients (`ssl_stapling_file`), and handshakes without a certificate."""

from __future__ import annotations

import contextlib
import datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from OpenSSL import SSL

from sniproxy.models import ConfigError
from sniproxy.testing.authority import Authority
from sniproxy.tls import openssl
from sniproxy.tls.certificates import CertificateSource
from sniproxy.tls.contexts import server_context

NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture
def source(tmp_path: Path) -> CertificateSource:
    root = Authority.root("a root")
    leaf = root.issue("w.test")
    leaf.write(tmp_path, "leaf")
    builder = ocsp.OCSPResponseBuilder().add_response(
        leaf.certificate,
        root.certificate,
        hashes.SHA1(),
        ocsp.OCSPCertStatus.GOOD,
        NOW,
        NOW + datetime.timedelta(days=1),
        None,
        None,
    )
    response = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, root.certificate)
    signed = response.sign(root.key, hashes.SHA256())
    (tmp_path / "staple").write_bytes(signed.public_bytes(Encoding.DER))
    return CertificateSource(str(tmp_path / "leaf.pem"), str(tmp_path / "leaf.key"))


def shake(server_context: SSL.Context, *, asks: bool = True) -> list[bytes]:
    """Perform a handshake in memory; returns the stapled response that the client received."""
    rendered: list[bytes] = []
    client_context = SSL.Context(SSL.TLS_METHOD)

    def note(connection: SSL.Connection, response: bytes, data: object) -> bool:
        rendered.append(response)
        return True

    client_context.set_ocsp_client_callback(note)
    client, server = SSL.Connection(client_context), SSL.Connection(server_context)
    client.set_connect_state()
    server.set_accept_state()
    if asks:
        client.request_ocsp()
    for _ in range(4):
        for one, other in ((client, server), (server, client)):
            try:
                one.do_handshake()
            except SSL.WantReadError:
                pass
            finally:
                with contextlib.suppress(SSL.WantReadError):
                    other.bio_write(one.bio_read(65536))
    return rendered


def test_ocsp_response_is_stapled_on_request(source: CertificateSource, tmp_path: Path) -> None:
    file = tmp_path / "staple"
    context = server_context(certificates=[source], stapling_file=str(file))
    assert shake(context) == [file.read_bytes()]
    assert shake(context) == [file.read_bytes()]
    assert shake(context, asks=False) == []
    assert shake(server_context(certificates=[source])) == [b""]


@pytest.mark.parametrize("content", [b"", b"text", b"\x30\x03\x0a\x01"])
def test_invalid_ocsp_response_is_an_error(
    source: CertificateSource, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "other"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        server_context(certificates=[source], stapling_file=str(file))
    assert str(caught.value).startswith(f'd2i_OCSP_RESPONSE_bio("{file}") failed (')


def test_set_no_certificate_fails_the_handshake(source: CertificateSource) -> None:
    context = server_context(certificates=[source])
    openssl.set_no_certificate(context)
    with pytest.raises(SSL.Error) as caught:
        shake(context)
    assert caught.value.args[0][-1][2] == "cert cb error"
