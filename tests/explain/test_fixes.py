"""Each cause that can be provoked: sniproxy and nginx fail with it, `explain` is given the line,
and with the directives that it prints both of them answer 200."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from sniproxy.explain import explain
from sniproxy.testing.authority import Authority
from sniproxy.testing.upstreams import RunningUpstream, generate_certificates
from sniproxy.testing.upstreams.sync import ThreadUpstreams, upstreams_in_thread
from tests.compare_nginx import Served, served
from tests.explain.fix_cases import (
    ROWS,
    SITE,
    STARTUP,
    Client,
    Row,
    applied,
    fixes,
    server,
)
from tests.explain.nameserver import nameserver
from tests.nginx import NGINX
from tests.programs import OURS, Program, ProgramEndedError

pytestmark = pytest.mark.nginx

PROGRAMS: dict[str, Program] = {"sniproxy": OURS, "nginx": NGINX}
PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a row on a program."""

    failed: int
    """The status before; 0 is none at all."""
    lines: tuple[str, ...]
    directives: list[str] | None
    """What is printed for the row's cause; None if no line has that cause."""
    fixed: int = 0


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("fixes")
    generate_certificates(directory)
    root = Authority.root("Weak Root")
    weak = root.issue("front.test", key=rsa.generate_private_key(65537, 1024))
    weak.write(directory, "weak")
    return directory


@pytest.fixture(scope="module")
def upstream_server(certificates: Path) -> Iterator[ThreadUpstreams]:
    with upstreams_in_thread(certificates) as opened:
        yield opened


@pytest.fixture(scope="module")
def dns() -> Iterator[int]:
    with nameserver() as port:
        yield port


@pytest.fixture(scope="module", params=PROGRAMS)
def outcomes(
    request: pytest.FixtureRequest, upstream_server: ThreadUpstreams, certificates: Path, dns: int
) -> Mapping[str, Outcome]:
    """Of all rows; a program is started twice for all of them, and once for each bad start."""
    program = PROGRAMS[request.param]
    rooms = Rooms(program, certificates)
    peers = [upstream_server.start(row.upstream) for row in ROWS]
    begun: dict[str, Outcome] = {}
    texts = [
        server(number, row, peer, dns, row.statements())
        for number, (row, peer) in enumerate(zip(ROWS, peers, strict=True))
    ]
    with rooms.serve("\n    ".join(texts)) as running:
        for number, row in enumerate(ROWS):
            status = ask(running.ports[str(number)], row.client, certificates)
            begun[row.name] = outcome(row, status, logged(running, row))
    good = upstream_server.start("good")
    for row in STARTUP:
        begun[row.name] = outcome(
            row, 0, rooms.refused(server(0, row, good, dns, row.statements())).splitlines()
        )
    rows = [*zip(ROWS, peers, strict=True), *((row, good) for row in STARTUP)]
    return dict(fixed(rooms, rows, dns, begun, certificates))


class Rooms:
    """The programs' folders, each with the certificates beside its configuration."""

    def __init__(self, program: Program, certificates: Path) -> None:
        self._program = program
        self._certificates = certificates
        self._number = 0

    def _room(self) -> Path:
        self._number += 1
        room = self._certificates / f"{self._program.name}-{self._number}"
        room.mkdir()
        for file in self._certificates.iterdir():
            if file.is_file():
                (room / file.name).symlink_to(file)
        return room

    def serve(self, servers: str) -> AbstractContextManager[Served]:
        return served(self._program, self._room(), SITE.format(servers=servers))

    def refused(self, servers: str) -> str:
        """What the program says instead of starting."""
        with pytest.raises(ProgramEndedError) as refusal, self.serve(servers):
            pass
        return str(refusal.value)


def fixed(
    rooms: Rooms,
    rows: list[tuple[Row, RunningUpstream]],
    dns: int,
    begun: Mapping[str, Outcome],
    certificates: Path,
) -> Iterator[tuple[str, Outcome]]:
    texts = []
    for number, (row, peer) in enumerate(rows):
        directives = begun[row.name].directives or []
        location, beside = row.statements()
        if row.fixes_server:
            beside = applied(beside, directives)
        else:
            location = applied(location, directives)
        texts.append(server(number, row, peer, dns, (location, beside)))
    with rooms.serve("\n    ".join(texts)) as running:
        for number, (row, _) in enumerate(rows):
            before = begun[row.name]
            status = ask(running.ports[str(number)], row.client, certificates)
            yield row.name, replace(before, fixed=status)


def logged(running: Served, row: Row) -> list[str]:
    """The new lines of the log, once one of them has the row's cause.

    What a row leaves behind (a client that went) may be logged while the next one is asked.
    """
    lines: list[str] = []
    deadline = time.monotonic() + PATIENCE
    while not any(map(has_cause(row), lines)) and time.monotonic() < deadline:
        lines += running.log("error.log", lines=1)
    return lines


def has_cause(row: Row) -> Callable[[str], bool]:
    def has(line: str) -> bool:
        explanation = explain(line)
        return explanation is not None and row.cause in explanation.signature.cause_names

    return has


def outcome(row: Row, status: int, lines: list[str]) -> Outcome:
    line = next(filter(has_cause(row), lines), None)
    explanation = None if line is None else explain(line)
    directives = None if explanation is None else fixes(row, explanation)
    return Outcome(status, tuple(lines), directives)


def ask(port: int, client: Client | None, certificates: Path) -> int:
    """The status of a GET; 0 where there is no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with contextlib.closing(connection):
        try:
            connection.connect()
            if client is not None and not client.plain:
                context = client_context(client, certificates)
                connection.sock = context.wrap_socket(
                    connection.sock, server_hostname=client.server_name
                )
            connection.request("GET", "/", headers={"Host": "front.test", "Connection": "close"})
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0


def client_context(client: Client, certificates: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = client.maximum
    if client.ciphers:
        context.set_ciphers(client.ciphers)
    if client.certificate:
        context.load_cert_chain(
            certificates / f"{client.certificate}.pem",
            certificates / f"{client.certificate}.key",
        )
    return context


@pytest.mark.parametrize("row", [*ROWS, *STARTUP], ids=lambda row: row.name)
def test_what_is_printed_cures_it(outcomes: Mapping[str, Outcome], row: Row) -> None:
    came = outcomes[row.name]
    assert came.failed != row.fixed, "it was not ill"
    assert came.directives, (row.cause, came.lines)
    assert came.fixed == row.fixed, (came.directives, came.lines)
