"""Destinations of log lines: files opened for appending, and standard error."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Collection
from typing import Protocol

from ..models import ConfigError
from ..system import O_BINARY, O_CLOEXEC, O_NOFOLLOW, O_NONBLOCK


class Sink(Protocol):
    """Accepts complete lines."""

    def write(self, line: str) -> None: ...


class FileSink:
    """A file opened for appending; every line is written by one system call."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor = self._open()

    def _open(self) -> int:
        try:
            return self._descriptor_of(
                os.O_WRONLY | os.O_APPEND | os.O_CREAT | O_CLOEXEC | O_BINARY
            )
        except OSError as error:
            raise ConfigError(f'open() "{self.path}" failed', errno=error.errno) from None

    def _descriptor_of(self, flags: int) -> int:
        """Open the file; raises `OSError`."""
        return os.open(self.path, flags, 0o644)

    def write(self, line: str) -> None:
        self.write_bytes(line.encode("latin-1", "replace"))

    def write_bytes(self, data: bytes) -> None:
        """Write bytes unchanged."""
        # nginx ignores errors too, such as a full disk.
        with contextlib.suppress(OSError):
            os.write(self._descriptor, data)

    def reopen(self) -> None:
        """Open the path again after the log file was renamed (SIGUSR1)."""
        fresh = self._open()
        os.dup2(fresh, self._descriptor, inheritable=False)
        os.close(fresh)

    def redirect_fd(self, descriptor: int) -> None:
        """Redirect `descriptor` to the file."""
        os.dup2(self._descriptor, descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


class SecretFileSink(FileSink):
    """A file of secrets: a regular one, that its owner alone may read.

    `owners` are the users that may own it: those whom this process trusts with the secrets.
    """

    def __init__(self, path: str, owners: Collection[int]) -> None:
        self._owners = owners
        super().__init__(path)

    def _descriptor_of(self, flags: int) -> int:
        # O_NONBLOCK, since opening a pipe would wait for a reader.
        descriptor = os.open(self.path, flags | O_NOFOLLOW | O_NONBLOCK, 0o600)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            if found.st_uid not in self._owners:
                raise OSError(errno.EPERM, "the file of another user")
            if sys.platform != "win32" and found.st_mode & 0o077:
                os.fchmod(descriptor, 0o600)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


class StderrSink:
    """Standard error, looked up whenever a line is written."""

    def write(self, line: str) -> None:
        # The text layer could split a line, interleaving it with those of other processes.
        try:
            sys.stderr.buffer.write(line.encode("latin-1", "replace"))
            sys.stderr.buffer.flush()
        except (OSError, ValueError):
            pass
        except AttributeError:
            sys.stderr.write(line)


class Flushable(Protocol):
    """A sink that buffers lines or holds a socket."""

    def flush(self) -> None:
        """Write buffered lines."""
        ...

    def close(self) -> None:
        """Release resources."""
        ...


class Sinks:
    """All sinks of a running configuration, one per path."""

    silent = False
    """Whether nothing is written, to no log of any kind."""

    def __init__(self) -> None:
        self.stderr: Sink = StderrSink()
        self._files: dict[str, FileSink] = {}
        self.flushables: list[Flushable] = []
        """Sinks to flush before files are reopened or closed."""

    def file(self, path: str) -> FileSink:
        """The sink for an absolute path. Raises `ConfigError` if it cannot be opened."""
        if path not in self._files:
            self._files[path] = FileSink(path)
        return self._files[path]

    def secret_file(self, path: str, owners: Collection[int]) -> FileSink:
        """The sink for secrets, see `SecretFileSink`. Raises `ConfigError` if it is refused."""
        if not isinstance(self._files.get(path), SecretFileSink):
            if path in self._files:
                raise ConfigError(f'"{path}" is a log, and cannot be a file of secrets too')
            self._files[path] = SecretFileSink(path, owners)
        return self._files[path]

    @property
    def paths(self) -> tuple[str, ...]:
        """Those of all files."""
        return tuple(self._files)

    def reopen(self) -> list[ConfigError]:
        """Open all files again; returns what failed. A file that fails is written to further."""
        self.flush()
        failures = []
        for sink in self._files.values():
            try:
                sink.reopen()
            except ConfigError as error:
                failures.append(error)
        return failures

    def flush(self) -> None:
        """Write all buffered lines."""
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
    """Discards everything; opens no files."""

    silent = True

    def __init__(self) -> None:
        super().__init__()
        self.stderr = self.file("")

    def file(self, path: str) -> FileSink:
        return super().file(os.devnull)

    def secret_file(self, path: str, owners: Collection[int]) -> FileSink:
        return super().file(os.devnull)
