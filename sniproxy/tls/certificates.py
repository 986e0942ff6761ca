"""Load certificates, keys and revocation lists as nginx does, with nginx's error messages.

A value is a path, or `data:` followed by PEM. Errors are `ConfigError` without file and line,
as in nginx. Source: nginx's ngx_ssl_certificate and its object cache.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from OpenSSL import SSL

from ..models import ConfigError
from . import openssl
from .errors import NATIVE, NO_DATA, NO_START_LINE, Dialect, error_text
from .openssl import X509, DHParameters, Pem, PrivateKey, has_trust_settings

KeyObject = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
)

DATA = "data:"
NO_FILE = (DATA, "engine:", "store:")
"""Prefixes of values that are not paths; only `data:` is supported."""


@dataclass(frozen=True, slots=True)
class CertificateSource:
    """A certificate and key, as in `ssl_certificate` and `ssl_certificate_key`."""

    certificate: str
    """Absolute path, or `data:` and PEM: the certificate followed by its chain."""
    key: str
    """Path or data of the key; "" if missing, which is an error."""
    passphrases: tuple[str, ...] = ()
    """The lines of `ssl_password_file` (see `read_password_file`)."""


@dataclass(frozen=True, slots=True)
class LoadedCertificate:
    """A certificate, its key and its chain as `cryptography` objects."""

    certificate: x509.Certificate
    key: KeyObject
    chain: tuple[x509.Certificate, ...] = ()


@dataclass(frozen=True, slots=True)
class Loader:
    """Loads PEM files; error messages are in `dialect`."""

    dialect: Dialect = NATIVE
    owner: str = "SSL_CTX"
    """Object that holds the certificate, for messages: `SSL` if its name has variables."""

    def use(self, context: SSL.Context, source: CertificateSource | LoadedCertificate) -> bytes:
        """Set certificate, chain and key on `context`; returns the certificate in DER.

        A context can have one certificate per key type.
        """
        if isinstance(source, LoadedCertificate):
            return _use_loaded(context, source)
        chain = self._certificates(source.certificate, one_is_enough=True)
        if not openssl.use_certificate(context, chain[0]):
            raise self._error(f'{self.owner}_use_certificate("{source.certificate}") failed')
        if not _use_chain(context, source.certificate, chain):
            raise self._error(f'{self.owner}_set0_chain("{source.certificate}") failed')
        key = self._private_key(source.key, source.passphrases)
        if not openssl.use_private_key(context, key):
            raise self._error(f'{self.owner}_use_PrivateKey("{source.key}") failed')
        return openssl.x509_der(chain[0])

    def authorities(self, value: str) -> list[X509]:
        """The certificates of a bundle such as `ssl_trusted_certificate`."""
        return self._certificates(value, one_is_enough=False)

    def revocation_lists(self, value: str) -> list[bytes]:
        """The revocation lists of `ssl_crl` in DER."""
        what = f'cannot load CRL "{value}": '
        text = self._read(value, what)
        blocks = _CRL.findall(text)
        if not blocks:
            # There is no PEM in it, so reading a certificate produces the error that nginx gets.
            Pem.from_bytes(b"\n").certificate()
            expecting = {NO_START_LINE: "Expecting: X509 CRL"}
            raise self._error(f"{what}PEM_read_bio_X509_CRL() failed", expecting)
        try:
            return [x509.load_pem_x509_crl(block).public_bytes(Encoding.DER) for block in blocks]
        except ValueError as error:
            raise ConfigError(f"{what}PEM_read_bio_X509_CRL() failed ({error})") from error

    def dh_parameters(self, path: str) -> DHParameters:
        """The parameters of `ssl_dhparam`."""
        parameters = self._file(path, f'BIO_new_file("{path}") failed', "r").dh_parameters()
        if parameters is None:
            expecting = {NO_START_LINE: "Expecting: DH PARAMETERS"}
            raise self._error(f'PEM_read_bio_DHparams("{path}") failed', expecting)
        return parameters

    def ocsp_response(self, path: str) -> bytes:
        """The content of `ssl_stapling_file` in DER."""
        self._file(path, f'BIO_new_file("{path}") failed', "rb")
        response = Path(path).read_bytes()
        try:
            ocsp.load_der_ocsp_response(response)
        except ValueError as error:
            raise ConfigError(f'd2i_OCSP_RESPONSE_bio("{path}") failed ({error})') from None
        return response

    def _certificates(self, value: str, *, one_is_enough: bool) -> list[X509]:
        what = f'cannot load certificate "{value}": '
        pem = self._open(value, what)
        with contextlib.suppress(IsADirectoryError):
            if has_trust_settings(text := self._read(value, what)):
                return self._trusted(text, what, only_first=one_is_enough)
        found: list[X509] = []
        while (certificate := pem.certificate()) is not None:
            found.append(certificate)
        queue = openssl.drain_error_queue()
        if found and _is_end(queue):
            return found
        first = not found or not one_is_enough
        function = "PEM_read_bio_X509_AUX" if first else "PEM_read_bio_X509"
        expecting = {NO_START_LINE: "Expecting: TRUSTED CERTIFICATE"}
        raise ConfigError(error_text(f"{what}{function}() failed", queue, self.dialect, expecting))

    def _trusted(self, text: bytes, what: str, *, only_first: bool) -> list[X509]:
        """The certificates of a text that contains some with trust settings.

        With `only_first`, those behind the first one are skipped, as by nginx: they would be the
        chain of a certificate.
        """
        found: list[X509] = []
        for number, (certificate, has_trust) in enumerate(Pem.certificates_with_trust(text)):
            if has_trust and number and only_first:
                continue
            if certificate is None:
                raise self._error(f"{what}PEM_read_bio_X509_AUX() failed")
            found.append(certificate)
        return found

    def _private_key(self, value: str, passphrases: Sequence[str]) -> PrivateKey:
        what = f'cannot load certificate key "{value}": '
        if value.startswith(NO_FILE) and not value.startswith(DATA):
            scheme = value.partition(":")[0]
            raise ConfigError(f'{what}loading "{scheme}:..." certificate keys is not supported')
        for passphrase in passphrases or (None,):
            secret = None if passphrase is None else passphrase.encode("latin-1")
            key = self._open(value, what).private_key(secret)
            if key is not None:
                return key
        raise self._error(f"{what}PEM_read_bio_PrivateKey() failed")

    def _open(self, value: str, what: str) -> Pem:
        if value.startswith(DATA):
            return Pem.from_bytes(value[len(DATA) :].encode("latin-1"))
        return self._file(value, f"{what}BIO_new_file() failed", "r")

    def _file(self, path: str, failed: str, mode: str) -> Pem:
        pem = Pem.open(path.encode("latin-1"))
        if pem is None:
            queue = openssl.drain_error_queue()
            call = {e.code: f"calling fopen({path}, {mode})" for e in queue if e.is_system}
            raise ConfigError(error_text(failed, queue, self.dialect, call))
        return pem

    def _read(self, value: str, what: str) -> bytes:
        self._open(value, what)
        if value.startswith(DATA):
            return value[len(DATA) :].encode("latin-1")
        return Path(value).read_bytes()

    def _error(self, text: str, data: Mapping[int, str] = NO_DATA) -> ConfigError:
        return ConfigError(error_text(text, openssl.drain_error_queue(), self.dialect, data))


_CRL = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)


def _is_end(queue: Sequence[openssl.QueuedError]) -> bool:
    return queue[-1].code == NO_START_LINE


def _use_chain(context: SSL.Context, value: str, chain: Sequence[X509]) -> bool:
    if len(chain) == 1:
        return True
    if not value.startswith(DATA):
        return openssl.use_chain_file(context, value.encode("latin-1"))
    # The binding can set the chain of one certificate among several only from a file.
    with NamedTemporaryFile(suffix=".pem") as file:
        file.write(value[len(DATA) :].encode("latin-1"))
        file.flush()
        return openssl.use_chain_file(context, file.name.encode())


def _use_loaded(context: SSL.Context, source: LoadedCertificate) -> bytes:
    context.use_certificate(source.certificate)
    for certificate in source.chain:
        context.add_extra_chain_cert(certificate)
    context.use_privatekey(source.key)
    return source.certificate.public_bytes(Encoding.DER)


def read_password_file(
    path: str, file: str | None = None, line: int | None = None
) -> tuple[str, ...]:
    """The non-empty lines of a `ssl_password_file`.

    `file` and `line` locate the directive, for error messages.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f'open() "{path}" failed', file, line, error.errno) from None
    lines = [text.removesuffix(b"\r") for text in content.split(b"\n")]
    if any(len(text) >= MAX_PASSPHRASE for text in lines):
        raise ConfigError(f'too long line in "{path}"', file, line)
    return tuple(text.decode("latin-1") for text in lines if text) or ("",)


MAX_PASSPHRASE = 4096
