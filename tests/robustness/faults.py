"""Faults of the machine, made by a test: no descriptors, no space, a signal to stop, CPU time.

They are given to either program as a process, so that the same test shows what nginx does.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.cli.processes import Served, ask, everything, wait_until
from tests.nginx import NGINX
from tests.programs import SNIPROXY, Command

ALONE = ("-g", "daemon off; master_process off;")
"""One process, whose limits can be changed while it runs."""

HEAD = "pid run.pid; error_log error.log info; events {} "

both = pytest.mark.parametrize(
    "program",
    [SNIPROXY, pytest.param(NGINX, marks=pytest.mark.nginx)],
    ids=lambda program: program.name,
)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

_TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """The CPU time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def descriptors(pid: int) -> list[int]:
    return sorted(int(name) for name in os.listdir(f"/proc/{pid}/fd"))


@contextlib.contextmanager
def without_descriptors(pid: int, left: int = 0) -> Iterator[None]:
    """The process can open no file and no socket, or `left` of them, until the block ends."""
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    taken = set(descriptors(pid))
    free = [number for number in range(len(taken) + left + 1) if number not in taken]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free[left], limits[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A file system of a few hundred KiB."""

    folder: Path

    def fill(self) -> None:
        """Leave no byte free."""
        with (
            (self.folder / "filler").open("ab", buffering=0) as file,
            contextlib.suppress(OSError),
        ):
            while True:
                file.write(b"a" * 4096)

    def free(self) -> None:
        (self.folder / "filler").unlink()


@contextlib.contextmanager
def small_disk(folder: Path, kibibytes: int = 256) -> Iterator[SmallDisk]:
    """Mount a file system at `folder`; skips the test where that is not allowed."""
    folder.mkdir()
    size = f"size={kibibytes}k,mode=777"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs: {mounted.stderr.decode()}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@dataclass(slots=True)
class Visit:
    """Requests to a program, and what they came to."""

    process: Served
    statuses: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def get(self, path: str, body: bytes = b"") -> int:
        """Ask on a new connection; 0 if it is closed without a response."""
        with self.process.connect() as client:
            if body:
                head = f"POST {path} HTTP/1.0\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
                with contextlib.suppress(ConnectionError):
                    client.sendall(head.encode() + body)
            else:
                ask(client, path, connection="close")
            answer = everything(client)
        status = int(answer[9:12]) if answer.startswith(b"HTTP/") else 0
        self.statuses.append(status)
        self.bodies.append(answer.partition(b"\r\n\r\n")[2])
        return status

    def lines(self, word: str = "failed") -> list[str]:
        """The messages of the error log with `word`, without what differs between programs."""
        return messages(self.process, word)


def messages(process: Served, word: str) -> list[str]:
    found = []
    for line in process.read("error.log").splitlines():
        if word not in line:
            continue
        line = re.sub(r"^[\d/]+ [\d:]+ (\[\w+\]) \d+#\d+: (\*\d+ )?", r"\1 ", line)
        line = line.replace(f"{process.folder}/", "").replace(str(process.port), "PORT")
        line = re.sub(r"\((\d+): [^()]*\)", r"(\1: …)", line)
        found.append(re.sub(r"\b\d{10}\b", "NUMBER", line))
    return found


def is_well(process: Served, path: str = "/") -> None:
    """It serves as ever, and logged no bug of its own."""
    visit = Visit(process)
    wait_until(lambda: visit.get(path) == 200)
    for name in ("error.log", "stderr.log"):
        text = process.read(name)
        assert "internal error" not in text, text
        assert "Traceback" not in text, text


@contextlib.contextmanager
def little_cpu(pid: int, most: float = 0.3) -> Iterator[None]:
    """Whatever happens in the block takes at most this CPU time, in seconds."""
    before = cpu_seconds(pid)
    yield
    assert cpu_seconds(pid) - before <= most


def pause(seconds: float) -> None:
    """Let a process go wrong for a while: it is its CPU time that is measured."""
    time.sleep(seconds)


def limited(program: Command, *limits: str) -> Command:
    """A program that runs under `ulimit`."""
    shell = "; ".join(f"ulimit {limit}" for limit in limits)
    return Command(program.name, ("sh", "-c", f'{shell}; exec "$@"', "sh", *program.command))


@contextlib.contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """An upstream that answers each connection by a thread with `answer`; its port."""

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listening.accept()[0],)).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=accept)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


@contextlib.contextmanager
def serving_bytes(data: bytes) -> Iterator[int]:
    """An upstream that sends the same to everybody, and closes; its port."""

    def send(sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            sock.recv(65536)
            sock.sendall(data)

    with serving(send) as port:
        yield port
