"""`python -m benchmarks.explain`: how many lines of an error log `explain` reads in a second of
one core's CPU time; exit code 1 below the aim.

A log is made up (the same one each time), written to a file, and read as the command reads it.
Several kinds, since a log that repeats itself is the easy case.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sniproxy.cli.explain import read_lines
from sniproxy.explain import ErrorGroups

AIM = 50_000
"""Lines a second."""

SSL = "SSL_do_handshake() failed (SSL: error:"
MESSAGES = (
    f"{SSL}1408F10B:SSL routines:ssl3_get_record:wrong version number) "
    "while SSL handshaking to upstream",
    f"{SSL}0A000458:SSL routines::tlsv1 unrecognized name:SSL alert number 112) "
    "while SSL handshaking to upstream",
    "upstream SSL certificate verify error: (20:unable to get local issuer certificate) "
    "while SSL handshaking to upstream",
    'upstream SSL certificate does not match "backend" while SSL handshaking to upstream',
    "peer closed connection in SSL handshake while SSL handshaking to upstream",
    "upstream timed out (110: Connection timed out) while reading response header from upstream",
    "no live upstreams while connecting to upstream",
    "connect() failed (111: Connection refused) while connecting to upstream",
)


def failure(pick: random.Random) -> str:
    """A line about an upstream."""
    address = f"10.0.{pick.randrange(4)}.{pick.randrange(250)}"
    return (
        f"{_begin(pick)}{pick.choice(MESSAGES)}, client: 192.0.2.{pick.randrange(250)}, "
        f'server: www{pick.randrange(5)}.example.com, request: "GET /{pick.getrandbits(64):x} '
        f'HTTP/1.1", upstream: "https://{address}:443/{pick.getrandbits(64):x}", '
        'host: "www.example.com"'
    )


def stranger(pick: random.Random) -> str:
    """A line of nginx's that is not about this, with a text that no other line has."""
    return (
        f'{_begin(pick)}open() "/usr/share/nginx/html/{pick.getrandbits(64):x}" failed '
        f"(2: No such file or directory), client: 192.0.2.{pick.randrange(250)}, "
        'server: localhost, request: "GET /favicon.ico HTTP/1.1", host: "localhost"'
    )


def dockered(pick: random.Random) -> str:
    """A line as docker compose prints it, one in four an access line."""
    if pick.randrange(4) == 0:
        return (
            f"nginx-1  | 192.0.2.{pick.randrange(250)} - - [15/Jul/2024:17:14:08 +0000] "
            f'"GET /{pick.getrandbits(64):x} HTTP/1.1" 200 612 "-" "curl/8.5.0"'
        )
    return f"nginx-1  | {failure(pick)}"


def mixed(pick: random.Random) -> str:
    """Half failures, half strangers."""
    return failure(pick) if pick.getrandbits(1) else stranger(pick)


def _begin(pick: random.Random) -> str:
    stamp = f"2024/07/15 {pick.randrange(24):02}:{pick.randrange(60):02}:{pick.randrange(60):02}"
    return f"{stamp} [error] 245105#0: *{pick.randrange(10**7)} "


KINDS: dict[str, Callable[[random.Random], str]] = {
    "failures of upstreams": failure,
    "half of them other lines": mixed,
    "other lines, each different": stranger,
    "docker compose": dockered,
}


def lines_a_second(file: Path) -> tuple[int, float]:
    """How many lines a file has, and the CPU seconds that reading it took."""
    groups = ErrorGroups()
    began = time.process_time()
    with file.open("rb") as log:
        for lines, _ in read_lines(log.fileno(), interactive=False):
            for line in lines:
                groups.feed(line)
    groups.flush()
    return groups.lines, time.process_time() - began


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explain", description=__doc__)
    parser.add_argument("--lines", type=int, default=200_000, help="lines of each log")
    parser.add_argument("--rounds", type=int, default=3, help="the best of so many counts")
    options = parser.parse_args(argv)
    slowest = float("inf")
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as directory:
        file = Path(directory) / "error.log"
        for name, make in KINDS.items():
            pick = random.Random(name)
            with file.open("w", encoding="latin-1") as log:
                log.writelines(f"{make(pick)}\n" for _ in range(options.lines))
            rounds = [lines_a_second(file) for _ in range(options.rounds)]
            rate = max(lines / seconds for lines, seconds in rounds)
            megabytes = rate * file.stat().st_size / options.lines / 1e6
            slowest = min(slowest, rate)
            print(f"{name:<28}{rate:>10,.0f} lines/s  {megabytes:6.1f} MB/s", flush=True)
    print(f"{'the aim':<28}{AIM:>10,} lines/s")
    return int(slowest < AIM)


if __name__ == "__main__":
    sys.exit(main())
