"""An upstream in a network namespace of its own, behind a link that can be made worse."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from .delayed_link import DelayedLink

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
NETWORK = f"10.213.{80 + WORKER}"
HERE, THERE = f"{NETWORK}.1", f"{NETWORK}.2"
DELAYED_HERE, DELAYED_THERE = (f"10.214.{80 + WORKER}.{host}" for host in (1, 2))
UPSTREAM = 8000

_UPSTREAM = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = b"there" * (100_000 if self.path == "/large" else 1)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
http.server.ThreadingHTTPServer.request_queue_size = 100
server = http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Handler)
print("serving", flush=True)
server.serve_forever()
"""


def run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


@dataclass(frozen=True, slots=True)
class FarUpstream:
    """An upstream in a namespace of its own, behind a link that can be made worse."""

    space: str
    link: str

    def open(self) -> subprocess.Popen[str]:
        inside = self.link + "i"
        run("ip", "netns", "add", self.space)
        run("ip", "link", "add", self.link, "type", "veth", "peer", "name", inside)
        run("ip", "link", "set", inside, "netns", self.space)
        run("ip", "addr", "add", f"{HERE}/24", "dev", self.link)
        run("ip", "link", "set", self.link, "up")
        run("ip", "-n", self.space, "addr", "add", f"{THERE}/24", "dev", inside)
        run("ip", "-n", self.space, "link", "set", inside, "up")
        command = [sys.executable, "-c", _UPSTREAM, str(UPSTREAM)]
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.space, *command], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        return process

    def close(self) -> None:
        subprocess.run(["ip", "link", "del", self.link], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", self.space], check=False, capture_output=True)

    def swallow(self) -> None:
        """Drop everything: a black hole."""
        run("ip", "-n", self.space, "route", "add", "blackhole", f"{HERE}/32")

    def answer_again(self) -> None:
        run("ip", "-n", self.space, "route", "del", "blackhole", f"{HERE}/32")

    def delayed(self, seconds: float) -> DelayedLink:
        """Another link, to `DELAYED_THERE`: packets take this time in each direction."""
        return DelayedLink(self.space, self.link, DELAYED_HERE, DELAYED_THERE, seconds)

    @contextlib.contextmanager
    def rule(self, *words: str) -> Iterator[None]:
        """A rule of iptables for what comes in there."""
        command = ["ip", "netns", "exec", self.space, "iptables"]
        added = subprocess.run(
            [*command, "-I", "INPUT", *words], check=False, capture_output=True, text=True
        )
        if added.returncode:
            pytest.skip(f"no such rule: {added.stderr}")
        try:
            yield
        finally:
            subprocess.run([*command, "-F", "INPUT"], check=False)


_numbers = itertools.count(os.getpid() % 10000)


@contextlib.contextmanager
def opened() -> Iterator[FarUpstream]:
    """Open one; skips the test where there are no namespaces."""
    tag = f"{next(_numbers):05d}"
    upstream = FarUpstream(f"snf-{tag}", f"snf{tag}")
    process = None
    try:
        try:
            process = upstream.open()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces: {error.stderr.decode()}")
        yield upstream
    finally:
        if process is not None:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
        upstream.close()
