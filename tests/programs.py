"""What serves a configuration: sniproxy in this process, or a command in one of its own.

All tests that look at an answer, a log or an upstream have it from here, whichever program it is:

    async with program.serving(prefix, file):
        ...

What is told by the process alone (command line, pid file, signals, exit status) is asked of it in
`tests.cli`.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import trio

import sniproxy

PID = "nginx.pid"
"""What `pid` says in every configuration that a command serves."""


class ProgramEndedError(Exception):
    """The program did not start, or ended by itself; the text is what it said."""


class Program(Protocol):
    """A program that serves nginx configurations."""

    @property
    def name(self) -> str: ...

    def serving(self, prefix: Path, file: Path) -> AbstractAsyncContextManager[None]:
        """Serve `file` while the block runs, from the moment that connections are taken.

        Names of logs are relative to `prefix`. Raises Ended.
        """


@dataclass(frozen=True, slots=True)
class InProcess:
    """sniproxy by `sniproxy.serve`, in the trio program that asks for it."""

    directives: str = ""
    """Of the main level, before those of the file."""
    name: str = "sniproxy"

    @contextlib.asynccontextmanager
    async def serving(self, prefix: Path, file: Path) -> AsyncIterator[None]:
        serve = sniproxy.serve(file, directives=self.directives, prefix=prefix)
        async with contextlib.AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(serve)
            except sniproxy.ConfigError as error:
                raise ProgramEndedError(f"{self.name}: [{error.level.label}] {error}") from None
            yield


@dataclass(frozen=True, slots=True)
class Command:
    """A process that understands `-p DIR -c FILE -e FILE -g DIRECTIVES`."""

    name: str
    command: tuple[str, ...]

    @contextlib.asynccontextmanager
    async def serving(self, prefix: Path, file: Path) -> AsyncIterator[None]:
        """Its stderr and its early log go to `stderr.log` and `early.log` in `prefix`."""
        command = [
            *self.command,
            *("-p", str(prefix), "-c", str(file), "-e", str(prefix / "early.log")),
            *("-g", "daemon off; master_process off;"),
        ]
        stderr = prefix / "stderr.log"
        with stderr.open("wb") as sink:
            process = await trio.lowlevel.open_process(
                command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink
            )
        try:
            while process.poll() is None and not has_line(prefix / PID):
                await trio.sleep(0.005)
            if process.poll() is None:
                yield
            if (status := process.poll()) is not None:
                output = stderr.read_text(errors="replace")
                raise ProgramEndedError(f"{self.name} ended with exit status {status}\n{output}")
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()


def has_line(file: Path) -> bool:
    return file.exists() and file.read_bytes().endswith(b"\n")


OURS = InProcess()
SNIPROXY = Command("sniproxy", (sys.executable, "-m", "sniproxy"))
