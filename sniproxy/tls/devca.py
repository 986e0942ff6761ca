"""The development CA behind `ssl_certificate auto`: a certificate for whatever name is asked.

The authority is made on first use, in `ca` under the user's state folder, and trusted by hand
once; leaves are made in memory when a handshake asks for them. Certificates are such as
browsers take: names in the subjectAltName, server authentication as extended key usage, at
most 397 days. Not for production: whoever reads the key file can speak for any name.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import re
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL

from ..message import ConfigError
from .certificates import LoadedCertificate
from .contexts import context_for

STATE_VARIABLE = "SNIPROXY_STATE"
FOLDER, CERTIFICATE, KEY = "ca", "ca.pem", "ca-key.pem"
CA_LIFE = datetime.timedelta(days=3650)
LEAF_LIFE = datetime.timedelta(days=397)
BACKDATED = datetime.timedelta(minutes=5)
"""For clients whose clocks are a little slow."""
RENEWED = datetime.timedelta(days=30)
"""How long a leaf is used: a proxy may run for longer than it is valid."""
CONTEXTS = 256
"""How many names are kept at once: a client can ask for any number of them."""


@dataclass(slots=True)
class DevCA:
    """An authority with the leaves it has lately made. `certificate_path` is what to trust."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    certificate_path: Path
    _leaf_key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    _contexts: OrderedDict[object, SSL.Context] = field(default_factory=OrderedDict)

    @classmethod
    def open(cls, state: str | os.PathLike[str] | None = None) -> DevCA:
        """The CA of the folder `state`, made if there is none yet.

        Without `state` it is $SNIPROXY_STATE's, or the user's own. Raises ConfigError if the
        folder can not be used, or what it holds is damaged or expired.
        """
        folder = Path(
            state or os.environ.get(STATE_VARIABLE) or platformdirs.user_state_dir("sniproxy")
        )
        try:
            if not (folder / FOLDER).is_dir():
                _create(folder)
            return cls._load(folder / FOLDER)
        except OSError as error:
            message = f'cannot use the development CA in "{folder / FOLDER}"'
            raise ConfigError(message, errno=error.errno) from error

    @classmethod
    def _load(cls, folder: Path) -> DevCA:
        path = folder / CERTIFICATE
        try:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
            key = serialization.load_pem_private_key((folder / KEY).read_bytes(), None)
            fits = certificate.public_key() == key.public_key()
        except (ValueError, TypeError) as error:
            raise _unusable(folder, f"is damaged ({error})") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not fits:
            raise _unusable(folder, "is damaged (the key is not the certificate's)")
        if certificate.not_valid_after_utc <= _now():
            raise _unusable(folder, f"expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
        return cls(certificate, key, path)

    def issue(self, names: Sequence[str]) -> LoadedCertificate:
        """A certificate for DNS names (also `*.w.test`) and addresses; at least one."""
        now = _now()
        subject = x509.Name(
            # A common name holds 64 characters, and nobody reads it.
            [x509.NameAttribute(NameOID.COMMON_NAME, names[0])] if len(names[0]) <= 64 else []
        )
        public_key = self._leaf_key.public_key()
        issuer_key_id = self.certificate.extensions.get_extension_for_class(
            x509.SubjectKeyIdentifier
        )
        builder = _builder(subject, self.certificate.subject, public_key)
        certificate = (
            builder.not_valid_before(now - BACKDATED)
            .not_valid_after(min(now - BACKDATED + LEAF_LIFE, self.certificate.not_valid_after_utc))
            .add_extension(
                x509.SubjectAlternativeName([_general_name(name) for name in names]),
                critical=not list(subject),
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key_id.value),
                critical=False,
            )
            .sign(self.key, hashes.SHA256())
        )
        return LoadedCertificate(certificate, self._leaf_key)

    def context(
        self, server_name: str | None, default: Sequence[str] = (), **settings: Any
    ) -> SSL.Context:
        """A server context for the SNI received; `settings` are those of `server_context`.

        Without an SNI, or with one that is no host name, the certificate is for what of
        `default` is one, else for `localhost`.
        """
        names = _usable([server_name] if server_name else []) or _usable(default) or ("localhost",)
        age = int((_now() - datetime.datetime.min.replace(tzinfo=datetime.UTC)) / RENEWED)
        wanted = (names, age, frozenset(settings.items()))
        context = self._contexts.get(wanted)
        if context is None:
            leaf = self.issue(names)
            context = context_for(leaf.certificate, leaf.key, **settings)
            self._contexts[wanted] = context
            if len(self._contexts) > CONTEXTS:
                self._contexts.popitem(last=False)
        self._contexts.move_to_end(wanted)
        return context


def host_name(text: str) -> str | None:
    """`text` as a certificate can carry it: an address, or a DNS name in lower case without its
    trailing dot, perhaps a wildcard; None for anything else."""
    try:
        address = ipaddress.ip_address(text)
        return None if "%" in text else str(address)
    except ValueError:
        name = text.lower().removesuffix(".")
        return name if len(name) <= 253 and _DNS_NAME.fullmatch(name) else None


_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DNS_NAME = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*", re.ASCII)


def _usable(names: Sequence[str]) -> tuple[str, ...]:
    found = (host_name(name) for name in names)
    return tuple(dict.fromkeys(name for name in found if name is not None))


def _create(state: Path) -> None:
    """Makes the folder of a new CA whole and then moves it into place: of two processes that
    do so at once, one has its folder there first, and the other uses that."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".ca-", dir=state))  # mode 0700
    try:
        certificate, key = _new_authority()
        (made / CERTIFICATE).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        with open(made / KEY, "xb", opener=_for_the_owner) as file:
            file.write(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
        with contextlib.suppress(OSError):
            made.rename(state / FOLDER)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _for_the_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _new_authority() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    now = _now()
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "sniproxy"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"sniproxy development CA {now:%Y-%m-%d}"),
        ]
    )
    certificate = (
        _builder(subject, subject, key.public_key())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now - BACKDATED + CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(**wanted: bool) -> x509.KeyUsage:
    usages = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{usage: wanted.get(usage, False) for usage in usages})


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _unusable(folder: Path, why: str) -> ConfigError:
    return ConfigError(
        f'the development CA in "{folder}" {why}; remove the folder to have a new one'
    )


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
