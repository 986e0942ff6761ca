"""Contexts for certificates whose file names contain variables, one per certificate.

nginx sets such a certificate on the connection, and caches loaded certificates if
`ssl_certificate_cache` or `proxy_ssl_certificate_cache` is set. The Python binding can set a
certificate chain on a context only, so each certificate has its own context, which is cached.
Without a cache directive nginx reads the files for each connection; here they are reloaded
if they changed, which has the same effect.
"""

from __future__ import annotations

import math
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from OpenSSL import SSL

from ..config.directives.tls import CacheRules
from .certificates import DATA, CertificateSource

MAX_UNCACHED = 128
"""Maximum number of contexts if the configuration sets no limit."""

Version = tuple[int, int, int]
"""Identifies the state of a file: inode, modification time in nanoseconds, size."""


NO_CACHE = CacheRules(MAX_UNCACHED, math.inf, -1.0)
"""`off`: check the files for changes each time."""


@dataclass(slots=True)
class _Entry:
    context: SSL.Context
    versions: tuple[Version | None, ...]
    checked: float
    used: float


class CertificateCache:
    """Caches contexts by certificate sources."""

    def __init__(
        self,
        make: Callable[..., SSL.Context],
        rules: CacheRules = NO_CACHE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`make` creates the context for certificate sources."""
        self._make = make
        self._rules = rules
        self._clock = clock
        self._entries: OrderedDict[tuple[CertificateSource, ...], _Entry] = OrderedDict()

    def context(self, *sources: CertificateSource) -> SSL.Context:
        """The context for the sources. Raises `ConfigError` if a certificate cannot be loaded."""
        now = self._clock()
        entry = self._entries.get(sources)
        if entry is None:
            return self._load(sources, now)
        if now - entry.checked > self._rules.valid:
            if entry.versions != _versions(sources):
                del self._entries[sources]
                return self._load(sources, now)
            entry.checked = now
        entry.used = now
        self._entries.move_to_end(sources)
        return entry.context

    def __len__(self) -> int:
        return len(self._entries)

    def _load(self, sources: tuple[CertificateSource, ...], now: float) -> SSL.Context:
        versions = _versions(sources)
        context = self._make(*sources)
        self._evict(now)
        self._entries[sources] = _Entry(context, versions, now, now)
        return context

    def _evict(self, now: float) -> None:
        while self._entries:
            oldest = next(iter(self._entries.values()))
            full = len(self._entries) >= self._rules.maximum
            if not full and now - oldest.used <= self._rules.inactive:
                break
            self._entries.popitem(last=False)


def _versions(sources: Iterable[CertificateSource]) -> tuple[Version | None, ...]:
    return tuple(_version(value) for s in sources for value in (s.certificate, s.key))


def _version(value: str) -> Version | None:
    """The file's version; None if it is not a file or unreadable (loading will report it)."""
    if value.startswith(DATA):
        return None
    try:
        status = os.stat(value.encode("latin-1"))
    except (OSError, ValueError):
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
