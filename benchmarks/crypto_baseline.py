"""Measure the cost of the cryptography alone: `python -m benchmarks crypto_baseline`.

No proxy on this OpenSSL can be cheaper. Both sides of a connection run in memory, with the TLS
settings of the cases, and without sockets, HTTP or a scheduler. The CPU time of each side is
measured separately, since a proxy is the server of its client and the client of its upstream. The
calls go through pyOpenSSL, as sniproxy's do, which costs some 20 µs per handshake.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from OpenSSL import SSL

from benchmarks.cases import CASES, HANDSHAKES, MIB, PUBLISHED, Case, Mode
from benchmarks.certificates import write_certificates
from benchmarks.discovery import openssl_version
from benchmarks.wire import GROUP
from sniproxy.tls import openssl

REPEATED = 300
MEBIBYTES_MOVED = 64
RECORD = 16384
CHUNK = 65536


@dataclass(slots=True)
class Side:
    """One side of a connection, with the CPU time of its calls in µs."""

    connection: SSL.Connection
    microseconds: float = 0.0
    done: bool = False

    def handshake(self) -> None:
        began = time.process_time_ns()
        try:
            self.connection.do_handshake()
            self.done = True
        except SSL.WantReadError:
            pass
        self._took(began)

    def send(self, data: bytes) -> None:
        began = time.process_time_ns()
        self.connection.sendall(data)
        self._took(began)

    def receive(self) -> int:
        """Read one record; returns its size in bytes, 0 if none is complete."""
        began = time.process_time_ns()
        try:
            return len(self.connection.recv(RECORD))
        except SSL.WantReadError:
            return 0
        finally:
            self._took(began)

    def give(self, other: Side) -> None:
        """All that is to go to the other side; moving it is not counted."""
        try:
            while data := self.connection.bio_read(CHUNK):
                other.connection.bio_write(data)
        except SSL.WantReadError:
            pass

    def _took(self, began: int) -> None:
        self.microseconds += (time.process_time_ns() - began) / 1e3


@dataclass(frozen=True, slots=True)
class Costs:
    """CPU µs of each side, of one handshake or one MiB."""

    server: float
    client: float


class Pair:
    """A client and a server of one configuration."""

    def __init__(self, directory: Path, key: str) -> None:
        self._server = _alike(SSL.Context(SSL.TLS_SERVER_METHOD))
        self._server.use_certificate_chain_file(str(directory / f"{key}.crt"))
        self._server.use_privatekey_file(str(directory / f"{key}.key"))
        self._server.set_session_id(b"floor")
        self._client = _alike(SSL.Context(SSL.TLS_CLIENT_METHOD))

    def connect(self, session: SSL.Session | None = None) -> tuple[Side, Side]:
        """A server and a client that have shaken hands, the server's tickets delivered."""
        server = Side(SSL.Connection(self._server, None))
        client = Side(SSL.Connection(self._client, None))
        server.connection.set_accept_state()
        client.connection.set_connect_state()
        if session is not None:
            client.connection.set_session(session)
        while not (server.done and client.done):
            for side, other in ((client, server), (server, client)):
                if not side.done:
                    side.handshake()
                side.give(other)
        client.receive()
        return server, client

    def handshakes(self, resumed: bool) -> Costs:
        costs = []
        # The connection of a session stays until the next has it: OpenSSL takes one that ends
        # without a word for broken, and its session with it.
        server, client = self.connect()
        for _ in range(REPEATED):
            server, client = self.connect(client.connection.get_session() if resumed else None)
            assert openssl.resumed(client.connection._ssl) is resumed
            costs.append(Costs(server.microseconds, client.microseconds))
        return Costs(median(c.server for c in costs), median(c.client for c in costs))

    def mebibyte(self) -> Costs:
        """From the server to the client: one encrypts, the other decrypts."""
        server, client = self.connect()
        server.microseconds = client.microseconds = 0.0
        data = bytes(RECORD)
        for _ in range(MEBIBYTES_MOVED * MIB // RECORD):
            server.send(data)
            server.give(client)
            client.receive()
        return Costs(server.microseconds / MEBIBYTES_MOVED, client.microseconds / MEBIBYTES_MOVED)


def _alike(context: SSL.Context) -> SSL.Context:
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    assert openssl.set_groups(context, GROUP.encode())
    return context


def crypto_baseline() -> dict[str, float]:
    """CPU µs of the crypto that a proxy has to do in each case, for one unit of it, by letter. The
    upstream's certificate is ECDSA in all of them."""
    with tempfile.TemporaryDirectory(prefix="floor-") as name:
        directory = Path(name)
        write_certificates(directory)
        pairs = {key: Pair(directory, key) for key in ("ecdsa", "rsa")}
    costs = {
        (key, mode): pair.handshakes(mode is Mode.RESUMED)
        for key, pair in pairs.items()
        for mode in (Mode.FULL, Mode.RESUMED)
    }
    found = {
        case.letter: _client(case, costs) + _upstream(case, costs)
        for case in PUBLISHED
        if case.kind is HANDSHAKES
    }
    moved = pairs["ecdsa"].mebibyte()
    return found | {"g": moved.server + moved.client}


def _client(case: Case, costs: Mapping[tuple[str, Mode], Costs]) -> float:
    return costs[case.key, case.client].server


def _upstream(case: Case, costs: Mapping[tuple[str, Mode], Costs]) -> float:
    if case.upstream in (Mode.NONE, Mode.KEEPALIVE, Mode.CACHED):
        return 0.0
    return costs["ecdsa", case.upstream].client


def main() -> int:
    """Prints the table."""
    print(f"crypto alone, both sides in memory, OpenSSL {openssl_version()}; CPU µs")
    for letter, microseconds in crypto_baseline().items():
        case = CASES[letter]
        print(f"   {letter:3} {case.title:55} {microseconds:8.1f} a {case.kind.unit}")
    return 0
