"""Serve one configuration by sniproxy and by nginx, and send both the same requests.

For rules that show in responses or in the logs. `tests.conformance` compares what upstreams see,
too.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sniproxy.portal import in_thread
from sniproxy.testing.upstreams import reserve_port
from tests.nginx import NGINX
from tests.programs import OURS, Program

_CONFIGURATION = """
pid nginx.pid; error_log error.log info;
events {{ worker_connections 1024; }}
{block} {{
    {inside}
}}
"""

_PORT = re.compile(r"@PORT([0-9]*)@")
_PATIENCE = 10.0


def get(target: str, *fields: str, host: str = "front.test") -> bytes:
    """A GET request that keeps the connection alive."""
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}", *fields]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: str

    def header(self, name: str) -> str | None:
        return next((value for n, value in self.headers if n.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Served:
    """A program that serves a configuration."""

    program: Program
    room: Path
    ports: Mapping[str, int]
    """By the suffix of the placeholder: "" for `@PORT@`, "2" for `@PORT2@`."""
    _read: dict[str, int] = field(default_factory=dict)
    """For each log, the number of bytes already read."""

    @contextlib.contextmanager
    def connected(self, port: str = "") -> Iterator[socket.socket]:
        address = ("127.0.0.1", self.ports[port])
        with socket.create_connection(address, timeout=_PATIENCE) as client:
            yield client

    def ask(self, requests: Iterable[bytes], port: str = "") -> list[Answer]:
        """Send requests one after the other, and return the responses.

        A new connection is opened when the server closes one.
        """
        waiting = list(requests)
        answers: list[Answer] = []
        while waiting:
            with self.connected(port) as client:
                keeps = True
                while waiting and keeps:
                    request = waiting.pop(0)
                    answer, keeps = self._exchange(client, request)
                    answers.append(answer)
        return answers

    def _exchange(self, client: socket.socket, request: bytes) -> tuple[Answer, bool]:
        client.sendall(request)
        response = http.client.HTTPResponse(client, method=request.partition(b" ")[0].decode())
        response.begin()
        with response:
            body = self.without_ports(response.read().decode("latin-1"))
            headers = tuple((n, self.without_ports(v)) for n, v in response.getheaders())
            return Answer(response.status, headers, body), not response.will_close

    def without_ports(self, text: str) -> str:
        """Replace port numbers in `text` by their placeholders, and remove the folder."""
        for name, port in self.ports.items():
            text = re.sub(rf"\b{port}\b", f"@PORT{name}@", text)
        return text.replace(f"{self.room}/", "")

    def log(self, name: str = "access.log", lines: int = 0) -> list[str]:
        """Return the new lines of a log, after waiting until there are at least `lines`."""
        path = self.room / name
        deadline = time.monotonic() + _PATIENCE
        start = self._read.get(name, 0)
        while True:
            text = path.read_bytes()[start:] if path.exists() else b""
            if text.count(b"\n") >= lines or time.monotonic() > deadline:
                # A line that is still being written is left for the next call.
                whole = text[: text.rfind(b"\n") + 1]
                self._read[name] = start + len(whole)
                read = whole.decode("latin-1").split("\n")[:-1]
                return [self.without_ports(line) for line in read]
            time.sleep(0.002)


@contextlib.contextmanager
def served(program: Program, room: Path, inside: str, block: str = "http") -> Iterator[Served]:
    """Run `program` with `inside` as the content of the http block, or of another `block`.

    `@PORT@`, `@PORT2@` … stand for free ports. File names are relative to `room`. Raises Ended if
    the program does not start.
    """
    with contextlib.ExitStack() as held:
        ports = {
            name: held.enter_context(reserve_port()).getsockname()[1]
            for name in sorted(set(_PORT.findall(inside)))
        }
        inside = _PORT.sub(lambda match: str(ports[match[1]]), inside)
        file = room / "nginx.conf"
        text = _CONFIGURATION.format(block=block, inside=inside)
        file.write_text(text, encoding="latin-1")
        held.enter_context(in_thread(lambda: program.serving(room, file)))
        yield Served(program, room, ports)


@dataclass(frozen=True, slots=True)
class NginxPair:
    """sniproxy and nginx, serving the same configuration."""

    ours: Served
    nginx: Served

    @property
    def both(self) -> tuple[Served, Served]:
        return self.ours, self.nginx

    def ask(self, requests: Iterable[bytes], port: str = "") -> list[list[Answer]]:
        """Send the requests to both programs, and return the responses of each."""
        query = list(requests)
        return [served.ask(query, port) for served in self.both]

    def logs(self, name: str = "access.log", lines: int = 0) -> list[list[str]]:
        """Return the new lines of a log of each program."""
        return [served.log(name, lines) for served in self.both]


@contextlib.contextmanager
def paired_with_nginx(room: Path, inside: str, block: str = "http") -> Iterator[NginxPair]:
    """Run sniproxy and nginx on the same configuration, each with its own ports and folder."""
    rooms = [room / program.name for program in (OURS, NGINX)]
    for own in rooms:
        own.mkdir()
    with (
        served(OURS, rooms[0], inside, block) as ours,
        served(NGINX, rooms[1], inside, block) as nginx,
    ):
        yield NginxPair(ours, nginx)
