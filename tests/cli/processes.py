"""Either program as a process that serves, for tests that send it signals."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sniproxy.testing.upstreams import reserve_port
from tests.programs import Command

PATIENCE = 60.0
"""Seconds. Nothing takes so long unless it is broken, even if the machine has other work."""

HEAD = "pid run.pid; user root; worker_processes 1; error_log error.log info; events {}"


@dataclass(frozen=True, slots=True)
class Served:
    """A program that serves the folder's nginx.conf."""

    process: subprocess.Popen[bytes]
    folder: Path
    port: int

    @property
    def pid_file(self) -> Path:
        return self.folder / "run.pid"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def refuses(self) -> bool:
        """Whether nobody listens any more."""
        try:
            with self.connect():
                return False
        except ConnectionResetError:
            return False  # it was in the queue when the queue was closed
        except ConnectionRefusedError:
            return True

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and the exit status that it leads to.

        Again after a while: nginx sleeps over one that comes while it starts.
        """
        for _ in range(int(PATIENCE)):
            self.send(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.process.wait(1.0)
        raise AssertionError(f"it does not end by {number.name}")

    def read(self, name: str) -> str:
        return (self.folder / name).read_text("latin-1")


@contextlib.contextmanager
def served(
    program: Command,
    folder: Path,
    configuration: str,
    *words: str,
    stdout: IO[bytes] | None = None,
) -> Iterator[Served]:
    """`PORT` in the configuration is a free port. It has started once its pid file is there."""
    with reserve_port() as reserved:
        port = reserved.getsockname()[1]
        (folder / "nginx.conf").write_text(configuration.replace("PORT", str(port)))
        command = [*program.command, "-p", f"{folder}/", "-c", "nginx.conf", *words]
        with (folder / "stderr.log").open("wb") as stderr:
            process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
            )
        state = Served(process, folder, port)
        try:
            wait_until(lambda: has_started(state))
            yield state
        finally:
            process.kill()
            process.wait()


def has_started(state: Served) -> bool:
    if state.process.poll() is not None:
        raise AssertionError(f"it ended: {state.read('stderr.log')}")
    return state.pid_file.exists() and state.read("run.pid").endswith("\n")


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it does not come about")
        time.sleep(0.005)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def everything(client: socket.socket) -> bytes:
    """What comes until the other side closes."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while data := client.recv(65536):
            received += data
    return received


def ask(client: socket.socket, path: str = "/", connection: str = "keep-alive") -> None:
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: {connection}\r\n\r\n".encode())
