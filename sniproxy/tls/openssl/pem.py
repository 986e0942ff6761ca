"""Read certificates, keys and parameters from PEM."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from tempfile import NamedTemporaryFile
from typing import Any

from .binding import X509, DHParameters, PrivateKey, clear_error, ffi, lib


class Pem:
    """PEM text, read block by block; after None the reason is in the error queue."""

    __slots__ = ("_bio", "_memory")

    def __init__(self, bio: Any, memory: Any = None) -> None:
        self._bio = ffi.gc(bio, lib.BIO_free)
        self._memory = memory

    @classmethod
    def open(cls, path: bytes) -> Pem | None:
        clear_error()
        bio = lib.BIO_new_file(path, b"r")
        return cls(bio) if bio else None

    @classmethod
    def from_bytes(cls, data: bytes) -> Pem:
        memory = ffi.from_buffer(data)
        return cls(lib.BIO_new_mem_buf(memory, len(data)), memory)

    def certificate(self) -> X509 | None:
        """The next certificate."""
        clear_error()
        found = lib.PEM_read_bio_X509(self._bio, ffi.NULL, ffi.NULL, ffi.NULL)
        return X509(ffi.gc(found, lib.X509_free)) if found else None

    @classmethod
    def certificates_with_trust(cls, text: bytes) -> Iterator[tuple[X509 | None, bool]]:
        """All certificates of a text, also those with trust settings (`openssl x509 -trustout`).

        None for one that cannot be read, and whether it has such settings.
        """
        for block in _CERTIFICATE.finditer(text):
            if block[1] == b"TRUSTED ":
                yield _trusted_certificate(block[0]), True
            else:
                yield cls.from_bytes(block[0]).certificate(), False

    def dh_parameters(self) -> DHParameters | None:
        clear_error()
        found = lib.PEM_read_bio_DHparams(self._bio, ffi.NULL, ffi.NULL, ffi.NULL)
        return DHParameters(ffi.gc(found, lib.DH_free)) if found else None

    def private_key(self, passphrase: bytes | None) -> PrivateKey | None:
        """The first private key; there is no interactive passphrase prompt."""
        clear_error()
        if passphrase is None:
            callback, secret = _no_passphrase, ffi.NULL
        else:
            callback, secret = ffi.NULL, ffi.new("char[]", passphrase)
        found = lib.PEM_read_bio_PrivateKey(self._bio, ffi.NULL, callback, secret)
        return PrivateKey(ffi.gc(found, lib.EVP_PKEY_free)) if found else None


_CERTIFICATE = re.compile(
    rb"-----BEGIN (X509 |TRUSTED |)CERTIFICATE-----.*?-----END \1CERTIFICATE-----", re.DOTALL
)


def has_trust_settings(text: bytes) -> bool:
    return b"-----BEGIN TRUSTED CERTIFICATE-----" in text


def _trusted_certificate(block: bytes) -> X509 | None:
    """A certificate with its trust settings.

    The binding lacks PEM_read_bio_X509_AUX(), which a context calls for a file.
    """
    context = ffi.gc(lib.SSL_CTX_new(lib.TLS_method()), lib.SSL_CTX_free)
    lib.SSL_CTX_set_cipher_list(context, b"ALL:@SECLEVEL=0")
    clear_error()
    with NamedTemporaryFile(suffix=".pem") as file:
        file.write(block + b"\n")
        file.flush()
        if lib.SSL_CTX_use_certificate_chain_file(context, file.name.encode()) != 1:
            return None
    connection = ffi.gc(lib.SSL_new(context), lib.SSL_free)
    found = lib.SSL_get_certificate(connection)
    lib.X509_up_ref(found)
    return X509(ffi.gc(found, lib.X509_free))


_no_passphrase = ffi.callback("int (*)(char *, int, int, void *)", lambda *_: -1, error=-1)


def x509_der(certificate: X509) -> bytes:
    return _serialize(lambda bio: lib.i2d_X509_bio(bio, certificate))


def _serialize(write_to: Callable[[Any], int]) -> bytes:
    bio = ffi.gc(lib.BIO_new(lib.BIO_s_mem()), lib.BIO_free)
    write_to(bio)
    memory = ffi.new("char **")
    length = lib.BIO_get_mem_data(bio, memory)
    return ffi.unpack(memory[0], length)  # type: ignore[no-any-return]
