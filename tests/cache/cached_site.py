"""An upstream that counts its requests, and a site that caches its responses."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trio

from tests.build.test_listeners import free_port
from tests.programs import Program

_STATUS = re.compile(rb"\r\nX-Cache: (\w+)")


@dataclass
class CountingUpstream:
    """Answers each request with its number, or as `respond` says."""

    port: int = 0
    requests: list[str] = field(default_factory=list)
    respond: Callable[[str, int], bytes] | None = None
    before: Callable[[], object] | None = None
    gate: trio.Event | None = None
    """If set, responses wait for it; or their second half."""
    halves: tuple[bytes, bytes] | None = None
    received: trio.Event = field(default_factory=trio.Event)

    async def serve(self, stream: trio.SocketStream) -> None:
        pending = b""
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while True:
                while b"\r\n\r\n" not in pending:
                    data = await stream.receive_some()
                    if not data:
                        return
                    pending += data
                head, _, pending = pending.partition(b"\r\n\r\n")
                self.requests.append(head.decode("latin-1"))
                self.received.set()
                if self.halves is not None:
                    await stream.send_all(self.halves[0])
                if self.gate is not None:
                    await self.gate.wait()
                number = len(self.requests)
                if self.halves is not None:
                    await stream.send_all(self.halves[1])
                elif self.respond is not None:
                    await stream.send_all(self.respond(head.decode("latin-1"), number))
                else:
                    body = b"response %d" % number
                    await stream.send_all(
                        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
                    )


@contextlib.asynccontextmanager
async def counting_upstream() -> AsyncIterator[CountingUpstream]:
    upstream = CountingUpstream()
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, upstream.serve, 0, host="127.0.0.1")
        listeners = await nursery.start(serve)
        upstream.port = listeners[0].socket.getsockname()[1]
        yield upstream
        nursery.cancel_scope.cancel()


class CachedSite:
    """A site with a cache in `folder/cache`, run by one program after the other."""

    def __init__(
        self, folder: Path, upstream_port: int, directives: str = "", path: str = "", main: str = ""
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.configuration = folder / "nginx.conf"
        self.configuration.write_text(
            f"""\
pid nginx.pid; error_log error.log info; {main} events {{ }}
http {{
    access_log off;
    proxy_cache_path cache levels=1:2 keys_zone=z:1m {path};
    server {{
        listen 127.0.0.1:{self.port};
        location / {{
            proxy_pass http://127.0.0.1:{upstream_port};
            proxy_cache z;
            proxy_cache_key $uri;
            proxy_cache_valid 200 1h;
            add_header X-Cache $upstream_cache_status always;
            {directives}
        }}
    }}
}}
"""
        )

    @contextlib.asynccontextmanager
    async def served(self, program: Program) -> AsyncIterator[None]:
        (self.folder / "nginx.pid").unlink(missing_ok=True)
        async with program.serving(self.folder, self.configuration):
            yield

    async def get(self, path: str = "/a", *fields: str, method: str = "GET") -> tuple[str, bytes]:
        """`$upstream_cache_status` and the body of a response."""
        response = await self.response(path, *fields, method=method)
        found = _STATUS.search(response)
        return found[1].decode() if found else "-", response.partition(b"\r\n\r\n")[2]

    async def response(self, path: str, *fields: str, method: str = "GET") -> bytes:
        lines = "\r\n".join((f"{method} {path} HTTP/1.1", "Host: a", *fields, "Connection: close"))
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        async with stream:
            await stream.send_all(f"{lines}\r\n\r\n".encode("latin-1"))
            received = b""
            with contextlib.suppress(trio.BrokenResourceError):
                while data := await stream.receive_some():
                    received += data
        return received

    @property
    def files(self) -> list[Path]:
        """The files in the cache."""
        return sorted(path for path in (self.folder / "cache").rglob("*") if path.is_file())

    def log(self) -> str:
        return (self.folder / "error.log").read_text()


def replace_bytes(file: Path, offset: int, data: bytes) -> None:
    with open(file, "r+b") as opened:
        os.pwrite(opened.fileno(), data, offset)
