"""Certificates that OpenSSL accepts although parts of them make no sense."""

from __future__ import annotations

import base64
import re
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from sniproxy.ocsp.message import CheckedCertificate, OCSPResponseError, check_response
from tests.compare_nginx import Served, paired_with_nginx
from tests.tls.authority import NOW, make

CONFIGURATION = """
    log_format times '$ssl_client_v_start|$ssl_client_v_end|$ssl_client_v_remain|$status';
    access_log access.log times;
    server {
        listen 127.0.0.1:@PORT@ ssl;
        ssl_certificate FOLDER/front.crt;
        ssl_certificate_key FOLDER/front.key;
        ssl_verify_client optional_no_ca;
        return 204;
    }
"""


def with_times(certificate: x509.Certificate, text: bytes) -> str:
    """The certificate in PEM, with other times; its signature is wrong then."""
    der = certificate.public_bytes(serialization.Encoding.DER)
    for time in re.findall(rb"\x17\x0d(\d{12}Z)", der):
        der = der.replace(time, text)
    encoded = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE-----\n{encoded}-----END CERTIFICATE-----\n"


def ask(program: Served, folder: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(folder / "client.crt", folder / "client.key")
    with program.connected() as sock, context.wrap_socket(sock) as tls:
        tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
        while tls.recv(65536):
            pass


@pytest.mark.nginx
@pytest.mark.parametrize("text", [b"999999999999Z", b"26xx01000000Z"])
def test_times_of_a_client_certificate_that_are_none(text: bytes, tmp_path: Path) -> None:
    make("front.test").write(tmp_path, "front")
    client = make("client.test")
    client.write(tmp_path, "client")
    (tmp_path / "client.crt").write_text(with_times(client.certificate, text))
    configuration = CONFIGURATION.replace("FOLDER", str(tmp_path))
    with paired_with_nginx(tmp_path, configuration) as pair:
        for program in pair.both:
            ask(program, tmp_path)
        ours, theirs = pair.logs(lines=1)
    assert theirs == ["Bad time value|Bad time value|-|400"]
    assert ours == theirs


def test_ocsp_response_with_a_certificate_that_openssl_cannot_read() -> None:
    root = make("root.test", ca=True, common_name="Root")
    leaf = make("front.test", issuer=root)
    response = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=leaf.certificate,
            issuer=root.certificate,
            algorithm=hashes.SHA1(),
            cert_status=ocsp.OCSPCertStatus.GOOD,
            this_update=NOW,
            next_update=None,
            revocation_time=None,
            revocation_reason=None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, root.certificate)
        .certificates([root.certificate])
        .sign(root.key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )
    # The last name in the certificate is a BOOLEAN now.
    name = b"\x0c\x04Root"
    before, after = response.rsplit(name, 1)
    checked = CheckedCertificate(
        leaf.certificate, root.certificate, (root.certificate,), (root.certificate,)
    )
    check_response(response, checked, NOW.timestamp() + 1)
    with pytest.raises(OCSPResponseError, match="OCSP_response_get1_basic"):
        check_response(before + b"\x01\x04Root" + after, checked, NOW.timestamp() + 1)
