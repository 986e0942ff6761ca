"""Rate limits with nginx's arithmetic (`limit_rate`, `proxy_limit_rate`)."""

from __future__ import annotations

import time
from collections.abc import Callable

import trio


class RateLimiter:
    """Limits the average rate since the start to a number of bytes per second."""

    def __init__(
        self, rate: int, clock: Callable[[], float] = time.time, *, after: int = 0
    ) -> None:
        """`rate` is in bytes per second; the first `after` bytes do not count."""
        self._rate = rate
        self._clock = clock
        self._began = int(clock())
        self._passed = -after

    async def acquire(self, most: int) -> int:
        """Wait until at least one byte may pass; returns how many, `most` at most."""
        while (allowed := self.available()) <= 0:
            await trio.sleep(-allowed / self._rate + 0.001)
        return min(allowed, most)

    def available(self) -> int:
        """Bytes that may pass now; zero or negative if the rate is exceeded."""
        return self._rate * (int(self._clock()) - self._began + 1) - self._passed

    def consume(self, length: int) -> float:
        """Record that `length` bytes have passed; returns how many seconds they take."""
        before = max(self._passed, 0)
        self._passed += length
        return (max(self._passed, 0) - before) / self._rate
