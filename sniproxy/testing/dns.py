"""A DNS server for tests, over UDP and TCP, whose responses are made by a function.

    async with open_name_server(respond) as server:
        ...                             # a proxy resolves with 127.0.0.1:server.port
        server.queries                  # [DNSQuery("a.test", "A", tcp=False), …]

The function gets a query and returns the messages to send, none for no response. `reply` makes
a message; its options make malformed ones.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import trio

HOST = "127.0.0.1"
TYPES = {"A": 1, "NS": 2, "CNAME": 5, "TXT": 16, "AAAA": 28, "SRV": 33, "DNAME": 39}
_NAMES = {number: name for name, number in TYPES.items()}
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)


@dataclass(frozen=True, slots=True)
class DNSQuery:
    """The question of one query."""

    name: str
    type: str
    """A name in `TYPES`, else the number of the type."""
    tcp: bool = False
    id: int = field(default=0, compare=False)


Responder = Callable[[DNSQuery], Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class DNSRecord:
    """A resource record; `owner` None is the name in the question."""

    type: str
    data: bytes
    ttl: int = 60
    owner: bytes | None = None
    record_class: int = 1
    length: int | None = None
    """RDLENGTH, if it is to differ from the real length of `data`."""


def a(address: str, ttl: int = 60) -> DNSRecord:
    return DNSRecord("A", socket.inet_aton(address), ttl)


def aaaa(address: str, ttl: int = 60) -> DNSRecord:
    return DNSRecord("AAAA", socket.inet_pton(socket.AF_INET6, address), ttl)


def cname(name: str, ttl: int = 60) -> DNSRecord:
    return DNSRecord("CNAME", name_bytes(name), ttl)


def srv(priority: int, weight: int, port: int, target: str, ttl: int = 60) -> DNSRecord:
    fixed = struct.pack("!HHH", priority, weight, port)
    return DNSRecord("SRV", fixed + name_bytes(target), ttl)


def name_bytes(name: str) -> bytes:
    labels = [label.encode("latin-1") for label in name.split(".") if label]
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def reply(
    query: DNSQuery,
    *records: DNSRecord,
    code: int = NOERROR,
    truncated: bool = False,
    wrong_id: int = 0,
    flags: int = 0x8180,
    questions: int = 1,
    name: bytes | None = None,
    question_type: int | None = None,
    question_class: int = 1,
    answers: int | None = None,
    rest: bytes = b"",
) -> bytes:
    """A response message; the options make it differ from a well-formed one.

    `wrong_id` is added to the ID of the query, `questions` and `answers` replace the counts in
    the header, and `rest` follows the records.
    """
    header = struct.pack(
        "!HHHHHH",
        (query.id + wrong_id) & 0xFFFF,
        flags | code | (0x0200 if truncated else 0),
        questions,
        len(records) if answers is None else answers,
        0,
        0,
    )
    owner = name_bytes(query.name) if name is None else name
    number = question_type or TYPES.get(query.type) or int(query.type)
    question = owner + struct.pack("!HH", number, question_class)
    return header + question + b"".join(map(_record, records)) + rest


def _record(record: DNSRecord) -> bytes:
    owner = b"\xc0\x0c" if record.owner is None else record.owner
    number = TYPES.get(record.type) or int(record.type)
    length = len(record.data) if record.length is None else record.length
    fixed = struct.pack("!HHIH", number, record.record_class, record.ttl & 0xFFFFFFFF, length)
    return owner + fixed + record.data


def read_question(message: bytes, *, tcp: bool = False) -> DNSQuery:
    labels = []
    position = 12
    while length := message[position]:
        labels.append(message[position + 1 : position + 1 + length].decode("latin-1"))
        position += 1 + length
    (number,) = struct.unpack_from("!H", message, position + 1)
    return DNSQuery(
        ".".join(labels), _NAMES.get(number, str(number)), tcp, int.from_bytes(message[:2], "big")
    )


class FakeNameServer:
    """A DNS server on 127.0.0.1:`port`; `respond` may be replaced while it runs."""

    def __init__(self, respond: Responder) -> None:
        self.respond = respond
        self.queries: list[DNSQuery] = []
        self._udp = trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._tcp = trio.socket.socket()
        self.port = 0

    async def open(self) -> None:
        """Bind UDP and TCP sockets to the same free port."""
        while not self.port:
            await self._udp.bind((HOST, 0))
            port = self._udp.getsockname()[1]
            try:
                await self._tcp.bind((HOST, port))
            except OSError:
                self._udp.close()
                self._udp = trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                continue
            self.port = port
        self._tcp.listen()

    async def run(self) -> None:
        """Serve until cancelled."""
        with self._udp, self._tcp:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._serve_tcp, nursery)
                while True:
                    message, address = await self._udp.recvfrom(65535)
                    for answer in self._respond(read_question(message)):
                        with contextlib.suppress(OSError):
                            await self._udp.sendto(answer, address)

    def _respond(self, query: DNSQuery) -> Sequence[bytes]:
        self.queries.append(query)
        return self.respond(query)

    async def _serve_tcp(self, nursery: trio.Nursery) -> None:
        while True:
            sock, _ = await self._tcp.accept()
            nursery.start_soon(self._serve_connection, trio.SocketStream(sock))

    async def _serve_connection(self, stream: trio.SocketStream) -> None:
        received = b""
        with contextlib.suppress(trio.BrokenResourceError):
            async with stream:
                async for data in stream:
                    received += data
                    while len(received) >= 2 and len(received) >= (
                        end := 2 + int.from_bytes(received[:2], "big")
                    ):
                        query = read_question(received[2:end], tcp=True)
                        received = received[end:]
                        for answer in self._respond(query):
                            await stream.send_all(len(answer).to_bytes(2, "big") + answer)


@contextlib.asynccontextmanager
async def open_name_server(respond: Responder) -> AsyncIterator[FakeNameServer]:
    """Run a DNS server until the block ends."""
    server = FakeNameServer(respond)
    await server.open()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        try:
            yield server
        finally:
            nursery.cancel_scope.cancel()
