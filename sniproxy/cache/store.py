"""Caches, and the files that responses are written to.

A response is written to a temporary file, which is renamed when it is complete: a file with the
name of an entry is always whole, whatever happens to the process.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from ..logs.error import ConnectionLog
from ..models import BodyReadError, Failure, Level
from ..system import disk_size, write_all, write_at
from ..temp_files import make_file_beside, make_numbered_file, next_number
from .key import file_of
from .zone import CacheZone

_IS_NUMBERED = re.compile(r".*[0-9]{10}", re.DOTALL).fullmatch

TempFolder = tuple[str, Sequence[int]]
"""A folder for temporary files, and the levels of folders in it."""


@dataclass(frozen=True, slots=True, eq=False)
class ResponseCache:
    """A `proxy_cache_path` (`ngx_http_file_cache_t`)."""

    name: str
    folder: str
    levels: tuple[int, ...]
    zone: CacheZone
    inactive: int
    """Seconds after which an entry that nobody asks for is removed."""
    max_size: int | None = None
    """Bytes of all files."""
    min_free: int = 0
    """Bytes to leave on the file system."""
    use_temp_path: bool = True
    manager_files: int = 100
    """Files that are removed before the manager pauses."""
    manager_sleep: float = 0.05
    """Seconds of the pause, as in the next lines."""
    manager_threshold: float = 0.2
    loader_files: int = 100
    loader_sleep: float = 0.05
    loader_threshold: float = 0.2

    def file_of(self, digest: bytes) -> str:
        return file_of(self.folder, digest, self.levels)

    def remove_evicted(self) -> None:
        """Remove the files of the entries that a full zone has dropped."""
        evicted = self.zone.evicted
        while evicted:
            with suppress(OSError):
                os.unlink(os.fsencode(self.file_of(evicted.pop())))


class TemporaryResponse:
    """A response in a temporary file, which takes its final name or is removed."""

    def __init__(self, folder: TempFolder | None, path: str, log: ConnectionLog) -> None:
        """Create the file in `folder`, or beside `path` if that is None.

        `path` is the final name. Raises `BodyReadError` after logging the reason.
        """
        self.path = path
        self._log = log
        self.size = 0
        self._file: IO[bytes] | None = None
        try:
            if folder is None:
                self._file, self.name = make_file_beside(path)
            else:
                self._file, self.name = make_numbered_file(*folder)
        except OSError as error:
            call = "open" if _IS_NUMBERED(error.filename) else "mkdir"
            self._log_failure(f'{call}() "{error.filename}" failed', error)
            raise BodyReadError from None

    def write(self, data: bytes) -> None:
        """Append `data`. Raises `BodyReadError` after logging the reason."""
        assert self._file is not None
        try:
            write_all(self._file.fileno(), data)
        except OSError as error:
            self._log_failure(f'pwritev() "{self.name}" failed', error)
            self.remove()
            raise BodyReadError from None
        self.size += len(data)

    def _log_failure(self, text: str, error: OSError) -> None:
        """Log a failure at what nginx does then: it writes while it reads the response."""
        action, self._log.action = self._log.action, "reading upstream"
        self._log.write_failure(Failure(text, Level.CRIT, errno=error.errno))
        self._log.action = action

    def rewrite(self, data: bytes) -> None:
        """Replace the beginning of the file."""
        assert self._file is not None
        write_at(self._file.fileno(), data, 0)

    def rename(
        self, *, access: int = 0o600, folder_access: int = 0o700, modified: int | None = None
    ) -> int:
        """Give the file its final name; returns its size on disk, or 0 if that failed.

        A failure is logged. `modified` is the new modification time, POSIX seconds.
        """
        assert self._file is not None
        descriptor = self._file.fileno()
        try:
            if access != 0o600 and sys.platform != "win32":
                os.fchmod(descriptor, access)
            if modified is not None and sys.platform != "win32":
                os.utime(descriptor, (modified, modified))
            size = disk_size(os.fstat(descriptor))
            # Windows renames no open file, and sets no times of one.
            self._file.close()
            if modified is not None and sys.platform == "win32":
                os.utime(self.name, (modified, modified))
            self._move(folder_access)
        except OSError as error:
            text = f'rename() "{self.name}" to "{self.path}" failed'
            self._log.write_failure(Failure(text, Level.CRIT, errno=error.errno))
            self.remove()
            return 0
        self._file = None
        return max(size, 1)

    def _move(self, folder_access: int) -> None:
        source, target = os.fsencode(self.name), os.fsencode(self.path)
        try:
            os.replace(source, target)
        except FileNotFoundError:
            _make_folders(os.path.dirname(target), folder_access)
            self._move_across(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._move_across(source, target)

    def _move_across(self, source: bytes, target: bytes) -> None:
        """Rename, by a copy beside the target if it is on another file system."""
        try:
            os.replace(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            copy = target + b".%010d" % next_number()
            try:
                shutil.copy2(source, copy)
                os.replace(copy, target)
            except OSError:
                with suppress(OSError):
                    os.unlink(copy)
                raise
            os.unlink(source)

    def remove(self) -> None:
        """Remove the file, unless it has its final name."""
        if self._file is None:
            return
        self._file.close()
        self._file = None
        with suppress(OSError):
            os.unlink(os.fsencode(self.name))


def _make_folders(path: bytes, access: int) -> None:
    """Create missing folders with these permissions, whatever the umask."""
    if os.path.isdir(path):
        return
    _make_folders(os.path.dirname(path), access)
    with suppress(FileExistsError):
        os.mkdir(path, access)
        os.chmod(path, access)
