"""Memory that workers share, with a lock that dies with its holder (`ngx_shm_zone_t`).

A zone is made by the master before it forks. What lies in the memory is its user's affair: limits,
counters, whatever workers must agree on. The lock is one of the kernel's on a file without a name,
owned by a process: it is gone with `kill -9` too, and the next holder learns that the work of the
last one may be half done. Windows has one process, which needs no lock.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import sys
import tempfile
from collections.abc import Iterator
from typing import IO

if sys.platform != "win32":
    import fcntl

_FLAG = 8
"""Bytes before the user's, the first of which is 1 while the lock is held."""


class SharedZone:
    """So many bytes, zero at first, in all processes that are forked from here on."""

    def __init__(self, size: int) -> None:
        self._lock_file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        self._mapping = mmap.mmap(-1, _FLAG + size)
        self.memory = memoryview(self._mapping)[_FLAG:]
        """To be written to only while the lock is held."""

    @contextlib.contextmanager
    def lock(self) -> Iterator[bool]:
        """Hold the lock while the block runs; see `acquire` for the value."""
        in_order = self.acquire()
        try:
            yield in_order
        except BaseException:
            self.release(in_order=False)
            raise
        self.release()

    def acquire(self) -> bool:
        """Take the lock, for a short time without waits.

        Returns whether the memory is in order: False if the last holder has died, or failed, before
        `release`. Processes exclude each other, the threads of one do not.
        """
        if sys.platform != "win32":
            fcntl.lockf(self._lock_file, fcntl.LOCK_EX)
        in_order = not self._mapping[0]
        self._mapping[0] = 1
        return in_order

    def release(self, *, in_order: bool = True) -> None:
        """Release the lock; `in_order` is whether the memory may be used as it is."""
        if in_order:
            self._mapping[0] = 0
        if sys.platform != "win32":
            fcntl.lockf(self._lock_file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give the memory back, in this process."""
        self.memory.release()
        self._mapping.close()
        self._lock_file.close()


class ProcessLock:
    """A lock that one of several forked processes holds until it ends, or releases it."""

    def __init__(self, descriptor: int | None = None) -> None:
        """`descriptor` is that of the lock of another program, which has handed it over."""
        if descriptor is None:
            self._file: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        else:
            os.set_inheritable(descriptor, False)
            self._file = open(descriptor, "r+b", buffering=0)  # noqa: SIM115

    @property
    def descriptor(self) -> int:
        """For a program that is executed by this one."""
        return self._file.fileno()

    def try_lock(self) -> bool:
        """Take the lock unless another process holds it; whether this process holds it now."""
        if sys.platform != "win32":
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
        return True

    def release(self) -> None:
        """Let another process take the lock."""
        if sys.platform != "win32":
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        self._file.close()


_COUNT = struct.Struct("=Q")


class SharedCounter:
    """Numbers from 1, each for one process only: nginx's numbers of connections."""

    def __init__(self) -> None:
        self._zone = SharedZone(_COUNT.size)

    def __call__(self) -> int:
        """The next number."""
        # Whether a holder has died is no matter: the number is written at once or not at all.
        with self._zone.lock():
            number = int(_COUNT.unpack_from(self._zone.memory)[0]) + 1
            _COUNT.pack_into(self._zone.memory, 0, number)
        return number

    def close(self) -> None:
        self._zone.close()
