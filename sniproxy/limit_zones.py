"""The counters of `limit_req` and `limit_conn`, which workers share."""

from __future__ import annotations

import enum
import hashlib
import os

from .shared_table import KEY_SIZE, SharedTable
from .system import is_alive

_LONG_AGO = -60_000
"""Milliseconds: a clock that was set back by more counts as a new period."""


def digest_of(key: str) -> bytes:
    """The key of a table for the value of a limit's key."""
    return hashlib.blake2b(key.encode("latin-1"), digest_size=KEY_SIZE).digest()


class RateVerdict(enum.Enum):
    """The result of counting a request."""

    COUNTED = enum.auto()
    PENDING = enum.auto()
    """It is below the limit, and not counted yet, as other limits follow."""
    REFUSED = enum.auto()


class RequestRateZone:
    """Request rates by key, with nginx's leaky bucket (`limit_req_zone`)."""

    def __init__(self, size: int, rate: int) -> None:
        """`rate` is in thousandths of a request per second."""
        self.rate = rate
        self._table = SharedTable(size, "=qq")  # milliseconds of the last request, excess

    def look_up(
        self, digest: bytes, burst: int, now: int, *, counts: bool
    ) -> tuple[RateVerdict, int]:
        """Count a request at `now`, in milliseconds; returns the excess too.

        Unless `counts`, it is only checked.
        """
        table = self._table
        with table:
            number = table.find(digest)
            if not number:
                if table.used == table.capacity:
                    table.remove(table.oldest)
                table.insert(digest, (now if counts else 0, 0))
                return (RateVerdict.COUNTED if counts else RateVerdict.PENDING), 0
            table.touch(number)
            last, excess = table.read(number)
            elapsed = _elapsed(now, last)
            excess = self._excess(excess, elapsed)
            if excess > burst:
                return RateVerdict.REFUSED, excess
            if not counts:
                return RateVerdict.PENDING, excess
            table.write(number, (now if elapsed else last, excess))
            return RateVerdict.COUNTED, excess

    def count(self, digest: bytes, now: int) -> int:
        """Count a request that was checked before; returns the excess."""
        table = self._table
        with table:
            number = table.find(digest)
            if not number:
                return 0
            last, excess = table.read(number)
            elapsed = _elapsed(now, last)
            excess = self._excess(excess, elapsed)
            table.write(number, (now if elapsed else last, excess))
            return excess

    def usage(self) -> tuple[int, int]:
        """The number of keys, and how many there is room for."""
        return usage_of(self._table)

    def _excess(self, excess: int, elapsed: int) -> int:
        return max(excess - self.rate * elapsed // 1000 + 1000, 0)

    def close(self) -> None:
        self._table.close()


def usage_of(table: SharedTable) -> tuple[int, int]:
    """The number of records in use, and how many there is room for."""
    with table:
        return table.used, table.capacity


def _elapsed(now: int, last: int) -> int:
    elapsed = now - last
    if elapsed < _LONG_AGO:
        return 1
    return max(elapsed, 0)


_SLOTS = 8
"""Processes that a record of connections can tell apart."""


class ConnectionCountZone:
    """Numbers of connections by key (`limit_conn_zone`).

    A record has the numbers of up to eight processes, so that those of a worker that was killed are
    forgotten.
    """

    def __init__(self, size: int) -> None:
        self._table = SharedTable(size, f"={2 * _SLOTS}I")  # pairs of process and number

    def take(self, digest: bytes, limit: int) -> bool:
        """Count a connection, unless there are `limit`; whether it was counted.

        A full zone takes none.
        """
        table, process = self._table, os.getpid()
        with table:
            number = table.find(digest)
            if not number:
                if table.used == table.capacity:
                    return False
                values = (process, 1, *(0,) * (2 * _SLOTS - 2))
                table.insert(digest, values)
                return True
            values = table.read(number)
            if sum(values[1::2]) >= limit:
                values = _of_living(values)
                if sum(values[1::2]) >= limit:
                    return False
            table.write(number, _changed(values, process, 1))
            return True

    def release(self, digest: bytes) -> None:
        """A connection that was counted is over."""
        table = self._table
        with table:
            number = table.find(digest)
            if number:
                values = _changed(table.read(number), os.getpid(), -1)
                if sum(values[1::2]):
                    table.write(number, values)
                else:
                    table.remove(number)

    def usage(self) -> tuple[int, int]:
        """The number of keys that have connections, and how many there is room for."""
        return usage_of(self._table)

    def close(self) -> None:
        self._table.close()


def _changed(values: tuple[int, ...], process: int, by: int) -> tuple[int, ...]:
    """The numbers after a connection of `process` began or ended."""
    changed = list(values)
    slot = next(
        (at for at in range(0, 2 * _SLOTS, 2) if changed[at] == process),
        next((at for at in range(0, 2 * _SLOTS, 2) if not changed[at + 1]), 2 * _SLOTS - 2),
    )
    changed[slot] = process
    changed[slot + 1] = max(changed[slot + 1] + by, 0)
    return tuple(changed)


def _of_living(values: tuple[int, ...]) -> tuple[int, ...]:
    """The numbers without those of processes that have died."""
    living = list(values)
    for at in range(0, 2 * _SLOTS, 2):
        if living[at + 1] and not is_alive(living[at]):
            living[at + 1] = 0
    return tuple(living)
