"""A name server for tests: answers as a script says, by UDP and TCP, well or badly.

async with open_name_server(answers) as server:
    ...                             # a proxy asks 127.0.0.1:server.port
    server.asked                    # [Asked("a.test", "A", tcp=False), …]

The script is a function: what was asked → the messages that are sent back, none to be silent.
`reply` makes a message in order, and its options make one that is not.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import trio

HOST = "127.0.0.1"
TYPES = {"A": 1, "NS": 2, "CNAME": 5, "TXT": 16, "AAAA": 28, "DNAME": 39}
_NAMES = {number: name for name, number in TYPES.items()}
FOUND, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)


@dataclass(frozen=True, slots=True)
class Asked:
    """One question."""

    name: str
    type: str
    """`A`, `AAAA`, or a number."""
    tcp: bool = False
    id: int = field(default=0, compare=False)


Script = Callable[[Asked], Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class Record:
    """One answer; `owner` is the name asked for where it is None."""

    type: str
    data: bytes
    ttl: int = 60
    owner: bytes | None = None
    record_class: int = 1
    length: int | None = None
    """What the record says of its length, where that is a lie."""


def a(address: str, ttl: int = 60) -> Record:
    return Record("A", socket.inet_aton(address), ttl)


def aaaa(address: str, ttl: int = 60) -> Record:
    return Record("AAAA", socket.inet_pton(socket.AF_INET6, address), ttl)


def cname(name: str, ttl: int = 60) -> Record:
    return Record("CNAME", name_bytes(name), ttl)


def name_bytes(name: str) -> bytes:
    labels = [label.encode("latin-1") for label in name.split(".") if label]
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def reply(
    asked: Asked,
    *records: Record,
    code: int = FOUND,
    truncated: bool = False,
    wrong_id: int = 0,
    flags: int = 0x8180,
    questions: int = 1,
    name: bytes | None = None,
    asked_type: int | None = None,
    question_class: int = 1,
    answers: int | None = None,
    rest: bytes = b"",
) -> bytes:
    """A message; the options say where it differs from a good one."""
    header = struct.pack(
        "!HHHHHH",
        (asked.id + wrong_id) & 0xFFFF,
        flags | code | (0x0200 if truncated else 0),
        questions,
        len(records) if answers is None else answers,
        0,
        0,
    )
    owner = name_bytes(asked.name) if name is None else name
    number = asked_type or TYPES.get(asked.type) or int(asked.type)
    question = owner + struct.pack("!HH", number, question_class)
    return header + question + b"".join(map(_record, records)) + rest


def _record(record: Record) -> bytes:
    owner = b"\xc0\x0c" if record.owner is None else record.owner
    number = TYPES.get(record.type) or int(record.type)
    length = len(record.data) if record.length is None else record.length
    fixed = struct.pack("!HHIH", number, record.record_class, record.ttl & 0xFFFFFFFF, length)
    return owner + fixed + record.data


def read_question(message: bytes, *, tcp: bool = False) -> Asked:
    labels = []
    position = 12
    while length := message[position]:
        labels.append(message[position + 1 : position + 1 + length].decode("latin-1"))
        position += 1 + length
    (number,) = struct.unpack_from("!H", message, position + 1)
    return Asked(
        ".".join(labels), _NAMES.get(number, str(number)), tcp, int.from_bytes(message[:2], "big")
    )


class NameServer:
    """A server on its port; `script` may be replaced while it runs."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self._udp = trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._tcp = trio.socket.socket()
        self.port = 0

    async def open(self) -> None:
        """Take the same port for both."""
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
        """Answer until cancelled."""
        with self._udp, self._tcp:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._serve_tcp, nursery)
                while True:
                    message, address = await self._udp.recvfrom(65535)
                    for answer in self._answers(read_question(message)):
                        with contextlib.suppress(OSError):
                            await self._udp.sendto(answer, address)

    def _answers(self, asked: Asked) -> Sequence[bytes]:
        self.asked.append(asked)
        return self.script(asked)

    async def _serve_tcp(self, nursery: trio.Nursery) -> None:
        while True:
            sock, _ = await self._tcp.accept()
            nursery.start_soon(self._converse, trio.SocketStream(sock))

    async def _converse(self, stream: trio.SocketStream) -> None:
        heard = b""
        with contextlib.suppress(trio.BrokenResourceError):
            async with stream:
                async for data in stream:
                    heard += data
                    while len(heard) >= 2 and len(heard) >= (
                        end := 2 + int.from_bytes(heard[:2], "big")
                    ):
                        asked = read_question(heard[2:end], tcp=True)
                        heard = heard[end:]
                        for answer in self._answers(asked):
                            await stream.send_all(len(answer).to_bytes(2, "big") + answer)


@contextlib.asynccontextmanager
async def open_name_server(script: Script) -> AsyncIterator[NameServer]:
    """A name server that ends with the block."""
    server = NameServer(script)
    await server.open()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        try:
            yield server
        finally:
            nursery.cancel_scope.cancel()
