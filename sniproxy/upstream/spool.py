"""Read ahead of a slow client: in memory, then in a temporary file (nginx's `ngx_event_pipe_t`).

Without it a slow client would slow the upstream down, which may give up. A body is read ahead from
the moment at which sending to the client blocks, or is limited, in a task of its own. Until then it
is read directly.
"""

from __future__ import annotations

import os
import tempfile
from collections import deque
from dataclasses import dataclass
from typing import IO

import trio

from ..logs.error import ConnectionLog
from ..models import BodyReader, BodyReadError, Level
from ..system import read_at, write_at

BLOCK = 65536
"""Bytes read from a file at once."""


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """How much of a response is held."""

    memory: int
    """Bytes in memory (`proxy_buffers`)."""
    file: int
    """Bytes in a temporary file (`proxy_max_temp_file_size`); 0 means that there is none."""
    folder: str | None
    """Folder of temporary files (`proxy_temp_path`); None for the system's."""


class SpooledBody:
    """A response body that is read ahead of the client."""

    def __init__(
        self, body: BodyReader, limits: SpoolLimits, prefix: str, log: ConnectionLog
    ) -> None:
        """The folder of `limits` is relative to `prefix`."""
        self._body = body
        self._limits = limits
        self._prefix = prefix
        self._log = log
        self._scope: trio.CancelScope | None = None
        """Of the task that reads ahead; None if there is none yet."""
        self._pieces: deque[bytes] = deque()
        self._held = 0
        """Length of the pieces."""
        self._file: IO[bytes] | None = None
        self._may_write = limits.file > 0
        self._file_start = self._file_end = 0
        """Offsets in the file of what was not read yet; it follows the pieces."""
        self._changed = trio.Event()
        self._error: Exception | None = None
        self._has_ended = False

    def read_ahead(self) -> None:
        """Start to read ahead, unless that was done before."""
        if self._scope is None:
            self._scope = trio.CancelScope()
            trio.lowlevel.spawn_system_task(self._fill, self._scope)

    async def read(self) -> bytes:
        """The next piece, b"" at the end; raises `BodyReadError` if it is cut short."""
        if self._scope is None:
            return await self._body.read()
        while not self._pieces and self._file_start == self._file_end:
            if self._has_ended:
                if self._error is not None:
                    raise self._error
                return b""
            await self._wait()
        if self._pieces:
            piece = self._pieces.popleft()
            self._held -= len(piece)
        else:
            piece = self._read_file()
        self._notify()
        return piece

    def discard(self) -> None:
        """Stop reading ahead, and release the body."""
        if self._scope is not None:
            self._scope.cancel()
        self._body.discard()
        if self._file is not None:
            self._file.close()
        self._pieces.clear()

    async def _fill(self, scope: trio.CancelScope) -> None:
        with scope:
            try:
                while True:
                    while not self._has_room():
                        await self._wait()
                    piece = await self._body.read()
                    if not piece:
                        break
                    self._store(piece)
                    self._notify()
            except (BodyReadError, trio.ClosedResourceError) as error:
                self._error = error
            self._has_ended = True
            self._notify()

    async def _wait(self) -> None:
        """Wait until the other task has read or stored something."""
        await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def _has_room(self) -> bool:
        if self._file_start == self._file_end and self._held < self._limits.memory:
            return True
        return self._may_write and self._file_end < self._limits.file

    def _store(self, piece: bytes) -> None:
        in_file = self._file_start < self._file_end
        if not in_file and (self._held < self._limits.memory or not self._may_write):
            self._pieces.append(piece)
            self._held += len(piece)
            return
        try:
            if self._file is None:
                self._file = self._make_file()
            written = 0
            while written < len(piece):
                rest = memoryview(piece)[written:]
                written += write_at(self._file.fileno(), rest, self._file_end + written)
            self._file_end += len(piece)
        except OSError as error:
            # Without a file the client slows the upstream down.
            self._may_write = False
            self._log.write(
                Level.CRIT, f"pwrite() to a temporary file failed ({error.errno}: {error.strerror})"
            )
            self._unwritten(piece)

    def _unwritten(self, piece: bytes) -> None:
        """Hold a piece that could not be written, behind those in the file."""
        while self._file_start < self._file_end:
            rest = self._read_file()
            self._pieces.append(rest)
            self._held += len(rest)
        self._pieces.append(piece)
        self._held += len(piece)

    def _make_file(self) -> IO[bytes]:
        folder = self._limits.folder
        if folder is not None:
            folder = os.path.join(self._prefix, folder)
            os.makedirs(folder, mode=0o700, exist_ok=True)
        file = tempfile.NamedTemporaryFile(prefix="proxy_", dir=folder)  # noqa: SIM115
        action, self._log.action = self._log.action, "reading upstream"
        self._log.write(
            Level.WARN, f"an upstream response is buffered to a temporary file {file.name}"
        )
        self._log.action = action
        return file

    def _read_file(self) -> bytes:
        assert self._file is not None
        size = min(BLOCK, self._file_end - self._file_start)
        piece = read_at(self._file.fileno(), size, self._file_start)
        self._file_start += len(piece)
        if self._file_start == self._file_end:
            self._file_start = self._file_end = 0
        return piece
