"""The real nginx, called with raw bytes, and a scripted upstream behind it."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.compare_nginx import Served, served
from tests.nginx import NGINX

_COMMON = """
access_log off;
client_max_body_size 0;
proxy_ignore_client_abort on;   # the tests close their side early
"""

_LOG_LINE = re.compile(r"^\S+ \S+ \[(\w+)\] \d+#\d+: \*\d+ (.*)$", re.DOTALL)

_SURROUNDINGS = re.compile(" while |, client: ")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client received until nginx closed the connection, and what nginx logged."""

    raw: bytes
    log: tuple[str, ...]
    """`LEVEL: MESSAGE while …` of each line, without time, pid and connection number."""

    @property
    def has_head(self) -> bool:
        return self.raw.startswith(b"HTTP/1.1 ")

    @property
    def status(self) -> int:
        """0 if there is no status line: an empty response or HTTP/0.9."""
        return int(self.raw[9:12]) if self.has_head else 0

    @property
    def status_line(self) -> str:
        return self.raw.partition(b"\r\n")[0].removeprefix(b"HTTP/1.1 ").decode("latin-1")

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2] if self.has_head else self.raw

    @property
    def fields(self) -> list[str]:
        head = self.raw.partition(b"\r\n\r\n")[0] if self.has_head else b""
        return head.decode("latin-1").split("\r\n")[1:]

    @property
    def pool(self) -> bool:
        """Whether nginx would have read another request."""
        return "Connection: keep-alive" in self.fields

    def lines(self, *beginnings: str) -> list[str]:
        """The log lines whose message starts with one of `beginnings`."""
        return [line for line in self.log if line.partition(": ")[2].startswith(beginnings)]

    def messages(self, *beginnings: str) -> list[str]:
        """Like `lines`, but `LEVEL: MESSAGE` only, without context."""
        return [_SURROUNDINGS.split(line)[0] for line in self.lines(*beginnings)]


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running nginx."""

    served: Served

    def ask(self, request: bytes) -> Answer:
        """Send `request`, shut down writing, and read until nginx closes."""
        received = bytearray()
        with self.served.connected() as client:
            try:
                client.sendall(request)
                client.shutdown(socket.SHUT_WR)
                while data := client.recv(65536):
                    received += data
            except (BrokenPipeError, ConnectionResetError):
                pass  # nginx closed before it read everything: what was received so far is kept
        matches = map(_LOG_LINE.match, self.served.log("error.log"))
        return Answer(bytes(received), tuple(f"{m[1]}: {m[2]}" for m in matches if m))


@contextlib.contextmanager
def running(room: Path, http: str) -> Iterator[Nginx]:
    """Run nginx with `http` inside its http block; `@PORT@` stands for its port."""
    with served(NGINX, room, _COMMON + http) as one:
        yield Nginx(one)


class ScriptedUpstream:
    """Responds to every request with `script`, then closes; `seen` is the last request."""

    def __init__(self) -> None:
        self.script = b""
        self.seen = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> ScriptedUpstream:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # the socket was closed by the test
            with connection, contextlib.suppress(OSError):  # nginx may close early
                self.seen = _read_request(connection)
                connection.sendall(self.script)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass


def _read_request(connection: socket.socket) -> bytes:
    request = bytearray()
    while not _is_whole(request) and (data := connection.recv(65536)):
        request += data
    return bytes(request)


def _is_whole(request: bytearray) -> bool:
    head, ended, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"\r\nContent-Length: (\d+)", head)
    return bool(ended) and len(body) >= (int(length[1]) if length else 0)
