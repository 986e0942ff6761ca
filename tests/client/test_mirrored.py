"""Copies of requests (`mirror`) whose upstream never answers: they delay and leave nothing."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from sniproxy.testing.upstreams import reserve_port
from tests.http2_frames import START, data, exchange, fields, headers, reset
from tests.nginx import NGINX
from tests.programs import OURS, Program

SITE = """
pid nginx.pid;
error_log error.log;
events {{}}
http {{
    server {{
        listen 127.0.0.1:{front};
        http2 on;
        access_log off;
        location / {{ mirror /copy; proxy_pass http://127.0.0.1:{back}; }}
        location = /copy {{ internal; proxy_pass http://127.0.0.1:{silent}; }}
    }}
    server {{
        listen 127.0.0.1:{back};
        access_log off;
        location / {{ return 200 "$request_method $request_uri $content_length"; }}
    }}
}}
"""

REQUESTS = {
    "get": headers(1, fields(path="/a?b")),
    "post": headers(1, fields(("content-length", "3"), method="POST", path="/c"), ends=False)
    + data(1, b"abc", ends=True),
    "two": headers(1, fields(path="/a")) + headers(3, fields(path="/b")),
    "reset": headers(1, fields(path="/a")) + reset(1),
}


class SilentUpstream:
    """Takes connections and requests, and never answers."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.open = 0
        self._changed = trio.Event()

    async def serve(self, stream: trio.SocketStream) -> None:
        number = len(self.received)
        self.received.append(b"")
        self.open += 1
        while piece := await stream.receive_some():
            self.received[number] += piece
            self._notify()
        self.open -= 1
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def until_received(self, text: bytes) -> None:
        while not any(text in each for each in self.received):
            await self._changed.wait()

    async def until_closed(self) -> None:
        while self.open:
            await self._changed.wait()


@dataclass(frozen=True, slots=True)
class Running:
    port: int
    silent: SilentUpstream


@contextlib.asynccontextmanager
async def running(program: Program, folder: Path) -> AsyncIterator[Running]:
    with contextlib.ExitStack() as stack:
        front, back, silent = (
            stack.enter_context(reserve_port()).getsockname()[1] for _ in range(3)
        )
        file = folder / "nginx.conf"
        file.write_text(SITE.format(front=front, back=back, silent=silent))
        upstream = SilentUpstream()
        with trio.fail_after(20):
            listeners = await trio.open_tcp_listeners(silent, host="127.0.0.1")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.serve_listeners, upstream.serve, listeners)
                async with program.serving(folder, file):
                    yield Running(front, upstream)
                await upstream.until_closed()
                nursery.cancel_scope.cancel()


@pytest.mark.nginx
@pytest.mark.parametrize("name", REQUESTS)
def test_streams_are_answered_while_copies_wait(name: str, tmp_path: Path) -> None:
    async def frames(program: Program) -> list[str]:
        folder = tmp_path / program.name
        folder.mkdir()
        sent = REQUESTS[name]
        async with running(program, folder) as site:
            ends = 0 if name == "reset" else 1 + (name == "two")
            received = await exchange(site.port, START + sent, streams=ends)
            if name == "post":
                await site.silent.until_received(b"\r\n\r\nabc")
            elif name != "reset":
                await site.silent.until_received(b"GET /copy")
        return sorted(received)

    assert trio.run(frames, OURS) == trio.run(frames, NGINX)


@pytest.mark.nginx
def test_response_of_http1_is_complete_while_a_copy_waits(tmp_path: Path) -> None:
    async def response(program: Program) -> bytes:
        folder = tmp_path / program.name
        folder.mkdir()
        async with running(program, folder) as site:
            client = await trio.open_tcp_stream("127.0.0.1", site.port)
            async with client:
                await client.send_all(
                    b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                )
                received = b""
                while not received.endswith(b"POST /x 3"):
                    received += await client.receive_some()
                await site.silent.until_received(b"\r\n\r\nabc")
        return received.partition(b"\r\n")[0]

    assert trio.run(response, OURS) == trio.run(response, NGINX) == b"HTTP/1.1 200 OK"


def test_stopping_ends_copies(tmp_path: Path) -> None:
    """`running` waits until the upstream has no connection left."""

    async def run() -> None:
        async with running(OURS, tmp_path) as site:
            await exchange(site.port, START + REQUESTS["two"], streams=2)
            await site.silent.until_received(b"GET /copy")
            assert site.silent.open

    trio.run(run)
