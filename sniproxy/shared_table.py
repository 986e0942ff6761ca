"""A table in memory that workers share, which forgets its least recently used key when it is full.

Records have a fixed size and are found by a key of 16 bytes. They lie one after the other; buckets
and ages are linked by their numbers (nginx has a red-black tree and a queue in each zone).

    header │ buckets: number of the first record │ record 1 │ record 2 │ …

All methods but `close` need the lock, which `with table:` holds. If a process dies while it
holds the lock, the next one to take it finds an empty table.
"""

from __future__ import annotations

import struct
from typing import Any

from .shared_zone import SharedZone

KEY_SIZE = 16
_HEADER = struct.Struct("=IIIIqq")
_NUMBER = struct.Struct("=I")
_LINKS = struct.Struct("=16sIII")
_SAME_BUCKET, _OLDER, _NEWER = 16, 20, 24
"""Offsets of the numbers in a record, after the key."""


class SharedTable:
    """Records of one format by key."""

    def __init__(self, size: int, payload: str) -> None:
        """`size` is that of the memory in bytes, `payload` the format of a record's values."""
        self._zone = SharedZone(size)
        self._memory = self._zone.memory
        self._payload = struct.Struct(payload)
        self._record_size = _LINKS.size + self._payload.size
        self.capacity = max((size - _HEADER.size) // (self._record_size + _NUMBER.size), 1)
        """Number of records."""
        self._records = _HEADER.size + self.capacity * _NUMBER.size
        # The header, valid while the lock is held.
        self._free = self._newest = self._oldest = 0
        self.used = 0
        """Number of records in use."""
        self.total = 0
        """A number of the owner's, 0 at first."""
        self.flags = 0
        """Another one."""

    def __enter__(self) -> None:
        """Take the lock, and read the header."""
        in_order = self._zone.acquire()
        header = _HEADER.unpack_from(self._memory)
        self._free, self._newest, self._oldest, self.used, self.total, self.flags = header
        if not in_order:
            self._memory[: self._records] = bytes(self._records)
            self._free = self._newest = self._oldest = self.used = self.total = self.flags = 0

    def __exit__(self, failed: object, *_: object) -> None:
        """Write the header, and release the lock."""
        header = (self._free, self._newest, self._oldest, self.used, self.total, self.flags)
        _HEADER.pack_into(self._memory, 0, *header)
        self._zone.release(in_order=failed is None)

    @property
    def oldest(self) -> int:
        """The number of the least recently used record; 0 if there is none."""
        return self._oldest

    def find(self, key: bytes) -> int:
        """The number of the record of a key; 0 if there is none."""
        memory = self._memory
        number: int = _NUMBER.unpack_from(memory, self._bucket(key))[0]
        while number:
            offset = self._offset(number)
            if memory[offset : offset + KEY_SIZE] == key:
                return number
            (number,) = _NUMBER.unpack_from(memory, offset + _SAME_BUCKET)
        return 0

    def insert(self, key: bytes, values: tuple[Any, ...]) -> int:
        """Make the record of a new key, the most recently used one; there must be room."""
        if self._free:
            number = self._free
            (self._free,) = _NUMBER.unpack_from(self._memory, self._offset(number) + _SAME_BUCKET)
        else:
            assert self.used < self.capacity
            number = self.used + 1
        self.used += 1
        bucket = self._bucket(key)
        (first,) = _NUMBER.unpack_from(self._memory, bucket)
        _NUMBER.pack_into(self._memory, bucket, number)
        _LINKS.pack_into(self._memory, self._offset(number), key, first, 0, 0)
        self._append(number)
        self.write(number, values)
        return number

    def read(self, number: int) -> tuple[Any, ...]:
        """The values of a record."""
        return self._payload.unpack_from(self._memory, self._offset(number) + _LINKS.size)

    def write(self, number: int, values: tuple[Any, ...]) -> None:
        self._payload.pack_into(self._memory, self._offset(number) + _LINKS.size, *values)

    def key(self, number: int) -> bytes:
        offset = self._offset(number)
        return bytes(self._memory[offset : offset + KEY_SIZE])

    def touch(self, number: int) -> None:
        """Make a record the most recently used one."""
        if number != self._newest:
            self._unlink(number)
            self._append(number)

    def remove(self, number: int) -> None:
        memory, offset = self._memory, self._offset(number)
        self._unlink(number)
        at = self._bucket(self.key(number))
        (found,) = _NUMBER.unpack_from(memory, at)
        while found != number:
            at = self._offset(found) + _SAME_BUCKET
            (found,) = _NUMBER.unpack_from(memory, at)
        memory[at : at + _NUMBER.size] = memory[
            offset + _SAME_BUCKET : offset + _SAME_BUCKET + _NUMBER.size
        ]
        _LINKS.pack_into(memory, offset, bytes(KEY_SIZE), self._free, 0, 0)
        self._free = number
        self.used -= 1

    def close(self) -> None:
        """Give the memory back, in this process."""
        self._zone.close()

    def _bucket(self, key: bytes) -> int:
        """Offset of the number of the first record in the bucket of a key."""
        return _HEADER.size + int.from_bytes(key[:8], "little") % self.capacity * _NUMBER.size

    def _offset(self, number: int) -> int:
        return self._records + (number - 1) * self._record_size

    def _append(self, number: int) -> None:
        """Link a record as the newest one."""
        offset = self._offset(number)
        _NUMBER.pack_into(self._memory, offset + _OLDER, self._newest)
        _NUMBER.pack_into(self._memory, offset + _NEWER, 0)
        if self._newest:
            _NUMBER.pack_into(self._memory, self._offset(self._newest) + _NEWER, number)
        self._newest = number
        self._oldest = self._oldest or number

    def _unlink(self, number: int) -> None:
        offset = self._offset(number)
        (older,) = _NUMBER.unpack_from(self._memory, offset + _OLDER)
        (newer,) = _NUMBER.unpack_from(self._memory, offset + _NEWER)
        if older:
            _NUMBER.pack_into(self._memory, self._offset(older) + _NEWER, newer)
        else:
            self._oldest = newer
        if newer:
            _NUMBER.pack_into(self._memory, self._offset(newer) + _OLDER, older)
        else:
            self._newest = older
