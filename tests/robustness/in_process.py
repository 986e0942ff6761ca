"""Run sniproxy in the test process, to count the resources that it does not release."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import trio

from sniproxy import timers
from sniproxy.build import build_application
from sniproxy.build.paths import Paths
from sniproxy.config import parse
from sniproxy.server import ConnectionServer
from tests.configured import LineObserver
from tests.robustness.runner import Ports

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
    """A log sink that keeps the lines in memory."""

    lines: list[str] = field(default_factory=list)
    written: trio.Event = field(default_factory=trio.Event)
    """Set when the first line is written."""

    def write(self, line: str) -> None:
        self.lines.append(line)
        self.written.set()

    def take(self) -> list[str]:
        """Return the new lines, from the level on."""
        taken = [line[20:].rstrip("\n") for line in self.lines]
        self.lines.clear()
        return taken


@dataclass(frozen=True, slots=True)
class InProcessServer:
    ports: Ports
    log: Lines
    server: ConnectionServer
    before: ResourceCount

    async def quiesce(self) -> ResourceCount:
        """Count the resources once all tasks are idle."""
        while True:
            await trio.testing.wait_all_tasks_blocked(0.005)
            now = ResourceCount.count()
            if now == self.before:
                return now
            # A socket that was closed a moment ago may still be on its way to the server.
            await trio.testing.wait_all_tasks_blocked(0.05)
            if ResourceCount.count() == now:
                return now


@dataclass(frozen=True, slots=True)
class ResourceCount:
    tasks: int
    descriptors: int

    @classmethod
    def count(cls) -> ResourceCount:
        return cls(
            trio.lowlevel.current_statistics().tasks_living, len(os.listdir("/proc/self/fd"))
        )


@contextlib.contextmanager
def in_time(seconds: float) -> Iterator[None]:
    with trio.fail_after(seconds):
        yield


@contextlib.asynccontextmanager
async def serving(folder: Path, ports: Ports) -> AsyncIterator[InProcessServer]:
    """Serve CONFIGURATION until the block ends."""
    log = Lines()
    config = parse(ports.fill(CONFIGURATION))
    paths = Paths(str(folder), str(folder))
    timers.current_timers()  # whose task is not the server's
    outside = ResourceCount.count()
    site = build_application(config, paths, observer=LineObserver(log))
    server = ConnectionServer(site, site.bind(lambda error: None))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        await trio.testing.wait_all_tasks_blocked()
        yield InProcessServer(ports, log, server, ResourceCount.count())
        server.stop_gracefully()
    site.close()
    assert ResourceCount.count() == outside, "the server leaves nothing behind"
