"""`python -m benchmarks.request_limits`: what `limit_req` takes and refuses under load.

Requests come at a fixed rate, far above the limit, to one and to two workers of both programs.
Exit code 1 if the numbers differ by more than 3 % from nginx's. `--wrk` lets wrk ask as fast as it
can instead; then only the numbers of requests taken are compared.
"""

from __future__ import annotations

import argparse
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.reload import PROGRAMS
from benchmarks.wire import HOST

TOLERANCE = 0.03
SECONDS = 5.0
REQUESTS_PER_SECOND = 800
CONNECTIONS = 4
START_SECONDS = 20.0

CONFIGURATION = """\
daemon off; master_process on; worker_processes {workers}; user root;
pid run.pid; error_log error.log crit;
events {{ }}
http {{
    access_log off;
    keepalive_requests 1000000;
    limit_req_zone $binary_remote_addr zone=z:1m rate=100r/s;
    server {{
        listen {host}:{port};
        location / {{ limit_req zone=z burst=20 nodelay; try_files /none /page; }}
        location = /page {{ }}
    }}
}}
"""


def count(port: int, seconds: float, statuses: Counter[bytes]) -> None:
    """Ask on one connection at a fixed rate."""
    interval = CONNECTIONS / REQUESTS_PER_SECOND
    began = time.monotonic()
    with socket.create_connection((HOST, port)) as client:
        client.settimeout(START_SECONDS)
        for number in range(int(seconds / interval)):
            time.sleep(max(began + number * interval - time.monotonic(), 0))
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            statuses[read_status(client)] += 1


def read_status(client: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += client.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    found = re.search(rb"Content-Length: (\d+)", head)
    left = int(found[1]) - len(body) if found else 0
    while left > 0:
        left -= len(client.recv(left))
    return head[9:12]


def at_a_fixed_rate(port: int, seconds: float) -> tuple[int, int]:
    """Numbers of requests taken and refused."""
    statuses: Counter[bytes] = Counter()
    threads = [
        threading.Thread(target=count, args=(port, seconds, statuses)) for _ in range(CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses[b"200"], statuses[b"503"]


def by_wrk(port: int, seconds: float) -> tuple[int, int]:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", f"http://{HOST}:{port}/"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    total = re.search(r"(\d+) requests in", output)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    assert total is not None
    return int(total[1]) - int(refused[1] if refused else 0), int(refused[1] if refused else 0)


def measure(command: Sequence[str], workers: int, seconds: float, *, wrk: bool) -> tuple[int, int]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "html").mkdir()
        (folder / "html" / "page").write_text("page\n")
        with socket.create_server((HOST, 0)) as probe:
            port = probe.getsockname()[1]
        text = CONFIGURATION.format(workers=workers, host=HOST, port=port)
        (folder / "nginx.conf").write_text(text)
        process = subprocess.Popen(
            [*command, "-p", f"{folder}/", "-c", "nginx.conf"], stdin=subprocess.DEVNULL
        )
        try:
            deadline = time.monotonic() + START_SECONDS
            while time.monotonic() < deadline:
                try:
                    socket.create_connection((HOST, port)).close()
                    break
                except OSError:
                    time.sleep(0.01)
            return by_wrk(port, seconds) if wrk else at_a_fixed_rate(port, seconds)
        finally:
            process.terminate()
            process.wait(START_SECONDS)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.request_limits", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--wrk", action="store_true", help="load by wrk, as fast as it can")
    options = parser.parse_args(argv)
    status = 0
    for workers in (1, 2):
        numbers = {
            name: measure(command, workers, options.seconds, wrk=options.wrk)
            for name, command in PROGRAMS.items()
        }
        for name, (taken, refused) in numbers.items():
            print(
                f"{name:9} {workers} worker{'s' * (workers > 1):1} {taken} taken, {refused} refused"
            )
        compared = list(zip(numbers["sniproxy"], numbers["nginx"], strict=True))
        for ours, theirs in compared[:1] if options.wrk else compared:
            if abs(ours - theirs) > theirs * TOLERANCE:
                print(f"{ours} is not within {TOLERANCE:.0%} of {theirs}")
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
