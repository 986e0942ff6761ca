"""`python -m benchmarks.startup`: a proxy in process, from nothing to its first byte.

Imports are done and the listener is plain: it is the time that a test waits for its fixture. Exit
code 1 if the median is above MOST, or if anything is left behind.
"""

from __future__ import annotations

import argparse
import gc
import os
import socket
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import sniproxy

CONFIG = "events {} http { server { listen 127.0.0.1:0; location / { return 200 started; } } }"
REQUEST = b"GET / HTTP/1.0\r\n\r\n"
MOST = 30
"""Milliseconds."""
STARTS = 200
WARM_UP = 20
"""Starts before it is counted what there is: caches fill, modules are imported late."""
SOME_OBJECTS = 500
"""What may be more without a leak, if it does not grow with the starts."""


@dataclass(frozen=True, slots=True)
class ResourceCount:
    """What this process holds."""

    descriptors: int
    threads: int
    objects: int

    @classmethod
    def now(cls) -> ResourceCount:
        gc.collect()
        descriptors = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        return cls(descriptors, threading.active_count(), len(gc.get_objects()))

    def more_than(self, before: ResourceCount) -> list[str]:
        """What there is more of."""
        found = []
        if self.descriptors > before.descriptors:
            found.append(f"{self.descriptors - before.descriptors} descriptors")
        if self.threads > before.threads:
            found.append(f"{self.threads - before.threads} threads")
        if self.objects > before.objects + SOME_OBJECTS:
            found.append(f"{self.objects - before.objects} objects")
        return found


def start() -> tuple[float, float]:
    """Seconds from the call to the first byte served, and from the end of the block to the next
    line."""
    began = time.perf_counter()
    with sniproxy.serve_in_thread(CONFIG) as proxy:
        with socket.create_connection(proxy.addresses[0]) as client:
            client.sendall(REQUEST)
            client.recv(1)
            served = time.perf_counter()
        ending = time.perf_counter()
    return served - began, time.perf_counter() - ending


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.startup", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--starts", type=int, default=STARTS)
    starts = parser.parse_args(argv).starts
    for _ in range(WARM_UP):
        start()
    before = ResourceCount.now()
    times = [start() for _ in range(starts)]
    left = ResourceCount.now().more_than(before)
    serving, stopping = ([pair[column] * 1000 for pair in times] for column in (0, 1))
    for name, column in (("start to first byte", serving), ("stop", stopping)):
        worst = sorted(column)[int(len(column) * 0.99)]
        print(f"{name:20} median {statistics.median(column):6.2f} ms   99 % {worst:6.2f} ms")
    print(f"left behind by {starts} starts and stops: {', '.join(left) or 'nothing'}")
    is_slow = statistics.median(serving) > MOST
    if is_slow:
        print(f"too slow: the median is to be below {MOST} ms")
    return int(is_slow or bool(left))


if __name__ == "__main__":
    sys.exit(main())
