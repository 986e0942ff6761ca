"""The file that holds the process ID while a configuration is served (directive `pid`)."""

from __future__ import annotations

import contextlib
import os
from types import TracebackType
from typing import IO

from .models import ConfigError
from .system import O_BINARY

OLD = ".oldbin"
"""What the name gets while another program is being started in place of this one."""


def _open_for_both(path: str, flags: int) -> int:
    return os.open(path, flags & ~os.O_WRONLY | os.O_RDWR | O_BINARY, 0o644)


class PidFile:
    """A file with our process ID; as a context, it exists while the block runs."""

    def __init__(self, path: str) -> None:
        self.path = path

    def check(self) -> None:
        """Raise `ConfigError` if the file could not be written; for `-t`."""
        existed = os.path.exists(self.path)
        with self._open("a"):
            pass
        if not existed:
            os.unlink(self.path)

    def write(self) -> None:
        """Raises `ConfigError`."""
        with self._open("w") as file:
            file.write(f"{os.getpid()}\n")

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self.path)

    def rename(self, path: str) -> None:
        """Take another name; raises `OSError`."""
        os.rename(self.path, path)
        self.path = path

    def replace(self, path: str) -> None:
        """Move to the path of a new configuration; raises `ConfigError`."""
        if path != self.path:
            moved = PidFile(path)
            moved.write()
            self.remove()
            self.path = path

    def __enter__(self) -> PidFile:
        """Raises `ConfigError`."""
        self.write()
        return self

    def _open(self, mode: str) -> IO[str]:
        try:
            # O_RDWR, as in nginx: opening a pipe to write only would wait for a reader.
            return open(self.path, mode, encoding="ascii", opener=_open_for_both)
        except OSError as error:
            raise ConfigError(f'open() "{self.path}" failed', errno=error.errno) from None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()
