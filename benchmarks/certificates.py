"""Throw-away certificates for proxy and origin, self-signed and written as PEM files."""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from benchmarks.wire import SERVER_NAME

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def write_certificates(directory: Path) -> None:
    """Makes `ecdsa.crt`, `ecdsa.key` (P-256), `rsa.crt`, `rsa.key` (2048 bits) in `directory`, and
    `ecdsa.pem`, `rsa.pem` with both."""
    write_certificate(directory, "ecdsa", ec.generate_private_key(ec.SECP256R1()))
    write_certificate(
        directory, "rsa", rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )


def write_certificate(directory: Path, name: str, key: PrivateKey) -> None:
    """Makes `{name}.crt`, `{name}.key` and `{name}.pem` for a key."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SERVER_NAME)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=7))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(SERVER_NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    public = certificate.public_bytes(pem)
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / f"{name}.crt").write_bytes(public)
    (directory / f"{name}.key").write_bytes(private)
    (directory / f"{name}.pem").write_bytes(public + private)
