"""The programs that are measured: how they start, what they cost while they run."""

from __future__ import annotations

import contextlib
import ctypes
import enum
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.cases import Case, nginx_conf
from benchmarks.wire import CIPHER, connect

START_SECONDS = 20
STOP_SECONDS = 5
TICK = 0.001

ERROR_LOG = "error.log"
NO_COMPLAINT = "live page: "
"""How the line of `--live` begins."""
STDERR = "stderr"


class ProgramError(Exception):
    """A program that does not start or dies; the text says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a program runs for one turn: a directory of its own, the port to listen on, the port of
    the origin, and the directory of the certificates."""

    directory: Path
    port: int
    origin_port: int
    certificates: Path


class Family(enum.Enum):
    OURS = "sniproxy"
    NGINX = "nginx"
    PEER = "peer"


@dataclass(frozen=True, slots=True)
class Program:
    """Something that is measured.

    `prepare` writes its configuration for a case and gives its command line. `cannot` has the
    letters of cases that it cannot do, and why; `cipher` is what it takes of what a client offers.
    """

    name: str
    openssl: str
    family: Family
    prepare: Callable[[Case, Place], Sequence[str]]
    cannot: Mapping[str, str] = field(default_factory=dict)
    cipher: str = CIPHER
    heavy: bool = False
    """Whether it is to be `LIGHTER` times dearer than sniproxy."""
    beside: Callable[[Place], contextlib.AbstractContextManager[object]] | None = None
    """A context that is entered when the program takes connections, and left after measuring."""


def nginx_like(
    argv: Sequence[str], own: Sequence[str] = ()
) -> Callable[[Case, Place], Sequence[str]]:
    """For what takes nginx's command line and configuration; `own` are directives of the http level
    that it needs to work under the same conditions as the others."""

    def prepare(case: Case, place: Place) -> Sequence[str]:
        file = place.directory / "nginx.conf"
        file.write_text(nginx_conf(case, place.port, place.origin_port, place.certificates))
        (place.directory / "own.conf").write_text("\n".join(own))
        options = ("-p", f"{place.directory}/", "-c", str(file))
        return [*argv, *options, "-e", str(place.directory / ERROR_LOG)]

    return prepare


@dataclass(frozen=True, slots=True)
class Running:
    """A program that takes connections."""

    _program: Program
    _process: subprocess.Popen[bytes]
    _directory: Path

    @property
    def is_ours(self) -> bool:
        return self._program.family is Family.OURS

    @property
    def cipher(self) -> str:
        return self._program.cipher

    def cpu_seconds(self) -> float:
        """User and system time of all its processes so far."""
        return sum(_cpu_seconds(pid) for pid in self._family())

    def memory_kib(self) -> float:
        """Proportional set size of all its processes."""
        return sum(_memory_kib(pid) for pid in self._family())

    def complaint(self) -> str | None:
        """The first line of its error log or standard error, None while both are empty. Peers say
        much there that is no complaint."""
        return None if self._program.family is Family.PEER else _first_line(self._directory)

    def _family(self) -> list[int]:
        if self._process.poll() is not None:
            raise ProgramError(_why_ended(self._process.returncode, self._directory))
        return _family(self._process.pid)


@contextlib.contextmanager
def running(
    program: Program, case: Case, place: Place, start_seconds: float = START_SECONDS
) -> Iterator[Running]:
    """Starts `program` in the directory, which it makes, and waits until the port takes
    connections; stops it.

    Raises `Broken`.
    """
    place.directory.mkdir()
    argv = program.prepare(case, place)
    with (place.directory / STDERR).open("wb") as stderr:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            start_new_session=True,
        )
    try:
        _wait_until_open(process, place.directory, place.port, start_seconds)
        with contextlib.nullcontext() if program.beside is None else program.beside(place):
            yield Running(program, process, place.directory)
    finally:
        _stop(process)


def _wait_until_open(
    process: subprocess.Popen[bytes], directory: Path, port: int, seconds: float
) -> None:
    end = time.perf_counter() + seconds
    while True:
        try:
            connect(port).close()
            return
        except ConnectionRefusedError:
            if process.poll() is not None:
                raise ProgramError(_why_ended(process.returncode, directory)) from None
            if time.perf_counter() > end:
                raise ProgramError(f"not listening after {seconds:g} seconds") from None
            time.sleep(TICK)


def _stop(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _why_ended(status: int, directory: Path) -> str:
    return f"ended with status {status}: {_first_line(directory) or 'without a word'}"


def _first_line(directory: Path) -> str | None:
    for name in (ERROR_LOG, STDERR):
        file = directory / name
        text = file.read_text("latin-1").strip() if file.exists() else ""
        lines = [line for line in text.splitlines() if not line.lstrip().startswith(NO_COMPLAINT)]
        if lines:
            # A traceback's reason is at its end.
            return lines[-1] if lines[0].startswith("Traceback") else lines[0]
    return None


def _family(pid: int) -> list[int]:
    """`pid` and all its descendants."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for thread in threads for child in thread.read_text().split()]
    return [pid, *(member for child in children for member in _family(child))]


def cpu_seconds_of_family(pid: int) -> float:
    """User and system time so far of a process and all its descendants."""
    return sum(_cpu_seconds(member) for member in _family(pid))


_libc = ctypes.CDLL(None)


def _cpu_seconds(pid: int) -> float:
    """By the process's CPU clock: to the nanosecond, with threads that have ended."""
    clock = ctypes.c_int()
    if _libc.clock_getcpuclockid(pid, ctypes.byref(clock)):
        raise ProgramError(f"process {pid} has ended")
    return time.clock_gettime(clock.value)


def _memory_kib(pid: int) -> float:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    assert found is not None
    return float(found[1])
