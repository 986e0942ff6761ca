"""Where lines end up: files opened for appending, and standard error."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Protocol

from ..message import ConfigError


class Sink(Protocol):
    """Takes whole lines."""

    def write(self, line: str) -> None: ...


class FileSink:
    """A file opened for appending; every line is one write."""

    def __init__(self, path: str, mode: int = 0o644) -> None:
        self.path = path
        self._mode = mode
        self._descriptor = self._open()

    def _open(self) -> int:
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            return os.open(self.path, flags, self._mode)
        except OSError as error:
            raise ConfigError(f'open() "{self.path}" failed', errno=error.errno) from None

    def write(self, line: str) -> None:
        self.write_bytes(line.encode("latin-1", "replace"))

    def write_bytes(self, data: bytes) -> None:
        """Write bytes as they are."""
        # nginx too drops a line that does not fit on the disk.
        with contextlib.suppress(OSError):
            os.write(self._descriptor, data)

    def reopen(self) -> None:
        """Open the path again, for a log that was moved away (`USR1`)."""
        fresh = self._open()
        os.dup2(fresh, self._descriptor, inheritable=False)
        os.close(fresh)

    def redirect_fd(self, descriptor: int) -> None:
        """Let the file have what is written to `descriptor`."""
        os.dup2(self._descriptor, descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


class StderrSink:
    """Standard error, as it is when the line is written."""

    def write(self, line: str) -> None:
        # The text layer would write a line in pieces between those of other processes.
        try:
            sys.stderr.buffer.write(line.encode("latin-1", "replace"))
            sys.stderr.buffer.flush()
        except (OSError, ValueError):
            pass
        except AttributeError:
            sys.stderr.write(line)


class Flushable(Protocol):
    """What lies between lines and a file, or leads elsewhere."""

    def flush(self) -> None:
        """Write what is kept back."""
        ...

    def close(self) -> None:
        """Be done with it."""
        ...


class Sinks:
    """Every sink of one running configuration, one a path."""

    def __init__(self) -> None:
        self.stderr: Sink = StderrSink()
        self._files: dict[str, FileSink] = {}
        self.flushables: list[Flushable] = []
        """What is to be flushed before files are opened again or closed."""

    def file(self, path: str, mode: int = 0o644) -> FileSink:
        """The sink of an absolute path; raises `ConfigError` in nginx's words."""
        if path not in self._files:
            self._files[path] = FileSink(path, mode)
        return self._files[path]

    def reopen(self) -> None:
        self.flush()
        for sink in self._files.values():
            sink.reopen()

    def flush(self) -> None:
        """Write what is kept back."""
        for held in self.flushables:
            held.flush()

    def close(self) -> None:
        self.flush()
        for held in self.flushables:
            held.close()
        self.flushables.clear()
        for sink in self._files.values():
            sink.close()
        self._files.clear()


class NullSinks(Sinks):
    """All that is written goes nowhere, and no file is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.stderr = self.file("")

    def file(self, path: str, mode: int = 0o644) -> FileSink:
        return super().file(os.devnull)
