"""Open files and send them as response bodies."""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Iterable

from ..http.ranges import Part
from ..logs.error import ConnectionLog
from ..models import BodyReadError, Level
from ..system import READ, read_at

NOT_FOUND_ERRNOS = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
FORBIDDEN_ERRNOS = (errno.EACCES, errno.EMLINK, errno.ELOOP)

BLOCK = 131072
"""Bytes read at once: four times the size in nginx's `output_buffers`; a read costs more here."""


def syscall_error(text: str, error: OSError) -> str:
    """Append the error to `text` as in nginx's log messages."""
    return f"{text} ({error.errno}: {error.strerror})"


def encode_path(name: str) -> bytes:
    """Encode a file name, truncated at a NUL like a C string."""
    return name.partition("\0")[0].encode("latin-1")


def stat_file(name: str) -> os.stat_result:
    """`os.stat` of an encoded name. Raises `OSError`."""
    return os.stat(encode_path(name))


class OpenFile:
    """An open file (or other file system object); call `close` when done."""

    def __init__(self, name: str, descriptor: int | None = None) -> None:
        """Open the file, unless it is open as `descriptor`. Raises `OSError`."""
        self.name = name
        if descriptor is None:
            descriptor = os.open(encode_path(name), READ)
        self.descriptor = descriptor
        status = os.fstat(self.descriptor)
        self.is_directory = stat.S_ISDIR(status.st_mode)
        self.is_regular = stat.S_ISREG(status.st_mode)
        self.size = status.st_size
        self.modified = status.st_mtime_ns // 10**9
        """POSIX time in whole seconds."""

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class FileBody:
    """A file as response body: all of it, or parts of it with other bytes in between.

    Reads happen in the event loop, as in nginx without `aio`: a block in the page cache takes
    microseconds, a switch to a thread many times that. Other tasks run between two blocks,
    whenever the client's socket is full or several blocks were sent.
    """

    def __init__(
        self,
        file: OpenFile,
        log: ConnectionLog,
        pieces: Iterable[bytes | Part] | None = None,
        start: int = 0,
    ) -> None:
        """`start` is where the body starts in the file; pieces count from there."""
        self.file = file
        self.start = start
        self._log = log
        self._pieces = deque(((0, self.size),) if pieces is None else pieces)

    @property
    def size(self) -> int:
        """Length of the complete body in bytes."""
        return self.file.size - self.start

    def of(self, pieces: Iterable[bytes | Part]) -> FileBody:
        """A body of the same file made of these pieces."""
        return FileBody(self.file, self._log, pieces, self.start)

    async def read(self) -> bytes:
        """The next bytes, b"" at the end. Raises `BodyReadError` if the file became shorter."""
        while self._pieces:
            piece = self._pieces.popleft()
            if isinstance(piece, bytes):
                return piece
            start, end = piece
            if start < end:
                data = self._read(start, min(end - start, BLOCK))
                self._pieces.appendleft((start + len(data), end))
                return data
        return b""

    def discard(self) -> None:
        self.file.close()

    def _read(self, start: int, size: int) -> bytes:
        try:
            data = read_at(self.file.descriptor, size, self.start + start)
        except OSError as error:
            self._log.write(Level.CRIT, syscall_error(f'pread() "{self.file.name}" failed', error))
            raise BodyReadError from None
        if len(data) < size:
            text = f'pread() read only {len(data)} of {size} from "{self.file.name}"'
            self._log.write(Level.ALERT, text)
            raise BodyReadError
        return data
