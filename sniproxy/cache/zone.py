"""The index of a cache in memory that workers share (`keys_zone`).

Each method holds the lock while it runs. If a process dies in one of them, the index is empty
afterwards: the files are found again on disk, as after a start.
"""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass
from typing import NamedTuple

from ..shared_table import SharedTable
from ..shared_zone import ProcessLock
from ..system import is_alive

_LAYOUT = "=HBxIIqqqdI"
"""The fields of `_Record`, without its key."""
_LOADED = 1
"""Flag of the table: all files on disk are known."""

_EXISTS, _UPDATING = 1, 2


class Presence(enum.Enum):
    """Result of a lookup of a key in the index (`ngx_http_file_cache_exists`)."""

    KNOWN = enum.auto()
    NEW = enum.auto()
    SCARCE = enum.auto()
    """It was not requested `proxy_cache_min_uses` times yet."""


class KeyState(NamedTuple):
    """The result of a lookup."""

    presence: Presence
    exists: bool = False
    """Whether there should be a file."""
    error: int = 0
    """The status of a stored error; then there is no file."""
    body_start: int = 0
    """Offset of the body in the file; 0 if it is not known."""
    is_cold: bool = False
    """Whether files may exist that the index does not know yet."""


class OldestKey(NamedTuple):
    """The least recently used entry."""

    digest: bytes
    expires: int
    """POSIX time at which it is removed if nobody asks for it (`inactive`)."""
    exists: bool


@dataclass(slots=True)
class _Record:
    error: int = 0
    flags: int = 0
    uses: int = 0
    body_start: int = 0
    error_until: int = 0
    expires: int = 0
    size: int = 0
    lock_until: float = 0.0
    updater: int = 0
    """The process that updates the entry."""

    @property
    def is_updated(self) -> bool:
        """Whether a request updates the entry, in a process that is alive."""
        return bool(self.flags & _UPDATING) and is_alive(self.updater)

    @property
    def values(self) -> tuple[object, ...]:
        return (
            self.error,
            self.flags,
            min(self.uses, 0xFFFFFFFF),
            self.body_start,
            self.error_until,
            self.expires,
            self.size,
            self.lock_until,
            self.updater,
        )


class CacheZone:
    """The index of one cache."""

    def __init__(self, size: int) -> None:
        """`size` is that of the memory, in bytes."""
        self._table = SharedTable(size, _LAYOUT)
        self._manager = ProcessLock()
        self.capacity = self._table.capacity
        """Number of keys."""
        self.evicted: list[bytes] = []
        """Keys that made room for others; their files are to be removed."""

    # --- requests ---

    def look_up(self, digest: bytes, min_uses: int, now: int, inactive: int) -> KeyState:
        """Count a use of a key, and say what is known about it; `inactive` is in seconds."""
        with self._table:
            number, record = self._find(digest)
            if record is None:
                number, record = self._insert(digest)
                state = KeyState(Presence.NEW, is_cold=self._is_cold)
            else:
                record.uses += 1
                if record.error and record.error_until < now:
                    record.error = record.flags = record.error_until = record.body_start = 0
                    self._table.total -= record.size
                    record.size = 0
                    state = KeyState(Presence.NEW, is_cold=self._is_cold)
                elif record.error or record.flags & _EXISTS or record.uses >= min_uses:
                    exists = bool(record.flags & _EXISTS)
                    state = KeyState(Presence.KNOWN, exists, record.error, record.body_start)
                else:
                    state = KeyState(Presence.SCARCE)
            record.expires = now + inactive
            self._table.touch(number)
            self._store(number, record)
            return state

    def is_cold(self) -> bool:
        """Whether files may exist that the index does not know yet."""
        with self._table:
            return self._is_cold

    def begin_update(self, digest: bytes, now: float, lock_age: float) -> float | None:
        """Become the request that updates an entry; None if another one does.

        `now` is monotonic; returns the end of the lock, which identifies it.
        """
        with self._table:
            number, record = self._find(digest)
            if record is None:
                number, record = self._insert(digest)
            elif record.is_updated and record.lock_until > now:
                return None
            record.flags |= _UPDATING
            record.updater = os.getpid()
            record.lock_until = now + lock_age
            self._store(number, record)
            return record.lock_until

    def begin_refresh(self, digest: bytes) -> float | None:
        """As `begin_update`, for an entry that has expired; the age of the lock does not matter."""
        with self._table:
            number, record = self._find(digest)
            if record is None:
                number, record = self._insert(digest)
            elif record.is_updated:
                return None
            record.flags |= _UPDATING
            record.updater = os.getpid()
            self._store(number, record)
            return record.lock_until

    def is_updated(self, digest: bytes, now: float) -> bool:
        """Whether another request updates the entry."""
        with self._table:
            _, record = self._find(digest)
            return record is not None and record.is_updated and record.lock_until > now

    def finish_update(self, digest: bytes, body_start: int, size: int) -> None:
        """The file of an entry was stored, with `size` bytes on disk."""
        with self._table:
            number, record = self._find(digest)
            if record is None:
                number, record = self._insert(digest)
            self._table.total += size - record.size
            record.size, record.body_start, record.error = size, body_start, 0
            record.flags = _EXISTS
            self._store(number, record)

    def end_update(
        self,
        digest: bytes,
        lock: float | None,
        min_uses: int,
        *,
        error: int = 0,
        error_until: int = 0,
    ) -> None:
        """A request is over that has stored no file, or an `error` until `error_until`."""
        with self._table:
            number, record = self._find(digest)
            if record is None:
                return
            if lock is not None and record.lock_until == lock:
                record.flags &= ~_UPDATING
            if error:
                record.error, record.error_until = error, error_until
            elif not record.flags & (_EXISTS | _UPDATING) and min_uses == 1 and not record.error:
                self._remove(number, record)
                return
            self._store(number, record)

    # --- the manager ---

    def add_file(self, digest: bytes, size: int, expires: int, *, body_start: int = 0) -> None:
        """Note a file that was found on disk."""
        with self._table:
            number, record = self._find(digest)
            if record is None:
                number, record = self._insert(digest)
            elif record.flags & _EXISTS:
                return
            record.uses = record.uses or 1
            record.flags |= _EXISTS
            record.expires = record.expires or expires
            record.body_start = record.body_start or body_start
            self._table.total += size - record.size
            record.size = size
            self._store(number, record)

    def finish_loading(self) -> None:
        """All files on disk are known."""
        with self._table:
            self._table.flags |= _LOADED

    def usage(self) -> tuple[int, int]:
        """Number of keys, and bytes of their files on disk."""
        with self._table:
            return self._table.used, self._table.total

    def oldest(self) -> OldestKey | None:
        with self._table:
            number = self._table.oldest
            if not number:
                return None
            record = self._load(number)
            return OldestKey(self._table.key(number), record.expires, bool(record.flags & _EXISTS))

    def remove(self, digest: bytes) -> None:
        with self._table:
            number, record = self._find(digest)
            if record is not None:
                self._remove(number, record)

    def try_manager_lock(self) -> bool:
        """Become the process that manages the cache, until it ends; False if there is one."""
        return self._manager.try_lock()

    def close(self) -> None:
        self._manager.close()
        self._table.close()

    # --- the lock is held ---

    @property
    def _is_cold(self) -> bool:
        return not self._table.flags & _LOADED

    def _load(self, number: int) -> _Record:
        return _Record(*self._table.read(number))

    def _store(self, number: int, record: _Record) -> None:
        self._table.write(number, record.values)

    def _find(self, digest: bytes) -> tuple[int, _Record | None]:
        number = self._table.find(digest)
        return number, self._load(number) if number else None

    def _insert(self, digest: bytes) -> tuple[int, _Record]:
        """Make a record, if necessary in place of the oldest one."""
        table = self._table
        if table.used == table.capacity:
            oldest = self._load(table.oldest)
            if oldest.flags & _EXISTS:
                self.evicted.append(table.key(table.oldest))
            self._remove(table.oldest, oldest)
        record = _Record(uses=1)
        return table.insert(digest, record.values), record

    def _remove(self, number: int, record: _Record) -> None:
        self._table.total -= record.size
        self._table.remove(number)
