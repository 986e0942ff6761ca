"""Passwords as files of `auth_basic_user_file` keep them (pure).

Those of nginx itself (`{PLAIN}`, `{SHA}`, `{SSHA}`, `$apr1$`), and of the C library what its
hashes allow: `$1$`, `$5$`, `$6$`. DES and Blowfish are not among them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator

_DIGITS = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class UnknownHashError(Exception):
    """The password is kept in a way that is not known here."""


def verify_password(password: bytes, kept: bytes) -> bool:
    """Whether `password` is the one that is kept as `kept`; raises `UnknownFormat`."""
    for prefix, encrypted in _FORMATS.items():
        if kept.startswith(prefix):
            return hmac.compare_digest(encrypted(password, kept), kept)
    raise UnknownHashError


def find_user(file: bytes, user: bytes) -> bytes | None:
    """What the first line of `user` in a file has for a password; None without one."""
    for line in file.split(b"\n"):
        if line.startswith(b"#") or not line.startswith(user + b":"):
            continue
        rest = line[len(user) + 1 :]
        return rest.partition(b"\r")[0].partition(b":")[0]
    return None


def _plain(password: bytes, kept: bytes) -> bytes:
    return b"{PLAIN}" + password


def _sha(password: bytes, kept: bytes) -> bytes:
    return b"{SHA}" + base64.b64encode(hashlib.sha1(password).digest())


def _ssha(password: bytes, kept: bytes) -> bytes:
    try:
        known = base64.b64decode(kept.removeprefix(b"{SSHA}"), validate=True)
    except binascii.Error:
        known = b""
    salt = known[20:]
    return b"{SSHA}" + base64.b64encode(hashlib.sha1(password + salt).digest() + salt)


def _md5(password: bytes, kept: bytes) -> bytes:
    """Poul-Henning Kamp's scheme, `$1$`, and Apache's variation, `$apr1$`."""
    magic = kept[: kept.index(b"$", 1) + 1]
    salt = kept.removeprefix(magic).partition(b"$")[0][:8]
    inner = hashlib.md5(password + salt + password).digest()
    start = password + magic + salt + _repeated(inner, len(password))
    bits = len(password)
    while bits:
        start += b"\0" if bits & 1 else password[:1]
        bits >>= 1
    final = hashlib.md5(start).digest()
    for turn in range(1000):
        final = hashlib.md5(
            (password if turn & 1 else final)
            + (salt if turn % 3 else b"")
            + (password if turn % 7 else b"")
            + (final if turn & 1 else password)
        ).digest()
    order = [*((n, n + 6, n + 12 if n < 4 else 5) for n in range(5)), (11,)]
    return magic + salt + b"$" + _letters(final, order)


_ROUNDS = 5000
_LEAST_ROUNDS, _MOST_ROUNDS = 1000, 9_999_999


def _sha_crypt(password: bytes, kept: bytes) -> bytes:
    """Ulrich Drepper's schemes: `$5$` by SHA-256, `$6$` by SHA-512."""
    magic = kept[:3]
    hashed = hashlib.sha256 if magic == b"$5$" else hashlib.sha512
    size = hashed().digest_size
    rest, said, rounds = kept[3:], b"", _ROUNDS
    if rest.startswith(b"rounds="):
        number, _, rest = rest.removeprefix(b"rounds=").partition(b"$")
        if not number.isdigit():
            raise UnknownHashError
        rounds = min(max(int(number), _LEAST_ROUNDS), _MOST_ROUNDS)
        said = b"rounds=%d$" % rounds
    salt = rest.partition(b"$")[0][:16]
    inner = hashed(password + salt + password).digest()
    start = password + salt + _repeated(inner, len(password))
    bits = len(password)
    while bits:
        start += inner if bits & 1 else password
        bits >>= 1
    final = hashed(start).digest()
    own = _repeated(hashed(password * len(password)).digest(), len(password))
    spice = _repeated(hashed(salt * (16 + final[0])).digest(), len(salt))
    for turn in range(rounds):
        final = hashed(
            (own if turn & 1 else final)
            + (spice if turn % 3 else b"")
            + (own if turn % 7 else b"")
            + (final if turn & 1 else own)
        ).digest()
    return magic + said + salt + b"$" + _letters(final, _sha_order(size))


def _sha_order(size: int) -> Iterator[tuple[int, ...]]:
    """Which bytes make which letters: three at a time, each from another third."""
    third = size // 3
    place = (0, third, 2 * third)
    for turn in range(third):
        yield tuple(n + turn for n in place)
        place = (place[2], place[0], place[1]) if size == 32 else (place[1], place[2], place[0])
    yield (31, 30) if size == 32 else (63,)


def _repeated(data: bytes, length: int) -> bytes:
    return (data * (length // len(data) + 1))[:length]


def _letters(data: bytes, order: Iterable[tuple[int, ...]]) -> bytes:
    """Bytes as letters of six bits, four for each group of three, the lowest bits first."""
    text = bytearray()
    for group in order:
        value = int.from_bytes(bytes([data[index] for index in group]))
        for _ in range(len(group) + 1):
            text.append(_DIGITS[value & 63])
            value >>= 6
    return bytes(text)


_FORMATS: dict[bytes, Callable[[bytes, bytes], bytes]] = {
    b"$apr1$": _md5,
    b"{PLAIN}": _plain,
    b"{SSHA}": _ssha,
    b"{SHA}": _sha,
    b"$1$": _md5,
    b"$5$": _sha_crypt,
    b"$6$": _sha_crypt,
}
"""In nginx's order."""
