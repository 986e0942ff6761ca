"""Find the files of a cache after a start, and remove old ones (nginx's cache loader and manager).

nginx has a process for each; here one worker does it, the one that holds the zone's manager lock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from stat import S_ISDIR

import trio

from ..logs.error import ErrorLog
from ..models import Failure, Level
from ..system import disk_size, free_bytes
from .file_format import HEADER_SIZE
from .store import ResponseCache

LOADER_DELAY = 60.0
"""Seconds before files are looked for, as in nginx; until then a request finds them itself."""
LONGEST_PAUSE = 10
"""Seconds between two looks at the index, at most."""
_DIGEST_LENGTH = 32
_SUFFIX_LENGTH = 11


class CacheManager:
    """Loads and cleans one cache."""

    def __init__(self, cache: ResponseCache, log: ErrorLog) -> None:
        self.cache = cache
        self._log = log

    async def run(self) -> None:
        """Run until cancelled; does nothing while another process does it."""
        while not self.cache.zone.try_manager_lock():
            await trio.sleep(LONGEST_PAUSE)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._load)
            nursery.start_soon(self._manage)

    # --- loader ---

    async def _load(self) -> None:
        cache = self.cache
        await trio.sleep(LOADER_DELAY)
        while True:
            if cache.zone.is_cold():
                await self._load_files()
            await trio.sleep(LOADER_DELAY)  # the zone is cold again after a worker has died in it

    async def _load_files(self) -> None:
        cache = self.cache
        files, began = 0, time.monotonic()
        for path, size in _files_below(os.fsencode(cache.folder)):
            self.load_file(path, size)
            files += 1
            if files >= cache.loader_files or time.monotonic() - began >= cache.loader_threshold:
                await trio.sleep(cache.loader_sleep)
                files, began = 0, time.monotonic()
            else:
                await trio.lowlevel.checkpoint()
        cache.zone.finish_loading()

    def load_file(self, path: bytes, status: os.stat_result) -> None:
        """Enter a file in the index; one that is none of a cache is removed, as by nginx."""
        name = os.path.basename(path).decode("latin-1")
        text = os.fsdecode(path)
        if len(name) >= _DIGEST_LENGTH + _SUFFIX_LENGTH and name[-_SUFFIX_LENGTH] == ".":
            return  # a temporary file
        try:
            digest = bytes.fromhex(name[-_DIGEST_LENGTH:])
            valid = len(digest) * 2 == _DIGEST_LENGTH
        except ValueError:
            valid = False
        if valid and status.st_size < HEADER_SIZE:
            self._log.write(Level.CRIT, f'cache file "{text}" is too small')
            valid = False
        if not valid:
            self._unlink(text)
            return
        cache = self.cache
        cache.zone.add_file(digest, disk_size(status), int(time.time()) + cache.inactive)
        cache.remove_evicted()

    # --- manager ---

    async def _manage(self) -> None:
        while True:
            pause = await self.clean(int(time.time()))
            await trio.sleep(pause)

    async def clean(self, now: int) -> float:
        """Remove what has not been requested or is too much; returns the seconds to wait."""
        cache = self.cache
        files, began = 0, time.monotonic()
        while True:
            oldest = cache.zone.oldest()
            if oldest is None:
                return LONGEST_PAUSE
            if oldest.expires > now and not self._is_full():
                return min(oldest.expires - now, LONGEST_PAUSE)
            cache.zone.remove(oldest.digest)
            if oldest.exists:
                self._unlink(cache.file_of(oldest.digest))
            files += 1
            if files >= cache.manager_files or time.monotonic() - began >= cache.manager_threshold:
                return cache.manager_sleep
            await trio.lowlevel.checkpoint()

    def _is_full(self) -> bool:
        cache = self.cache
        keys, size = cache.zone.usage()
        if cache.max_size is not None and size > cache.max_size:
            return True
        if keys > cache.zone.capacity * 7 // 8:
            return True
        if not cache.min_free:
            return False
        try:
            return free_bytes(cache.folder) < cache.min_free
        except OSError:
            return False

    def _unlink(self, path: str) -> None:
        try:
            os.unlink(os.fsencode(path))
        except FileNotFoundError:
            pass
        except OSError as error:
            failure = Failure(f'unlink() "{path}" failed', Level.CRIT, errno=error.errno)
            self._log.write(Level.CRIT, failure.message)


def _files_below(folder: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    """The files below a folder with their status; what vanishes meanwhile is left out."""
    waiting = [folder]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if S_ISDIR(status.st_mode):
                waiting.append(entry.path)
            else:
                yield entry.path, status
