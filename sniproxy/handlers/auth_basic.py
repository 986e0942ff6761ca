"""Password files of `auth_basic_user_file`, and the hashes in them (ngx_http_auth_basic_module).

The schemes of nginx itself are `{PLAIN}`, `{SHA}`, `{SSHA}` and `$apr1$`; everything else goes
through crypt(3): DES, BSDi (`_`), `$1$`, `$2a$` to `$2y$` (bcrypt), `$5$` and `$6$`. The hashes
are computed by `libpass` and `bcrypt`, which are imported when the first such password is
checked. `{SHA}` and `{SSHA}` are not libpass's: it refuses salts that nginx accepts.

A hash that cannot be read matches no password, as in nginx linked with musl.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

_BCRYPT_PREFIXES = (b"$2a$", b"$2b$", b"$2x$", b"$2y$")
_BCRYPT_MAX_PASSWORD = 72
"""Bytes: crypt(3) ignores those that follow, `bcrypt` raises."""

_OWN_SCHEMES = (b"{PLAIN}", b"{SHA}", b"{SSHA}")


def find_user(file: bytes, user: bytes) -> bytes | None:
    """Return the password field of the first line for `user`, or None if there is no such line."""
    for line in file.split(b"\n"):
        if line.startswith(b"#") or not line.startswith(user + b":"):
            continue
        rest = line[len(user) + 1 :]
        return rest.partition(b"\r")[0].partition(b":")[0]
    return None


def is_slow(stored: bytes) -> bool:
    """Whether checking a password against `stored` takes milliseconds or more."""
    return not stored.startswith(_OWN_SCHEMES)


def verify_password(password: bytes, stored: bytes) -> bool:
    """Whether `password` matches `stored`, the password field of a line."""
    if stored.startswith(b"{PLAIN}"):
        return hmac.compare_digest(b"{PLAIN}" + password, stored)
    if stored.startswith(b"{SHA}"):
        return hmac.compare_digest(_sha(password), stored)
    if stored.startswith(b"{SSHA}"):
        return hmac.compare_digest(_ssha(password, stored), stored)
    return _crypt_verify(password.partition(b"\0")[0], stored)


def _sha(password: bytes) -> bytes:
    return b"{SHA}" + base64.b64encode(hashlib.sha1(password).digest())


def _ssha(password: bytes, stored: bytes) -> bytes:
    """Hash `password` with the salt of `stored`: what follows the 20 bytes of the digest."""
    try:
        decoded = base64.b64decode(stored.removeprefix(b"{SSHA}"), validate=True)
    except binascii.Error:
        decoded = b""
    salt = decoded[20:]
    return b"{SSHA}" + base64.b64encode(hashlib.sha1(password + salt).digest() + salt)


def _crypt_verify(password: bytes, stored: bytes) -> bool:
    if stored.startswith(_BCRYPT_PREFIXES):
        import bcrypt

        try:
            return bcrypt.checkpw(password[:_BCRYPT_MAX_PASSWORD], stored)
        except ValueError:
            return False
    from passlib import hash as schemes

    handlers = (
        schemes.apr_md5_crypt,
        schemes.md5_crypt,
        schemes.sha256_crypt,
        schemes.sha512_crypt,
        schemes.bsdi_crypt,
        schemes.des_crypt,
    )
    for handler in handlers:
        if handler.identify(stored):
            try:
                return bool(handler.verify(password, stored))
            except ValueError:
                return False
    return False
