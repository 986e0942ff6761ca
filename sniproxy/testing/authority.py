"""Certificate authorities for tests.

`Authority` issues certificates that differ from good ones in one respect:

    root = Authority.root("Test Root")
    good = root.intermediate("Test Intermediate").issue("upstream.test", "*.groups.test")
    good.write(directory, "good")           # good.pem (leaf and chain) and good.key

Keys are ECDSA on P-256, which takes a fraction of a millisecond to generate.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..tls.ca import KEY_USAGE_OF_AUTHORITY, Key, build_certificate, now


@dataclass(frozen=True, slots=True)
class Validity:
    """When a certificate is valid, in days from now."""

    not_before: int = -2
    not_after: int = 365

    def moments(self) -> tuple[datetime.datetime, datetime.datetime]:
        """The two times; the end is an hour later, so that remaining whole days are as given."""
        start, day = now(), datetime.timedelta(days=1)
        end = start + self.not_after * day + datetime.timedelta(hours=1)
        return start + self.not_before * day, end


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate with its key and the chain that is sent after it."""

    certificate: x509.Certificate
    key: Key
    chain: tuple[x509.Certificate, ...] = ()

    def certificate_pem(self) -> bytes:
        """The certificate, then its chain: the content of a file for `ssl_certificate`."""
        return pem(self.certificate, *self.chain)

    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def encrypted_key_pem(self, passphrase: str) -> bytes:
        """The key in the traditional encrypted format.

        For PKCS #8, OpenSSL releases differ in the errors about a wrong passphrase.
        """
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.BestAvailableEncryption(passphrase.encode()),
        )

    def write(self, directory: Path, name: str) -> None:
        """Write `name.pem` and `name.key` into `directory`."""
        (directory / f"{name}.pem").write_bytes(self.certificate_pem())
        (directory / f"{name}.key").write_bytes(self.key_pem())


BOTH_PURPOSES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA for tests: a root, or an intermediate below one."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, ...] = ()
    """The intermediates from this authority up to the root, which is left out."""

    @classmethod
    def root(cls, name: str) -> Authority:
        key = new_key()
        return cls(_test_certificate(_subject(name), key, is_ca=True), key)

    def intermediate(
        self, name: str, validity: Validity = Validity(), path_length: int | None = None
    ) -> Authority:
        """Issue a CA below this one; `path_length` limits the CAs below that."""
        key = new_key()
        certificate = _test_certificate(
            _subject(name), key, self, is_ca=True, validity=validity, path_length=path_length
        )
        return Authority(certificate, key, (certificate, *self.chain))

    def cross_signed(self, other: Authority) -> Authority:
        """This root, cross-signed by `other`; chains are one certificate longer."""
        certificate = _test_certificate(self.certificate.subject, self.key, other, is_ca=True)
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
        purposes: Sequence[x509.ObjectIdentifier] = BOTH_PURPOSES,
    ) -> Identity:
        """Issue a leaf for DNS names, which are not checked, and `IP:…` addresses.

        `with_chain=False` leaves the intermediates out, `with_root` adds the root to the chain.
        `subject` replaces `common_name`.
        """
        key = key or new_key()
        leaf = _test_certificate(
            subject or _subject(common_name),
            key,
            self,
            names=names,
            validity=validity,
            purposes=purposes,
        )
        chain = self.chain if with_chain else ()
        if with_root:
            chain = (*chain, self.certificate)
        return Identity(leaf, key, chain)

    def revocation_list(
        self, *revoked: x509.Certificate, validity: Validity = Validity(-1, 30)
    ) -> bytes:
        """The CRL of this authority, as PEM for `ssl_crl`."""
        not_before, not_after = validity.moments()
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(not_before)
            .next_update(not_after)
        )
        for certificate in revoked:
            entry = x509.RevokedCertificateBuilder(certificate.serial_number, not_before)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def self_signed(*names: str, common_name: str = "self-signed") -> Identity:
    """A self-signed leaf."""
    key = new_key()
    return Identity(_test_certificate(_subject(common_name), key, names=names), key)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(
        certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates
    )


def _subject(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _test_certificate(
    subject: x509.Name,
    key: Key,
    issuer: Authority | None = None,
    *,
    names: tuple[str, ...] = (),
    is_ca: bool = False,
    validity: Validity = Validity(),
    path_length: int | None = None,
    purposes: Sequence[x509.ObjectIdentifier] = (),
) -> x509.Certificate:
    """A certificate for servers and clients, or that of an authority."""
    return build_certificate(
        subject,
        key.public_key(),
        issuer.key if issuer else key,
        *validity.moments(),
        issuer=issuer.certificate if issuer else None,
        names=[_prefixed_name(name) for name in names],
        is_ca=is_ca,
        path_length=path_length,
        key_usage=KEY_USAGE_OF_AUTHORITY if is_ca else None,
        purposes=purposes,
    )


def _prefixed_name(name: str) -> x509.GeneralName:
    """An address if it has the prefix `IP:`, else a DNS name, even if it looks like an address."""
    if name.startswith("IP:"):
        return x509.IPAddress(ipaddress.ip_address(name.removeprefix("IP:")))
    return x509.DNSName(name)
