"""An OCSP responder that answers as a test says, and the certificates that it knows."""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import (
    AuthorityInformationAccessOID,
    ExtendedKeyUsageOID,
    NameOID,
)

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def write(self, folder: Path, name: str, *chain: Issued) -> None:
        """Write `NAME.pem` with the chain, and `NAME.key`."""
        (folder / f"{name}.pem").write_bytes(b"".join(one.pem for one in (self, *chain)))
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / f"{name}.key").write_bytes(key)


def issue(
    name: str,
    issuer: Issued | None = None,
    *,
    responder: str = "",
    is_ca: bool = False,
    signs_ocsp: bool = False,
) -> Issued:
    """Issue a certificate; `responder` is the URL in it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - HOUR)
        .not_valid_after(NOW + 24 * HOUR)
        .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    )
    if responder:
        access = x509.AccessDescription(
            AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(responder)
        )
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    if signs_ocsp:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
        builder = builder.add_extension(usage, critical=False)
    signing = key if issuer is None else issuer.key
    return Issued(builder.sign(signing, hashes.SHA256()), key)


@dataclass(slots=True)
class OCSPResponder:
    """What the responder answers; tests change it."""

    port: int
    ca: Issued
    signer: Issued | None = None
    """Signs responses instead of the CA."""
    sends_signer: bool = True
    revoked: set[int] = field(default_factory=set)
    """Serial numbers."""
    unknown: set[int] = field(default_factory=set)
    this_update: datetime = NOW - HOUR
    next_update: datetime | None = NOW + HOUR
    raw: bytes | None = None
    """What is sent instead of a response."""
    unsuccessful: ocsp.OCSPResponseStatus | None = None
    kind: str = "application/ocsp-response"
    status: int = 200
    other_certificate: Issued | None = None
    """The certificate that responses are about, whatever was received for."""
    received: list[str] = field(default_factory=list)
    """The request lines and Host fields received."""

    def answer(self, target: str, known: dict[int, Issued]) -> bytes:
        if self.raw is not None:
            return self.raw
        if self.unsuccessful is not None:
            made = ocsp.OCSPResponseBuilder.build_unsuccessful(self.unsuccessful)
            return made.public_bytes(Encoding.DER)
        encoded = unquote(target.rpartition("/")[2])
        serial = ocsp.load_der_ocsp_request(base64.b64decode(encoded)).serial_number
        about = self.other_certificate or known[serial]
        status = ocsp.OCSPCertStatus.GOOD
        if serial in self.revoked:
            status = ocsp.OCSPCertStatus.REVOKED
        elif serial in self.unknown:
            status = ocsp.OCSPCertStatus.UNKNOWN
        signer = self.signer or self.ca
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                about.certificate,
                self.ca.certificate,
                hashes.SHA1(),
                status,
                self.this_update,
                self.next_update,
                NOW - HOUR if status is ocsp.OCSPCertStatus.REVOKED else None,
                None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
        )
        if self.signer is not None and self.sends_signer:
            builder = builder.certificates([self.signer.certificate])
        return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)


@contextlib.contextmanager
def ocsp_responder(ca: Issued, known: dict[int, Issued]) -> Iterator[OCSPResponder]:
    """Run a responder that knows certificates by serial number."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            responder.received.append(f"{self.path.partition('/')[0]} {self.headers['Host']}")
            body = responder.answer(self.path, known)
            self.send_response(responder.status)
            self.send_header("Content-Type", responder.kind)
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    responder = OCSPResponder(server.server_port, ca)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield responder
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
