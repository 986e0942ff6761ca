"""One configuration on sniproxy and on nginx, before an upstream that answers as the query says.

For the filters of responses and what changes requests: heads, bodies, error lines and access log
of both programs are compared for each request.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.compare_nginx import Served, served
from tests.nginx import NGINX
from tests.programs import OURS, Command

SYSTEM = Command("system-nginx", ("nginx",))
"""The system's nginx, which has modules that the wheel's lacks."""
needs_system_nginx = pytest.mark.skipif(
    shutil.which("nginx") is None, reason="needs the nginx of the system"
)
MODIFIED = 1_700_000_000


def get(target: str, *fields: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request that keeps the connection alive."""
    lines = [f"{method} {target} HTTP/{version}", "Host: front.test", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def response(head: bytes) -> list[bytes]:
    """The pieces of an answer as the query says.

    Status `s`, type `t`, fields `h`, body `b`, of which each `/` begins a piece with `p`; a path
    with `echo` answers with the head that was received.
    """
    url = urlsplit(head.split(b" ")[1].decode("latin-1"))
    query = {"s": "200", "t": "text/html", "h": "", "b": "hello"} | dict(
        parse_qsl(url.query, keep_blank_values=True, encoding="latin-1")
    )
    body = query["b"].encode("latin-1")
    if "echo" in url.path:
        body, query["t"] = re.sub(rb"127\.0\.0\.1:\d+", b"UPSTREAM", head), "text/plain"
    pieces = [body]
    if "p" in query:
        pieces = body.split(b"/")
        body = b"".join(pieces)
    fields = "".join(f"{line}\r\n" for line in query["h"].split("|") if line)
    if query["t"]:
        fields += f"Content-Type: {query['t']}\r\n"
    start = f"HTTP/1.1 {query['s']} OK\r\nContent-Length: {len(body)}\r\n{fields}\r\n"
    head_text = start.encode("latin-1")
    if head.startswith(b"HEAD"):
        return [head_text]
    # In one piece, unless the query says otherwise: log lines depend on when a body arrives.
    return [head_text, *pieces] if "p" in query else [head_text + body]


@contextlib.contextmanager
def upstream() -> Iterator[int]:
    """Answers by `response`; the port."""

    def serve(client: socket.socket) -> None:
        with client, client.makefile("rb") as stream, contextlib.suppress(OSError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            head = b""
            while line := stream.readline():
                head += line
                if line == b"\r\n":
                    length = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
                    stream.read(int(length[1]) if length else 0)
                    for piece in response(head):
                        client.sendall(piece)
                    head = b""

    def accept() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a client and the logs saw of one request."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    keeps: bool
    log: tuple[str, ...]
    errors: tuple[str, ...]


_VERSION = re.compile(r"nginx/[0-9.]+(?: \(\w+\))?")


def ask(program: Served, request: bytes, count: int = 1) -> Outcome:
    """Send one request on a connection of its own; wait for `count` lines in the access log."""
    status, body, keeps = 0, b"", False
    headers: tuple[tuple[str, str], ...] = ()
    with program.connected() as client:
        client.sendall(request)
        answer = http.client.HTTPResponse(client, method=request.partition(b" ")[0].decode())
        try:
            answer.begin()
            body = answer.read()
            status, keeps = answer.status, not answer.will_close
            headers = tuple(
                [
                    (
                        n,
                        _VERSION.sub("nginx", program.without_ports(v))
                        if n == "Server"
                        else program.without_ports(v),
                    )
                    for n, v in answer.getheaders()
                    if n != "Date"
                ]
            )
        except http.client.IncompleteRead as cut:
            body = b"cut: " + cut.partial
        except (ConnectionError, http.client.HTTPException) as closed:
            body = type(closed).__name__.encode()
    if b"<center>nginx" in body:
        # The page names the release.
        body = _VERSION.sub("nginx", body.decode("latin-1")).encode("latin-1")
        headers = tuple(field for field in headers if field[0] != "Content-Length")
    lines = tuple(program.log(lines=count))
    errors = tuple(
        re.sub(r"^.*?\*\d+ |127\.0\.0\.1:\d+|(?<=pcre)2(?=_compile)", "", line)
        for line in program.log("error.log")
        if "*" in line and "keepalive connection" not in line
    )
    text = program.without_ports(body.decode("latin-1"))
    return Outcome(status, headers, text.encode("latin-1"), keeps, lines, errors)


@dataclass(frozen=True, slots=True)
class FilterCase:
    """A location `/NAME/` that passes to the upstream, requests to it, and the rule they prove."""

    name: str
    rule: str
    """What nginx does, in one sentence; printed when the test fails."""
    directives: str = "UPSTREAM"
    queries: tuple[str | bytes, ...] = ("",)
    """What follows the location's name, or a whole request."""
    shows: str = ""
    """What is in the oracle's last response or log lines."""
    lacks: str = ""
    """What is not."""
    server: str = ""
    """Directives of the server block."""
    lines: int = 1
    """Number of lines in the access log."""

    def requests(self) -> list[bytes]:
        return [
            query.replace(b"NAME", self.name.encode())
            if isinstance(query, bytes)
            else get(f"/{self.name}/{query}")
            for query in self.queries
        ]


def compare_cases(
    folder: Path, cases: Iterable[FilterCase], oracle: Command = NGINX, **more: Any
) -> None:
    """Compare both programs for each case, and the oracle with what the case expects."""
    listed = list(cases)
    names = [case.name for case in listed]
    assert len(set(names)) == len(names), names
    locations = "".join(
        f"location /{case.name}/ {{ {case.directives} }}\n{case.server}\n".replace(
            "NAME", case.name
        )
        for case in listed
    )
    requests = [request for case in listed for request in case.requests()]
    rules = {request: case.rule for case in listed for request in case.requests()}
    lines = {request: case.lines for case in listed for request in case.requests()}
    outcomes = iter(compare(folder, locations, requests, oracle, rules=rules, lines=lines, **more))
    unmet = []
    for case in listed:
        last = [next(outcomes) for _ in case.queries][-1]
        text = f"{last.status} {last.headers} {last.log} {last.errors}\n"
        text += last.body.decode("latin-1")
        if case.shows not in text or (case.lacks and case.lacks in text):
            unmet.append(f"{case.name}: {case.rule}\n{text}")
    if unmet:
        pytest.fail("\n".join(["nginx does not behave as expected", *unmet]))


def compare(
    folder: Path,
    locations: str,
    requests: Iterable[bytes],
    oracle: Command = NGINX,
    *,
    log: str = "$status",
    http: str = "",
    files: Mapping[str, bytes] | None = None,
    modules: str = "",
    rules: Mapping[bytes, str] | None = None,
    lines: Mapping[bytes, int] | None = None,
) -> list[Outcome]:
    """The outcomes, after a comparison of both programs' for each request.

    `UPSTREAM` in `locations` passes to the upstream; `http` are directives of the outer block,
    `files` are below the root, `modules` what the oracle has to load, `rules` what requests prove,
    `lines` the numbers of their lines in the access log if it is not one.
    """
    with upstream() as port, contextlib.ExitStack() as stack:
        passing = f"proxy_pass http://127.0.0.1:{port}/;"
        text = f"""
            log_format x '{log}'; access_log access.log x; keepalive_timeout 5;
            types {{ text/html html; text/css css; }} default_type text/plain;
            {http}
            server {{
                listen 127.0.0.1:@PORT@; root html; proxy_http_version 1.1;
                proxy_set_header Connection "";
                {locations.replace("UPSTREAM", passing)}
            }}"""
        programs = []
        loading = Command(oracle.name, (*oracle.command, "-g", modules)) if modules else oracle
        for program in (OURS, loading):
            room = folder / program.name
            (room / "html").mkdir(parents=True, exist_ok=True)
            for name, data in (files or {}).items():
                (room / "html" / name).write_bytes(data)
                os.utime(room / "html" / name, (MODIFIED, MODIFIED))
            programs.append(stack.enter_context(served(program, room, text)))
        ours, theirs = programs
        outcomes, differences = [], []
        for request in requests:
            count = (lines or {}).get(request, 1)
            outcomes.append(ask(ours, request, count))
            expected = ask(theirs, request, count)
            if outcomes[-1] != expected:
                line = request.partition(b"\r\n")[0].decode("latin-1")
                rule = (rules or {}).get(request, "")
                differences.append(f"{line} {rule}\n  {outcomes[-1]}\n  nginx: {expected}")
        if differences:
            pytest.fail("\n".join([f"{len(differences)} differences", *differences[:20]]))
        return outcomes
