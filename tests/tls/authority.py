"""A certificate authority for tests, with P-256 keys because they are generated quickly."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from sniproxy.tls.ca import KEY_USAGE_OF_AUTHORITY
from sniproxy.tls.certificates import CertificateSource, KeyObject

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)


def key_pem(key: KeyObject, passphrase: bytes | None = None) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption(),
    )


@dataclass(frozen=True)
class Pair:
    """A certificate with its key and its issuer (None if self-signed)."""

    certificate: x509.Certificate
    key: KeyObject

    def write(self, folder: Path, name: str, *chain: x509.Certificate) -> CertificateSource:
        certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
        certificate.write_bytes(pem(self.certificate, *chain))
        key.write_bytes(key_pem(self.key))
        return CertificateSource(str(certificate), str(key))


def make(
    *names: str,
    issuer: Pair | None = None,
    ca: bool = False,
    common_name: str | None = None,
    starts: datetime.datetime = NOW - DAY,
    ends: datetime.datetime = NOW + 30 * DAY,
    use_rsa: bool = False,
    bits: int = 2048,
) -> Pair:
    """Issue a certificate for the DNS names and addresses `names`."""
    key: KeyObject = (
        rsa.generate_private_key(65537, bits)
        if use_rsa
        else ec.generate_private_key(ec.SECP256R1())
    )
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, common_name or (names[0] if names else "test"))]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if ca:  # Python 3.13 requires it, and the next extension
        builder = builder.add_extension(KEY_USAGE_OF_AUTHORITY, critical=True)
    if issuer is not None:
        issuer_key = issuer.key.public_key()
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False
        )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
        )
    signer = issuer.key if issuer else key
    return Pair(builder.sign(signer, hashes.SHA256()), key)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def revocation_list(issuer: Pair, *revoked: Pair) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(NOW - DAY)
        .next_update(NOW + 30 * DAY)
    )
    for pair in revoked:
        entry = (
            x509.RevokedCertificateBuilder()
            .serial_number(pair.certificate.serial_number)
            .revocation_date(NOW - DAY)
            .build()
        )
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
