"""A small certificate authority for tests: roots, intermediates and leaves in three lines.

    root = Authority.root("Test Root")
    good = root.intermediate("Test Intermediate").issue("upstream.test", "*.groups.test")
    good.write(directory, "good")           # good.pem (leaf and chain) and good.key

All keys are ECDSA on P-256: making one takes a fraction of a millisecond.
"""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Validity:
    """When a certificate is good, in days from now."""

    begins: int = -2
    ends: int = 365

    def moments(self) -> tuple[datetime.datetime, datetime.datetime]:
        """The end is an hour later: what counts whole days is not to stand on an edge."""
        now = datetime.datetime.now(datetime.UTC)
        return now + self.begins * DAY, now + self.ends * DAY + datetime.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate with its key, and the issuers that are sent behind it."""

    certificate: x509.Certificate
    key: Key
    chain: tuple[x509.Certificate, ...] = ()

    def certificate_pem(self) -> bytes:
        """The certificate, then its chain, as `ssl_certificate` wants them."""
        return pem(self.certificate, *self.chain)

    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def encrypted_key_pem(self, passphrase: str) -> bytes:
        """In the old format: of the new one OpenSSL's releases tell errors differently."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.BestAvailableEncryption(passphrase.encode()),
        )

    def write(self, directory: Path, name: str) -> None:
        """Write `name.pem` and `name.key` into `directory`."""
        (directory / f"{name}.pem").write_bytes(self.certificate_pem())
        (directory / f"{name}.key").write_bytes(self.key_pem())


@dataclass(frozen=True, slots=True)
class Authority:
    """One that issues certificates: a root, or an intermediate below one."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, ...] = ()
    """This authority and those above it up to the root, which is left out."""

    @classmethod
    def root(cls, name: str) -> Authority:
        key = new_key()
        return cls(_certificate(_subject(name), key, None, None, is_authority=True), key)

    def intermediate(self, name: str) -> Authority:
        key = new_key()
        certificate = _certificate(
            _subject(name), key, self.certificate, self.key, is_authority=True
        )
        return Authority(certificate, key, (certificate, *self.chain))

    def cross_signed(self, other: Authority) -> Authority:
        """This root as `other` certifies it: with it in the chain, one more has to be verified."""
        certificate = _certificate(
            self.certificate.subject, self.key, other.certificate, other.key, is_authority=True
        )
        return Authority(certificate, self.key, (certificate, *other.chain))

    def issue(
        self,
        *names: str,
        common_name: str = "a leaf",
        validity: Validity = Validity(),
        with_chain: bool = True,
        with_root: bool = False,
        subject: x509.Name | None = None,
        key: Key | None = None,
    ) -> Identity:
        """A leaf for DNS names (also odd ones, taken as they are) and `IP:…` addresses.

        `with_chain=False` forgets the intermediates, the classic mistake; `with_root` sends
        the root too. `subject` stands in place of a `common_name`.
        """
        key = key or new_key()
        leaf = _certificate(
            subject or _subject(common_name),
            key,
            self.certificate,
            self.key,
            names=names,
            validity=validity,
        )
        chain = self.chain if with_chain else ()
        if with_root:
            chain = (*chain, self.certificate)
        return Identity(leaf, key, chain)

    def revocation_list(
        self, *revoked: x509.Certificate, validity: Validity = Validity(-1, 30)
    ) -> bytes:
        """The list of this authority, as `ssl_crl` wants it; `validity` is in days from now."""
        begins, ends = validity.moments()
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(begins)
            .next_update(ends)
        )
        for certificate in revoked:
            entry = x509.RevokedCertificateBuilder(certificate.serial_number, begins)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def self_signed(*names: str, common_name: str = "nobody but itself") -> Identity:
    """A leaf that no authority stands behind."""
    key = new_key()
    return Identity(_certificate(_subject(common_name), key, None, None, names=names), key)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(
        certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates
    )


def _subject(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _certificate(
    subject: x509.Name,
    key: Key,
    issuer: x509.Certificate | None,
    issuer_key: Key | None,
    *,
    names: tuple[str, ...] = (),
    is_authority: bool = False,
    validity: Validity = Validity(),
) -> x509.Certificate:
    begins, ends = validity.moments()
    signing_key = issuer_key or key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()),
            critical=False,
        )
    )
    if not is_authority:
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if names:
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(signing_key, hashes.SHA256())


def _general_name(name: str) -> x509.GeneralName:
    if name.startswith("IP:"):
        return x509.IPAddress(ipaddress.ip_address(name.removeprefix("IP:")))
    return x509.DNSName(name)
