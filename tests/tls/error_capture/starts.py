"""What goes wrong before any connection: files that do not load, ciphers that are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from OpenSSL import SSL

from .failures import Case
from .talking import Provoked, drain, ffi, lib

BAD = (
    "empty",
    "garbage",
    "certificate",
    "key",
    "binary",
    "base64",
    "no-end",
    "der",
    "key-base64",
    "key-no-end",
    "key-der",
    "rsa-key-der",
    "encrypted",
    "encrypted-old",
)
"""PEM files that are not what they should be; which of them a release tells apart varies."""


def bio_of(path: Path) -> Any:
    return ffi.gc(lib.BIO_new_file(str(path).encode(), b"r"), lib.BIO_free)


def all_failures(files: Path) -> Iterator[Case]:
    def failing(operation: str, call: Callable[[], Any]) -> Callable[[], Provoked | None]:
        def provoke() -> Provoked | None:
            lib.ERR_clear_error()
            call()
            queue = drain()
            return Provoked("start", operation, queue) if queue else None

        return provoke

    def certificate(path: Path) -> Callable[[], Any]:
        return lambda: lib.PEM_read_bio_X509(bio_of(path), ffi.NULL, ffi.NULL, ffi.NULL)

    def key(path: Path, secret: bytes | None = None) -> Callable[[], Any]:
        callback = no_passphrase if secret is None else ffi.NULL
        given = ffi.NULL if secret is None else ffi.new("char[]", secret)
        return lambda: lib.PEM_read_bio_PrivateKey(bio_of(path), ffi.NULL, callback, given)

    def use(name: str, other: str, ciphers: bytes = b"DEFAULT") -> Callable[[], Any]:
        def call() -> None:
            context = SSL.Context(SSL.SSLv23_METHOD)
            lib.SSL_CTX_set_cipher_list(context._context, ciphers)
            found = lib.PEM_read_bio_X509(bio_of(files / name), ffi.NULL, ffi.NULL, ffi.NULL)
            lib.ERR_clear_error()
            if lib.SSL_CTX_use_certificate(context._context, found) == 1:
                found = lib.PEM_read_bio_PrivateKey(
                    bio_of(files / other), ffi.NULL, ffi.NULL, ffi.NULL
                )
                lib.SSL_CTX_use_PrivateKey(context._context, found)

        return call

    for name in ("missing.pem", "leaf.crt/under"):
        yield (
            f"file: {name}",
            failing("BIO_new_file", partial(lib.BIO_new_file, str(files / name).encode(), b"r")),
        )
    for path in (files / f"bad-{name}" for name in BAD):
        yield f"certificate: {path.name}", failing("PEM_read_bio_X509", certificate(path))
        yield f"key: {path.name}", failing("PEM_read_bio_PrivateKey", key(path))
        yield f"key with words: {path.name}", failing("PEM_read_bio_PrivateKey", key(path, b"word"))
    yield (
        "key of another certificate",
        failing("SSL_CTX_use_PrivateKey", use("leaf.crt", "own.key")),
    )
    yield "key of another kind", failing("SSL_CTX_use_PrivateKey", use("leaf.crt", "rsa.key"))
    yield (
        "key too small",
        failing("SSL_CTX_use_certificate", use("small.crt", "small.key", b"DEFAULT@SECLEVEL=2")),
    )
    for ciphers in (b"NONSENSE", b"HIGH:!", b"@SECLEVEL=9", b"HIGH:@NONSENSE"):
        name = f"ciphers {ciphers.decode()}"
        yield name, failing("SSL_CTX_set_cipher_list", partial(set_ciphers, ciphers))


def set_ciphers(ciphers: bytes) -> None:
    lib.SSL_CTX_set_cipher_list(SSL.Context(SSL.SSLv23_METHOD)._context, ciphers)


no_passphrase = ffi.callback("int (*)(char *, int, int, void *)", lambda *_: -1, error=-1)
