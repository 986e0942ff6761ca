"""sniproxy in the test's own process, so that what it leaves behind can be counted."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import trio
from trio.testing import MockClock

from sniproxy import timers
from sniproxy.config import parse
from sniproxy.logs.error import LogTarget
from sniproxy.message import Level
from sniproxy.server import Server
from sniproxy.site import build_site
from sniproxy.site.paths import Paths
from tests.hostile.stage import Ports

CONFIGURATION = """
events {}
http {
    access_log off;
    server {
        listen 127.0.0.1:FRONT;
        listen 127.0.0.1:SECURE ssl;
        server_name front.test;
        ssl_certificate auto;
        location / { return 200 "hello\\n"; }
        location /up { proxy_pass http://127.0.0.1:UPSTREAM; }
    }
    server {
        listen 127.0.0.1:SECURE ssl;
        server_name rejected.test;
        ssl_reject_handshake on;
    }
}
"""


@dataclass(slots=True)
class Lines:
    """A log that is kept; a sink."""

    lines: list[str] = field(default_factory=list)
    written: trio.Event = field(default_factory=trio.Event)
    """Set with the first line."""

    def write(self, line: str) -> None:
        self.lines.append(line)
        self.written.set()

    def take(self) -> list[str]:
        """The new lines, from the level on."""
        taken = [line[20:].rstrip("\n") for line in self.lines]
        self.lines.clear()
        return taken


@dataclass(frozen=True, slots=True)
class Inside:
    ports: Ports
    log: Lines
    server: Server
    before: Remains

    async def settled(self) -> Remains:
        """What there is once nobody has anything to do."""
        while True:
            await trio.testing.wait_all_tasks_blocked(0.005)
            now = Remains.count()
            if now == self.before:
                return now
            # A socket that was closed a moment ago may still be on its way to the server.
            await trio.testing.wait_all_tasks_blocked(0.05)
            if Remains.count() == now:
                return now


@dataclass(frozen=True, slots=True)
class Remains:
    tasks: int
    descriptors: int

    @classmethod
    def count(cls) -> Remains:
        return cls(
            trio.lowlevel.current_statistics().tasks_living, len(os.listdir("/proc/self/fd"))
        )


@contextlib.contextmanager
def in_time(seconds: float) -> Iterator[None]:
    with trio.fail_after(seconds):
        yield


@contextlib.asynccontextmanager
async def serving(folder: Path, ports: Ports) -> AsyncIterator[Inside]:
    """The site of CONFIGURATION, until the block ends; then all of it is gone."""
    log = Lines()
    config = parse(ports.fill(CONFIGURATION))
    paths = Paths(str(folder), str(folder))
    timers.of_this_run()  # whose task is not the server's
    outside = Remains.count()
    site = build_site(config, paths, observers=[LogTarget(log, Level.INFO)])
    server = Server(site, site.bind(lambda error: None))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        await trio.testing.wait_all_tasks_blocked()
        yield Inside(ports, log, server, Remains.count())
        server.stop_gracefully()
    site.close()
    assert Remains.count() == outside, "the server leaves nothing behind"


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test whose time-outs do not take time: the clock jumps when nothing happens."""

    async def main() -> None:
        await test()

    trio.run(main, clock=MockClock(autojump_threshold=0.02))
