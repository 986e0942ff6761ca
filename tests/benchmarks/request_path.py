"""The functions that one proxied request runs through: `python -m tests.benchmarks.request_path`.

A proxy runs in a thread, as its command line would run it: without an observer, with an access log.
After some requests on a kept client connection the next one is profiled. Printed is the path as
docs/architecture.md has it: one line for each function that is called for the first time, without
the short helpers.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType

import trio

import sniproxy
from benchmarks.certificates import write_certificates
from sniproxy import config
from sniproxy.build import build_application
from sniproxy.build.paths import Paths
from sniproxy.server import ConnectionServer
from sniproxy.variables import is_variable

PACKAGE = os.path.dirname(sniproxy.__file__) + os.sep
COROUTINE = 0x80  # inspect.CO_COROUTINE
WARM = 5
REQUEST = b"GET /a HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8.0\r\nAccept: */*\r\n\r\n"
BODY = b"hello, hello"

ORIGIN = """events {{}} http {{
    access_log off;
    server {{
        listen 127.0.0.1:0 ssl;
        ssl_certificate {folder}/ecdsa.crt;
        ssl_certificate_key {folder}/ecdsa.key;
        location / {{ return 200 "{body}"; }}
    }}
}}"""
FRONT = """events {{}} http {{
    upstream origin {{ server 127.0.0.1:{port}; keepalive {pool}; }}
    server {{
        listen 127.0.0.1:0 ssl;
        ssl_certificate {folder}/ecdsa.crt;
        ssl_certificate_key {folder}/ecdsa.key;
        server_name localhost;
        access_log {folder}/access.log;
        location / {{
            proxy_pass https://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_ssl_server_name on;
            proxy_ssl_name localhost;
        }}
    }}
}}"""


@dataclass(slots=True)
class Calls:
    """What was called for one request. A coroutine that is resumed counts as called again."""

    calls: int = 0
    functions: dict[CodeType, None] = field(default_factory=dict)
    """In the order of their first calls."""
    package_changes: int = 0
    depth: int = 0
    """The most coroutines of ours that were on the stack at once."""
    _package: str = ""

    @property
    def files(self) -> set[str]:
        return {code.co_filename for code in self.functions}

    def note(self, frame: FrameType, event: str, arg: object) -> None:
        """A `sys.setprofile` function."""
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(PACKAGE):
            return
        self.calls += 1
        self.functions.setdefault(code)
        package = os.path.dirname(code.co_filename)
        self.package_changes += package != self._package
        self._package = package
        depth = 0
        outer: FrameType | None = frame
        while outer is not None:
            outer_code = outer.f_code
            depth += bool(
                outer_code.co_flags & COROUTINE and outer_code.co_filename.startswith(PACKAGE)
            )
            outer = outer.f_back
        self.depth = max(self.depth, depth)


@contextlib.contextmanager
def _front(text: str, folder: str) -> Iterator[tuple[int, trio.lowlevel.TrioToken]]:
    """The port of a proxy that runs in a thread, and its trio program."""
    loaded = config.parse(text, conf_prefix=folder, is_variable=is_variable, any_port=True)
    started: list[tuple[int, trio.lowlevel.TrioToken, trio.CancelScope]] = []
    ready = threading.Event()

    def refuse(error: Exception) -> None:
        raise error

    async def main() -> None:
        site = build_application(loaded, Paths(folder, folder))
        sockets = site.bind(refuse)
        port = sockets[0][1].getsockname()[1]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ConnectionServer(site, sockets).run)
            started.append((port, trio.lowlevel.current_trio_token(), nursery.cancel_scope))
            ready.set()
        site.close()

    thread = threading.Thread(target=trio.run, args=(main,), daemon=True)
    thread.start()
    ready.wait(10)
    [(port, token, scope)] = started
    try:
        yield port, token
    finally:
        trio.from_thread.run_sync(scope.cancel, trio_token=token)
        thread.join(10)


def profile_request(*, keeps_upstream: bool) -> Calls:
    """The calls of a request on a kept client connection, to a new upstream connection or to one
    that is kept."""
    with tempfile.TemporaryDirectory(prefix="path-") as folder, contextlib.ExitStack() as stack:
        write_certificates(Path(folder))
        origin = stack.enter_context(
            sniproxy.serve_in_thread(
                ORIGIN.format(folder=folder, body=BODY.decode()), prefix=folder
            )
        )
        text = FRONT.format(
            folder=folder, port=origin.addresses[0][1], pool=8 if keeps_upstream else 0
        )
        port, token = stack.enter_context(_front(text, folder))
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        client = stack.enter_context(
            context.wrap_socket(
                socket.create_connection(("127.0.0.1", port)), server_hostname="localhost"
            )
        )
        log = Path(folder, "access.log")
        for number in range(WARM):
            _exchange(client, log, number + 1)
        calls = Calls()
        trio.from_thread.run_sync(sys.setprofile, calls.note, trio_token=token)
        _exchange(client, log, WARM + 1)
        trio.from_thread.run_sync(sys.setprofile, None, trio_token=token)
        return calls


def _exchange(client: ssl.SSLSocket, log: Path, number: int) -> None:
    """One request and its response, until its access log line is written."""
    client.sendall(REQUEST)
    received = b""
    while not received.endswith(BODY):
        received += client.recv(65536)
    end = time.monotonic() + 10
    while log.read_bytes().count(b"\n") < number and time.monotonic() < end:
        os.sched_yield()


def path(calls: Calls) -> list[str]:
    """`function (file)`, in the order of the first calls: the steps, without their helpers."""
    lines = []
    for code in calls.functions:
        name = code.co_qualname.partition(".<locals>")[0]
        is_step = code.co_flags & COROUTINE or name in STEPS
        line = f"`{name}` ({code.co_filename.removeprefix(PACKAGE)})"
        if is_step and line not in lines:
            lines.append(line)
    return lines


STEPS = frozenset(
    (
        "read_simple_head",
        "HostSelector.select",
        "RequestContext.__init__",
        "RequestPhases._find_location",
        "Locations.find",
        "RequestHeaderBuilder.build",
        "UpstreamRequest.__init__",
        "PeerSelector.get",
        "UpstreamTLS.stream",
        "read_response_head",
        "ProxyHandler._respond",
        "ResponseHeaderPolicy.filter",
        "UpstreamResponse.take_complete_body",
        "PeerSelector.free",
        "response_head",
        "AccessLogWriter.write",
    )
)
"""Functions that are no coroutines and yet steps of a request."""


def main() -> None:
    for keeps_upstream in (False, True):
        calls = profile_request(keeps_upstream=keeps_upstream)
        print(
            f"{'kept' if keeps_upstream else 'new'} upstream connection: {calls.calls} calls of "
            f"{len(calls.functions)} functions in {len(calls.files)} files, "
            f"{calls.package_changes} changes of package, {calls.depth} coroutines deep"
        )
        if not keeps_upstream:
            for number, line in enumerate(path(calls), 1):
                print(f"{number}. {line}")


if __name__ == "__main__":
    main()
