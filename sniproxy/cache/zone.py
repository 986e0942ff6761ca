"""The index of a cache in memory that workers share (`keys_zone`).

The memory holds a table of fixed-size records, found by the hash of their key and linked from the
least to the most recently used one (nginx has a red-black tree and a queue). Each method holds the
zone's lock while it runs. If a process dies in one of them, the next one that takes the lock clears
the table: the files are found again on disk, as after a start.

    header │ buckets: number of the first record │ record 1 │ record 2 │ …
"""

from __future__ import annotations

import enum
import os
import struct
from dataclasses import dataclass
from typing import NamedTuple

from ..shared_zone import ProcessLock, SharedZone

_HEADER = struct.Struct("=IIIIqBBxx")
_NUMBER = struct.Struct("=I")
_RECORD = struct.Struct("=16sIIIHBxIIqqqdI")
_LINKS_OFFSET = 20
"""Offset of the older and the newer record's number in a record."""
_BUCKET_OFFSET = 16
"""Offset of the number of the next record in the same bucket."""

_EXISTS, _UPDATING = 1, 2


class Presence(enum.Enum):
    """What the index knows about a key when it is looked up (`ngx_http_file_cache_exists`)."""

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
    digest: bytes
    same_bucket: int = 0
    older: int = 0
    newer: int = 0
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
        return bool(self.flags & _UPDATING) and _is_alive(self.updater)

    def pack(self) -> bytes:
        return _RECORD.pack(
            self.digest,
            self.same_bucket,
            self.older,
            self.newer,
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


def _is_alive(process: int) -> bool:
    if process == os.getpid():
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


class CacheZone:
    """The index of one cache."""

    def __init__(self, size: int) -> None:
        """`size` is that of the memory, in bytes."""
        self._zone = SharedZone(size)
        self._manager = ProcessLock()
        self._memory = self._zone.memory
        self.capacity = max((size - _HEADER.size) // (_RECORD.size + _NUMBER.size), 1)
        """Number of keys."""
        self._buckets = self.capacity
        self._records = _HEADER.size + self._buckets * _NUMBER.size
        self.evicted: list[bytes] = []
        """Keys that made room for others; their files are to be removed."""
        # Copies of the header, valid while the lock is held.
        self._free = self._newest = self._oldest = self._used = 0
        self._size = 0
        self._cold = True
        with self:
            self._clear()

    def __enter__(self) -> None:
        """Take the lock, and read the header."""
        in_order = self._zone.acquire()
        header = _HEADER.unpack_from(self._memory)
        self._free, self._newest, self._oldest, self._used, self._size, cold, _ = header
        self._cold = bool(cold)
        if not in_order:
            self._clear()

    def __exit__(self, failed: object, *_: object) -> None:
        """Write the header, and release the lock."""
        header = (self._free, self._newest, self._oldest, self._used, self._size, self._cold, 0)
        _HEADER.pack_into(self._memory, 0, *header)
        self._zone.release(in_order=failed is None)

    def _clear(self) -> None:
        self._memory[: self._records] = bytes(self._records)
        self._free = self._newest = self._oldest = self._used = 0
        self._size = 0
        self._cold = True

    # --- requests ---

    def look_up(self, digest: bytes, min_uses: int, now: int, inactive: int) -> KeyState:
        """Count a use of a key, and say what is known about it; `inactive` is in seconds."""
        with self:
            number, record = self._find(digest)
            if record is None:
                number, record = self._insert(digest)
                state = KeyState(Presence.NEW, is_cold=self._cold)
            else:
                record.uses += 1
                if record.error and record.error_until < now:
                    record.error = record.flags = record.error_until = record.body_start = 0
                    self._size -= record.size
                    record.size = 0
                    state = KeyState(Presence.NEW, is_cold=self._cold)
                elif record.error or record.flags & _EXISTS or record.uses >= min_uses:
                    exists = bool(record.flags & _EXISTS)
                    state = KeyState(Presence.KNOWN, exists, record.error, record.body_start)
                else:
                    state = KeyState(Presence.SCARCE)
            record.expires = now + inactive
            self._touch(number, record)
            return state

    def is_cold(self) -> bool:
        """Whether files may exist that the index does not know yet."""
        with self:
            return self._cold

    def begin_update(self, digest: bytes, now: float, lock_age: float) -> float | None:
        """Become the request that updates an entry; None if another one does.

        `now` is monotonic; returns the end of the lock, which identifies it.
        """
        with self:
            number, record = self._find(digest)
            if record is None:
                number, record = self._insert(digest)
                self._touch(number, record)
            elif record.is_updated and record.lock_until > now:
                return None
            record.flags |= _UPDATING
            record.updater = os.getpid()
            record.lock_until = now + lock_age
            self._store(number, record)
            return record.lock_until

    def begin_refresh(self, digest: bytes) -> float | None:
        """As `begin_update`, for an entry that has expired; the age of the lock does not matter."""
        with self:
            number, record = self._find(digest)
            if record is None:
                number, record = self._insert(digest)
                self._touch(number, record)
            elif record.is_updated:
                return None
            record.flags |= _UPDATING
            record.updater = os.getpid()
            self._store(number, record)
            return record.lock_until

    def is_updated(self, digest: bytes, now: float) -> bool:
        """Whether another request updates the entry."""
        with self:
            _, record = self._find(digest)
            return record is not None and record.is_updated and record.lock_until > now

    def finish_update(self, digest: bytes, body_start: int, size: int) -> None:
        """The file of an entry was stored, with `size` bytes on disk."""
        with self:
            number, record = self._find(digest)
            if record is None:
                number, record = self._insert(digest)
                self._touch(number, record)
            self._size += size - record.size
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
        with self:
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
        with self:
            number, record = self._find(digest)
            if record is None:
                number, record = self._insert(digest)
                self._touch(number, record)
            elif record.flags & _EXISTS:
                return
            record.uses = record.uses or 1
            record.flags |= _EXISTS
            record.expires = record.expires or expires
            record.body_start = record.body_start or body_start
            self._size += size - record.size
            record.size = size
            self._store(number, record)

    def finish_loading(self) -> None:
        """All files on disk are known."""
        with self:
            self._cold = False

    def usage(self) -> tuple[int, int]:
        """Number of keys, and bytes of their files on disk."""
        with self:
            return self._used, self._size

    def oldest(self) -> OldestKey | None:
        with self:
            if not self._oldest:
                return None
            record = self._load(self._oldest)
            return OldestKey(record.digest, record.expires, bool(record.flags & _EXISTS))

    def remove(self, digest: bytes) -> None:
        with self:
            number, record = self._find(digest)
            if record is not None:
                self._remove(number, record)

    def try_manager_lock(self) -> bool:
        """Become the process that manages the cache, until it ends; False if there is one."""
        return self._manager.try_lock()

    def close(self) -> None:
        self._manager.close()
        self._zone.close()

    # --- the table; the lock is held ---

    def _bucket(self, digest: bytes) -> int:
        """Offset of the number of the first record in the bucket of a key."""
        return _HEADER.size + int.from_bytes(digest[:8], "little") % self._buckets * _NUMBER.size

    def _offset(self, number: int) -> int:
        return self._records + (number - 1) * _RECORD.size

    def _load(self, number: int) -> _Record:
        return _Record(*_RECORD.unpack_from(self._memory, self._offset(number)))

    def _store(self, number: int, record: _Record) -> None:
        offset = self._offset(number)
        self._memory[offset : offset + _RECORD.size] = record.pack()

    def _find(self, digest: bytes) -> tuple[int, _Record | None]:
        memory = self._memory
        (number,) = _NUMBER.unpack_from(memory, self._bucket(digest))
        while number:
            offset = self._offset(number)
            if memory[offset : offset + 16] == digest:
                return number, self._load(number)
            (number,) = _NUMBER.unpack_from(memory, offset + _BUCKET_OFFSET)
        return 0, None

    def _insert(self, digest: bytes) -> tuple[int, _Record]:
        """Make a record, if necessary in place of the oldest one; it is not linked by age yet."""
        if self._free:
            number = self._free
            (self._free,) = _NUMBER.unpack_from(self._memory, self._offset(number) + _BUCKET_OFFSET)
        elif self._used < self.capacity:
            number = self._used + 1
        else:
            number = self._oldest
            oldest = self._load(number)
            if oldest.flags & _EXISTS:
                self.evicted.append(oldest.digest)
            self._remove(number, oldest)
            (self._free,) = _NUMBER.unpack_from(self._memory, self._offset(number) + _BUCKET_OFFSET)
        self._used += 1
        bucket = self._bucket(digest)
        (first,) = _NUMBER.unpack_from(self._memory, bucket)
        _NUMBER.pack_into(self._memory, bucket, number)
        return number, _Record(digest, same_bucket=first, uses=1)

    def _touch(self, number: int, record: _Record) -> None:
        """Make a record the most recently used one, and store it."""
        if number != self._newest:
            self._unlink(number, record)
            record.older, record.newer = self._newest, 0
            if self._newest:
                _NUMBER.pack_into(
                    self._memory, self._offset(self._newest) + _LINKS_OFFSET + 4, number
                )
            self._newest = number
            self._oldest = self._oldest or number
        self._store(number, record)

    def _unlink(self, number: int, record: _Record) -> None:
        older, newer = record.older, record.newer
        if older:
            _NUMBER.pack_into(self._memory, self._offset(older) + _LINKS_OFFSET + 4, newer)
        elif self._oldest == number:
            self._oldest = newer
        if newer:
            _NUMBER.pack_into(self._memory, self._offset(newer) + _LINKS_OFFSET, older)
        elif self._newest == number:
            self._newest = older

    def _remove(self, number: int, record: _Record) -> None:
        self._unlink(number, record)
        memory, at = self._memory, self._bucket(record.digest)
        (found,) = _NUMBER.unpack_from(memory, at)
        while found != number:
            at = self._offset(found) + _BUCKET_OFFSET
            (found,) = _NUMBER.unpack_from(memory, at)
        _NUMBER.pack_into(memory, at, record.same_bucket)
        self._size -= record.size
        self._used -= 1
        self._store(number, _Record(bytes(16), same_bucket=self._free))
        self._free = number
