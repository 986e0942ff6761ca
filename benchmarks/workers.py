"""`python -m benchmarks.workers`: full handshakes a second of two workers, and of one.

The key is RSA with 8192 bits: the load generator shares the machine, and must be cheap beside what
it measures. Its processes are pinned to the last core, those of the proxies are not; how many cores
these take is printed. Exit code 1 if two workers of sniproxy's are below 1.6 times one, on a
machine of two cores or more.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from benchmarks.cases import Mode
from benchmarks.certificates import write_certificate
from benchmarks.load import Generator, Task, running_generator
from benchmarks.programs import cpu_seconds_of_family
from benchmarks.reload import PROGRAMS
from benchmarks.wire import CIPHER, GROUP, HOST, PROTOCOL, answer, connect

WANTED = 1.6
KEY_BITS = 8192
CLIENTS = 8
SIZE = 16
TURNS = 5
WINDOW = 3.0
START_SECONDS = 20.0

CONFIGURATION = """\
daemon off;
master_process on;
worker_processes {workers};
user root;
pid run.pid;
error_log error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    server {{
        listen {host}:{port} ssl;
        ssl_certificate {folder}/rsa.crt;
        ssl_certificate_key {folder}/rsa.key;
        ssl_protocols {protocol};
        ssl_ecdh_curve {group};
        return 200 "{answer}";
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Turn:
    """One window of load."""

    rate: float
    """Handshakes a second."""
    share: float
    """Cores that the proxy has taken."""


@contextlib.contextmanager
def serving(command: Sequence[str], workers: int, folder: Path) -> Iterator[tuple[int, int]]:
    """The port and the process ID of a program."""
    with socket.create_server((HOST, 0)) as probe:
        port = probe.getsockname()[1]
    text = CONFIGURATION.format(
        workers=workers,
        host=HOST,
        port=port,
        folder=folder,
        protocol=PROTOCOL,
        group=GROUP,
        answer=answer(SIZE).decode(),
    )
    (folder / "nginx.conf").write_text(text)
    process = subprocess.Popen(
        [*command, "-p", f"{folder}/", "-c", "nginx.conf"], stdin=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                connect(port).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("it does not start") from None
                time.sleep(0.01)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def measure(
    command: Sequence[str], workers: int, folder: Path, generator: Generator, window: float
) -> Turn:
    with serving(command, workers, folder) as (port, pid):
        before = 0.0

        def look() -> None:
            nonlocal before
            before = cpu_seconds_of_family(pid)

        task = Task(CLIENTS, port, Mode.FULL, SIZE, 0.3, window, CIPHER)
        tally, seconds = generator.run(task, look)
        if tally.failure is not None:
            raise SystemExit(f"a handshake failed: {tally.failure}")
        return Turn(tally.full / seconds, (cpu_seconds_of_family(pid) - before) / seconds)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.workers", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--window", type=float, default=WINDOW, help="seconds of a turn")
    options = parser.parse_args(argv)
    cores = sorted(os.sched_getaffinity(0))
    status = 0
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        write_certificate(
            folder, "rsa", rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        )
        os.sched_setaffinity(0, cores[-1:])  # inherited by the generator
        generator = stack.enter_context(running_generator(CLIENTS))
        os.sched_setaffinity(0, cores)
        print(
            f"{len(cores)} cores; {CLIENTS} clients pinned to core {cores[-1]}; "
            f"TLS 1.3, RSA {KEY_BITS}; median of {options.turns} turns of {options.window:g} s"
        )
        for program, command in PROGRAMS.items():
            turns: dict[int, list[Turn]] = {1: [], 2: []}
            for _ in range(options.turns):
                for workers, found in turns.items():
                    found.append(measure(command, workers, folder, generator, options.window))
            rates = {}
            for workers, found in turns.items():
                rates[workers] = statistics.median(turn.rate for turn in found)
                share = statistics.median(turn.share for turn in found)
                print(
                    f"{program:9} {workers} worker{'s' * (workers > 1):1} "
                    f"{rates[workers]:7.1f} handshakes/s on {share:.2f} cores"
                )
            scale = rates[2] / rates[1]
            print(f"{program:9} 2 workers are {scale:.2f} times one")
            if program == "sniproxy" and scale < WANTED and len(cores) > 1:
                print(f"wanted are {WANTED} times")
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
