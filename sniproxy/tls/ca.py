"""The development CA: it is behind `ssl_certificate auto`.

`DevCA` issues a certificate for any host name on demand. The CA is created on first use, in the
folder `ca` of the user's state folder, and has to be trusted by hand once. Leaf certificates are
issued in memory during the handshake. They are made for browsers: names in subjectAltName,
extended key usage serverAuth, valid for at most 397 days. Not for production: anyone who can read
the key file can impersonate any host to clients that trust the CA.

Keys are ECDSA on P-256, which takes a fraction of a millisecond to generate.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import re
import shutil
import stat
import sys
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL

from ..models import ConfigError
from ..system import O_BINARY
from .certificates import LoadedCertificate
from .contexts import context_for

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

STATE_VARIABLE = "SNIPROXY_STATE"
FOLDER, CERTIFICATE_FILE, KEY_FILE = "ca", "ca.pem", "ca-key.pem"
CA_LIFE = datetime.timedelta(days=3650)
LEAF_LIFE = datetime.timedelta(days=397)
BACKDATE = datetime.timedelta(minutes=5)
"""How far validity begins in the past, for clients whose clocks are slow."""
RENEWAL_INTERVAL = datetime.timedelta(days=30)
"""A leaf is replaced after this time: a proxy can run for longer than a leaf is valid."""
MAX_CONTEXTS = 256
"""Number of cached contexts; bounded, as a client can request any number of names."""


@dataclass(slots=True)
class DevCA:
    """The development CA, with a cache of contexts; `certificate_path` is the file to trust."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    certificate_path: Path
    is_new: bool = False
    """Whether `open` has created it: nothing trusts it yet."""
    _leaf_key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    _contexts: OrderedDict[object, SSL.Context] = field(default_factory=OrderedDict)

    @classmethod
    def open(cls, state: str | os.PathLike[str] | None = None) -> DevCA:
        """Load the CA of the folder `state`, after creating it if there is none.

        The default of `state` is $SNIPROXY_STATE, else the user's state folder. Raises ConfigError
        if the folder can not be used or changed by other users, or if the CA is damaged or expired.
        """
        folder = state_folder(state)
        is_new = False
        try:
            if not (folder / FOLDER).is_dir():
                is_new = _create(folder)
            if reason := why_not_private(folder):
                raise ConfigError(f'the development CA in "{folder / FOLDER}" {reason}')
            found = cls._load(folder / FOLDER)
            found.is_new = is_new
            return found
        except OSError as error:
            message = f'cannot use the development CA in "{folder / FOLDER}"'
            raise ConfigError(message, errno=error.errno) from error

    @classmethod
    def _load(cls, folder: Path) -> DevCA:
        path = folder / CERTIFICATE_FILE
        try:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
            key = serialization.load_pem_private_key((folder / KEY_FILE).read_bytes(), None)
            fits = certificate.public_key() == key.public_key()
        except (ValueError, TypeError) as error:
            raise _unusable(folder, f"is damaged ({error})") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not fits:
            raise _unusable(folder, "is damaged (the key is not the certificate's)")
        if certificate.not_valid_after_utc <= now():
            raise _unusable(folder, f"expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
        return cls(certificate, key, path)

    def issue(self, names: Sequence[str]) -> LoadedCertificate:
        """Issue a certificate for one or more DNS names (also wildcards) and IP addresses."""
        current = now()
        subject = x509.Name(
            # A common name has at most 64 characters; clients check subjectAltName only.
            [x509.NameAttribute(NameOID.COMMON_NAME, names[0])] if len(names[0]) <= 64 else []
        )
        not_before = current - BACKDATE
        certificate = build_certificate(
            subject,
            self._leaf_key.public_key(),
            self.key,
            not_before,
            min(not_before + LEAF_LIFE, self.certificate.not_valid_after_utc),
            issuer=self.certificate,
            names=[_general_name(name) for name in names],
            key_usage=_key_usage(digital_signature=True),
            purposes=[ExtendedKeyUsageOID.SERVER_AUTH],
        )
        return LoadedCertificate(certificate, self._leaf_key)

    def context(
        self, server_name: str | None, default: Sequence[str] = (), **settings: Any
    ) -> SSL.Context:
        """A server context with a certificate for the SNI; `settings` are those of `context_for`.

        Without an SNI, or if it is not a host name, the certificate is for those names in
        `default` that are host names, else for `localhost`.
        """
        names = _usable([server_name] if server_name else []) or _usable(default) or ("localhost",)
        age = int((now() - datetime.datetime.min.replace(tzinfo=datetime.UTC)) / RENEWAL_INTERVAL)
        key = (names, age, frozenset(settings.items()))
        context = self._contexts.get(key)
        if context is None:
            leaf = self.issue(names)
            context = context_for(leaf.certificate, leaf.key, **settings)
            self._contexts[key] = context
            if len(self._contexts) > MAX_CONTEXTS:
                self._contexts.popitem(last=False)
        self._contexts.move_to_end(key)
        return context


def state_folder(state: str | os.PathLike[str] | None = None) -> Path:
    """The folder `state`, by default $SNIPROXY_STATE, else the user's state folder."""
    return Path(state or os.environ.get(STATE_VARIABLE) or platformdirs.user_state_dir("sniproxy"))


def why_not_private(state: Path) -> str:
    """Why other users could read or replace the key of a CA below `state`; "" if they could not.

    Raises OSError.
    """
    if sys.platform == "win32":
        return ""
    owners = {os.geteuid(), 0}
    if os.geteuid() == 0 and os.environ.get("SUDO_UID", "").isdecimal():
        owners.add(int(os.environ["SUDO_UID"]))
    folder = state / FOLDER
    for path, found in ((state, state.stat()), (folder, folder.lstat()), (folder, folder.stat())):
        # In a folder with the sticky bit, others can neither remove nor rename what is not theirs.
        is_shared = path == state and found.st_mode & stat.S_ISVTX
        if found.st_uid not in owners and not is_shared:
            return f'is refused: "{path}" belongs to another user'
        if found.st_mode & 0o022 and not (is_shared or stat.S_ISLNK(found.st_mode)):
            return f'is refused: others can write to "{path}" (chmod go-w {path})'
    key = folder / KEY_FILE
    found = key.stat()
    if found.st_uid not in owners:
        return f'is refused: "{key}" belongs to another user'
    if found.st_mode & 0o077:
        return f'is refused: others can read "{key}" (chmod 600 {key}, or remove the folder)'
    return ""


def host_name(text: str) -> str | None:
    """`text` as it is written in a certificate; None if it is not a host name.

    That is an IP address, or a DNS name or wildcard in lower case without trailing dot.
    """
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


def _create(state: Path) -> bool:
    """Create a CA in a temporary folder, then rename that into place; returns whether it is ours.

    If two processes do so at the same time, the second rename fails, and both use the CA of the
    first.
    """
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".ca-", dir=state))  # mode 0700
    try:
        certificate, key = _new_authority()
        (made / CERTIFICATE_FILE).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        with open(made / KEY_FILE, "xb", opener=_open_private) as file:
            file.write(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
        with contextlib.suppress(OSError):
            made.rename(state / FOLDER)
            return True
        return False
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | O_BINARY, 0o600)


def _new_authority() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    current = now()
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "sniproxy"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"sniproxy development CA {current:%Y-%m-%d}"),
        ]
    )
    not_before = current - BACKDATE
    certificate = build_certificate(
        subject,
        key.public_key(),
        key,
        not_before,
        not_before + CA_LIFE,
        is_ca=True,
        path_length=0,
        key_usage=KEY_USAGE_OF_AUTHORITY,
    )
    return certificate, key


def build_certificate(
    subject: x509.Name,
    public_key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    signing_key: Key,
    not_before: datetime.datetime,
    not_after: datetime.datetime,
    *,
    issuer: x509.Certificate | None = None,
    names: Sequence[x509.GeneralName] = (),
    is_ca: bool = False,
    path_length: int | None = None,
    key_usage: x509.KeyUsage | None = None,
    purposes: Sequence[x509.ObjectIdentifier] = (),
) -> x509.Certificate:
    """Build and sign a certificate; it is self-signed without an `issuer`.

    `names` go into subjectAltName, `purposes` into extended key usage.
    """
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(is_ca, path_length), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )
    if issuer is not None:
        identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
    if key_usage is not None:
        builder = builder.add_extension(key_usage, critical=True)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if names:
        # RFC 5280, section 4.2.1.6: critical if the subject is empty.
        critical = not list(subject)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=critical)
    return builder.sign(signing_key, hashes.SHA256())


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


KEY_USAGE_OF_AUTHORITY = _key_usage(key_cert_sign=True, crl_sign=True)
"""Of a CA's certificate; since version 3.13 Python accepts none without it."""


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _unusable(folder: Path, why: str) -> ConfigError:
    return ConfigError(
        f'the development CA in "{folder}" {why}; remove the folder to have a new one'
    )


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
