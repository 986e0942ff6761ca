"""Contexts for certificates that are named by variables, one each, kept within bounds.

nginx puts such a certificate into the connection, and caches what it has loaded where
`ssl_certificate_cache` or `proxy_ssl_certificate_cache` says so. The binding can give a chain
to a context only: so a certificate has a context of its own here, and that is what is kept.
Without a cache nginx reads the files for each connection; here it is asked whether they have
changed, which comes to the same.
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
"""Contexts kept where the configuration sets no bound."""

Version = tuple[int, int, int]
"""What tells one state of a file from the next: inode, time in nanoseconds, size."""


NO_CACHE = CacheRules(MAX_UNCACHED, math.inf, -1.0)
"""`off`: the files are looked at each time."""


@dataclass(slots=True)
class _Entry:
    context: SSL.Context
    versions: tuple[Version | None, ...]
    checked: float
    used: float


class CertificateCache:
    """Certificates and their keys → the context that has them."""

    def __init__(
        self,
        make: Callable[..., SSL.Context],
        rules: CacheRules = NO_CACHE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`make` is called with the sources that a context is asked for."""
        self._make = make
        self._rules = rules
        self._clock = clock
        self._kept: OrderedDict[tuple[CertificateSource, ...], _Entry] = OrderedDict()

    def context(self, *sources: CertificateSource) -> SSL.Context:
        """Raises what `make` raises: `ConfigError` where the certificate does not load."""
        now = self._clock()
        kept = self._kept.get(sources)
        if kept is None:
            return self._load(sources, now)
        if now - kept.checked > self._rules.valid:
            if kept.versions != _versions(sources):
                del self._kept[sources]
                return self._load(sources, now)
            kept.checked = now
        kept.used = now
        self._kept.move_to_end(sources)
        return kept.context

    def __len__(self) -> int:
        return len(self._kept)

    def _load(self, sources: tuple[CertificateSource, ...], now: float) -> SSL.Context:
        versions = _versions(sources)
        context = self._make(*sources)
        self._make_room(now)
        self._kept[sources] = _Entry(context, versions, now, now)
        return context

    def _make_room(self, now: float) -> None:
        while self._kept:
            oldest = next(iter(self._kept.values()))
            full = len(self._kept) >= self._rules.maximum
            if not full and now - oldest.used <= self._rules.inactive:
                break
            self._kept.popitem(last=False)


def _versions(sources: Iterable[CertificateSource]) -> tuple[Version | None, ...]:
    return tuple(_version(value) for s in sources for value in (s.certificate, s.key))


def _version(value: str) -> Version | None:
    """None for what is no file, or can not be read: then loading tells."""
    if value.startswith(DATA):
        return None
    try:
        status = os.stat(value.encode("latin-1"))
    except (OSError, ValueError):
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
