"""Read certificates, keys and parameters from PEM."""

from __future__ import annotations

from collections.abc import Callable
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


_no_passphrase = ffi.callback("int (*)(char *, int, int, void *)", lambda *_: -1, error=-1)


def x509_der(certificate: X509) -> bytes:
    return _serialize(lambda bio: lib.i2d_X509_bio(bio, certificate))


def _serialize(write_to: Callable[[Any], int]) -> bytes:
    bio = ffi.gc(lib.BIO_new(lib.BIO_s_mem()), lib.BIO_free)
    write_to(bio)
    memory = ffi.new("char **")
    length = lib.BIO_get_mem_data(bio, memory)
    return ffi.unpack(memory[0], length)  # type: ignore[no-any-return]
