"""Whether a response may be stored, and how long it is valid (pure).

Fields of the response decide before `proxy_cache_valid` does: `X-Accel-Expires`, `Cache-Control`,
`Expires`, `Set-Cookie`, `Vary` (nginx's `ngx_http_upstream_process_…`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ..config.numbers import parse_number
from ..http.dates import parse_http_date
from ..models import Header
from .file_format import MAX_VARY

_FORBIDDING = ("no-cache", "no-store", "private")
_SECONDS = re.compile(r"([0-9]*)(?:[,; ]|$)")


@dataclass(slots=True)
class CacheValidity:
    """Whether and how long a response may be stored, according to its header fields."""

    storable: bool = True
    """False if a field forbids it for good."""
    valid_until: int = 0
    """POSIX time; 0 if no field says so."""
    updating: int = 0
    """Seconds of `stale-while-revalidate`."""
    error: int = 0
    """Seconds of `stale-if-error`."""
    vary: bytes = b""
    refused: bool = False
    """Whether `Cache-Control` forbids it."""
    expired: bool = False
    """Whether `Expires` is in the past."""

    @property
    def allowed(self) -> bool:
        return self.storable and not self.refused and not self.expired


def validity_of(headers: Iterable[Header], ignored: Collection[str], now: int) -> CacheValidity:
    """Evaluate the fields in their order; `ignored` are names in lower case."""
    validity = CacheValidity()
    accelerated = False
    vary: list[str] = []
    for field, value in headers:
        name = field.lower()
        if name in ignored:
            continue
        if name == "x-accel-expires":
            _take_x_accel_expires(validity, value, now)
            accelerated = True
        elif name == "cache-control":
            if not (validity.valid_until and accelerated) and not _take_max_age(
                validity, value.lower(), now
            ):
                continue
            _take_extensions(validity, value.lower())
        elif name == "expires":
            if not validity.valid_until:
                _take_expires(validity, value, now)
        elif name == "set-cookie":
            validity.storable = False
        elif name == "vary":
            vary.append(value)
    joined = ", ".join(vary)
    if len(joined) > MAX_VARY or "*" in (value.strip() for value in vary):
        validity.storable = False
    validity.vary = joined.encode("latin-1")
    return validity


def _take_x_accel_expires(validity: CacheValidity, value: str, now: int) -> None:
    absolute = value.startswith("@")
    seconds = parse_number(value[1:] if absolute else value)
    if seconds is None:
        return
    if not absolute and seconds == 0:
        validity.storable = False
        return
    validity.valid_until = seconds if absolute else now + seconds
    validity.refused = validity.expired = False


def _take_max_age(validity: CacheValidity, text: str, now: int) -> bool:
    """Evaluate `Cache-Control`; returns whether its extensions are looked at too."""
    if any(word in text for word in _FORBIDDING):
        validity.refused = True
        return False
    for word in ("s-maxage=", "max-age="):
        if word in text:
            seconds = _seconds_after(text, word)
            if seconds is None:
                validity.storable = False
                return False
            if seconds == 0:
                validity.refused = True
                return False
            validity.valid_until = now + seconds
            validity.expired = False
            break
    return True


def _take_extensions(validity: CacheValidity, text: str) -> None:
    for word in ("stale-while-revalidate=", "stale-if-error="):
        if word in text:
            seconds = _seconds_after(text, word)
            if seconds is None:
                validity.storable = False
                return
            if word == "stale-while-revalidate=":
                validity.updating = seconds
            validity.error = seconds


def _seconds_after(text: str, word: str) -> int | None:
    """The number after `word`; None if something else follows than digits and a separator."""
    match = _SECONDS.match(text, text.index(word) + len(word))
    return None if match is None else int(match[1] or 0)


def _take_expires(validity: CacheValidity, value: str, now: int) -> None:
    expires = parse_http_date(value)
    if expires is None or expires < now:
        validity.expired = True
    else:
        validity.valid_until = expires
