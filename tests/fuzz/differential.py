"""Runs in which nginx is the judge of sniproxy: of request heads, and of configurations.

Mutations are random: nginx's coverage is not seen, and a request to two programs costs more than
guidance would save.
"""

from __future__ import annotations

import random
import re
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.compare_nginx import Served, paired_with_nginx
from tests.config.oracle import nginx_verdict, sniproxy_verdict
from tests.fuzz.engine import Finding, Report, mutated
from tests.fuzz.targets import TARGETS

Judge = Callable[[bytes], str | None]
"""Returns both answers if they differ."""

SITE = """
    access_log off;
    client_header_timeout 2s;
    client_header_buffer_size 256;
    large_client_header_buffers 2 512;
    server {
        listen 127.0.0.1:@PORT@;
        add_header X-Fields "$http_x_a|$cookie_a|$http_referer|$http_a_b";
        return 200 "$request_method|$uri|$args|$host|$http_host|$server_protocol|$is_args\\n";
    }
"""
_CHANGING = re.compile(rb"Date: [^\r]*")


@contextmanager
def heads(folder: Path) -> Iterator[Judge]:
    """Requests to a server that repeats what it has understood.

    Chunked bodies are left out: of one that it discards, nginx reads what has arrived before it
    answers, and sniproxy afterwards, so that only nginx refuses one that is malformed.
    """
    with paired_with_nginx(folder, SITE) as pair:

        def judge(data: bytes) -> str | None:
            if b"chunked" in data.lower():
                return None
            answers = [_answer(program, data) for program in pair.both]
            # A reset discards what was sent before it, at a moment that is chance.
            if None in answers or answers[0] == answers[1]:
                return None
            return f"sniproxy: {answers[0]!r}\nnginx:    {answers[1]!r}"

        yield judge


def _answer(program: Served, data: bytes) -> bytes | None:
    received = b""
    try:
        with program.connected() as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            while more := client.recv(65536):
                received += more
    except OSError:
        return None
    return _CHANGING.sub(b"Date: now", received)


@contextmanager
def configurations(folder: Path) -> Iterator[Judge]:
    """Configurations that `nginx -t` accepts, or refuses with a message."""

    def judge(data: bytes) -> str | None:
        if b"include" in data or b"load_module" in data:
            return None
        ours = sniproxy_verdict(folder, data).error
        if ours is not None and not ours.startswith(_OF_SYNTAX):
            return None  # what a directive says is compared in tests/config
        theirs = nginx_verdict(folder, data).error
        if theirs is not None and not theirs.startswith(_OF_SYNTAX):
            return None
        return None if ours == theirs else f"sniproxy: {ours}\nnginx:    {theirs}"

    yield judge


_OF_SYNTAX = (
    "unexpected",
    "unknown directive",
    "too long parameter",
    "directive",
    "invalid number of arguments",
    "conf_",
)

DIFFERENTIAL = {
    "nginx_heads": (heads, "request_head"),
    "nginx_configurations": (configurations, "nginx_conf"),
}
"""The runs, and whose corpus they begin with."""


def run_against_nginx(name: str, seed: int, *, seconds: float) -> Report:
    """Compare with nginx until the time is over, or an answer differs."""
    opened, corpus = DIFFERENTIAL[name]
    seeds = TARGETS[corpus].seeds()
    chance = random.Random(f"{name} {seed}")
    done = 0
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder)) as judge:
        started = time.monotonic()
        while done < len(seeds) or time.monotonic() - started < seconds:
            data = seeds[done] if done < len(seeds) else mutated(seeds, chance)
            done += 1
            if (difference := judge(data)) is not None:
                taken = time.monotonic() - started
                return Report(name, done, taken, finding=Finding(data, difference))
        return Report(name, done, time.monotonic() - started)
