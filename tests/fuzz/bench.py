"""What all fuzz runs share: a site in this process, many visitors, and what must not happen.

A run fails on an internal error in the log, on a visitor that hangs, and on descriptors or memory
that grow. The seed is printed, and `--seed` repeats a run's choices.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import trio

from sniproxy import config
from sniproxy.build import build_application
from sniproxy.build.paths import Paths
from sniproxy.server import ConnectionServer
from sniproxy.testing.authority import Authority
from sniproxy.variables import is_variable
from tests.configured import LineObserver

VISITORS = 8
PATIENCE = 5.0
"""Seconds after which a visitor hangs: far beyond the site's own time-outs of 300 ms."""
MEMORY_SLACK = 24 * 1024 * 1024
DESCRIPTOR_SLACK = 8

Visit = Callable[["Run", random.Random], Awaitable[str]]
"""One visit; answers with a word for the statistics."""


@dataclass(slots=True)
class Run:
    """One fuzz run and what it has seen."""

    directory: Path
    port: int = 0
    """Of the site's front."""
    upstream_port: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    troubles: list[str] = field(default_factory=list)

    def write(self, line: str) -> None:
        """The site's error log: only what must never be there is kept."""
        if "[alert]" in line or "[emerg]" in line or "Traceback" in line:
            self.troubles.append(line.rstrip())


def main(name: str, site: str, visit: Visit, companions: Callable[[Run], Awaitable[None]]) -> int:
    """Run until `--seconds` are over; returns the exit status.

    `site` is nginx.conf text with PORT and UPSTREAM for ports; `companions` is started beside
    the site (the upstream that it proxies to).
    """
    parser = argparse.ArgumentParser(prog=f"python -m tests.fuzz {name}")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"{name}: {options.seconds:.0f} s, seed {options.seed}")
    with tempfile.TemporaryDirectory() as directory:
        run = Run(Path(directory))
        trio.run(_run, run, site, visit, companions, options)
    for outcome, count in sorted(run.outcomes.items(), key=lambda item: -item[1]):
        print(f"  {count:>8}  {outcome}")
    for trouble in run.troubles[:20]:
        print(f"  TROUBLE: {trouble}")
    print("failed" if run.troubles else "passed")
    return 1 if run.troubles else 0


async def _run(
    run: Run,
    site_text: str,
    visit: Visit,
    companions: Callable[[Run], Awaitable[None]],
    options: argparse.Namespace,
) -> None:
    root = Authority.root("Fuzz Root")
    root.issue("front.test", "*.front.test").write(run.directory, "front")
    upstream = await trio.open_tcp_listeners(0, host="127.0.0.1")
    front = await trio.open_tcp_listeners(0, host="127.0.0.1")
    run.port = front[0].socket.getsockname()[1]
    run.upstream_port = upstream[0].socket.getsockname()[1]
    for listener in (*front, *upstream):
        await listener.aclose()
    text = site_text.replace("UPSTREAM", str(run.upstream_port)).replace("PORT", str(run.port))
    loaded = config.parse(text, is_variable=is_variable)
    paths = Paths(str(run.directory), str(run.directory))
    site = build_application(loaded, paths, observer=LineObserver(run))
    server = ConnectionServer(site, site.bind(lambda error: None))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        nursery.start_soon(companions, run)
        await _visitors(run, visit, options)
        nursery.cancel_scope.cancel()
    site.close()


async def _visitors(run: Run, visit: Visit, options: argparse.Namespace) -> None:
    await _visits(run, visit, options.seconds * 0.3, f"{options.seed} first")
    before = await _footprint()
    await _visits(run, visit, options.seconds * 0.7, f"{options.seed} second")
    _compare(run, before, await _footprint())
    print(f"  {run.outcomes.total()} visits")


async def _visits(run: Run, visit: Visit, seconds: float, seed: str) -> None:
    end = trio.current_time() + seconds

    async def visitor(number: int) -> None:
        visits = 0
        while trio.current_time() < end and not run.troubles:
            await _visit(run, visit, random.Random(f"{seed} {number} {visits}"))
            visits += 1

    async with trio.open_nursery() as nursery:
        for number in range(VISITORS):
            nursery.start_soon(visitor, number)


async def _visit(run: Run, visit: Visit, chance: random.Random) -> None:
    with trio.move_on_after(PATIENCE) as patience:
        run.outcomes[await visit(run, chance)] += 1
    if patience.cancelled_caught:
        run.troubles.append("a visitor was left hanging")


async def _footprint() -> tuple[int, int]:
    """Resident bytes and descriptors, once the last connections had time to end."""
    await trio.sleep(1)
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE"), len(os.listdir("/proc/self/fd"))


def _compare(run: Run, before: tuple[int, int], after: tuple[int, int]) -> None:
    memory, descriptors = after[0] - before[0], after[1] - before[1]
    print(f"  memory {memory / 1024 / 1024:+.1f} MiB, descriptors {descriptors:+d}")
    if memory > MEMORY_SLACK:
        run.troubles.append(f"memory grew by {memory} bytes")
    if descriptors > DESCRIPTOR_SLACK:
        run.troubles.append(f"{descriptors} descriptors were left open")
