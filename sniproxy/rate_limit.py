"""So many bytes a second: nginx's arithmetic of `limit_rate` and `proxy_limit_rate`."""

from __future__ import annotations

import time
from collections.abc import Callable

import trio


class RateLimiter:
    """One limit, from its first second on; each second allows as many bytes as it says."""

    def __init__(self, rate: int, clock: Callable[[], float] = time.time) -> None:
        """`rate` is in bytes a second."""
        self._rate = rate
        self._clock = clock
        self._began = int(clock())
        self._passed = 0

    async def acquire(self, most: int) -> int:
        """How many bytes may pass now, `most` at most and one at least, once any may."""
        while (allowed := self.available()) <= 0:
            await trio.sleep(-allowed / self._rate + 0.001)
        return min(allowed, most)

    def available(self) -> int:
        """Bytes that may pass; where that is less than one, so many are to be waited for."""
        return self._rate * (int(self._clock()) - self._began + 1) - self._passed

    def consume(self, length: int) -> None:
        """Note that so many bytes have passed."""
        self._passed += length
