"""The messages of DNS: a question, and what nginx makes of an answer (pure).

nginx reads the question and the answers of a reply, and nothing behind. It takes every address
among the answers, whosever it is, and without one the last alias. What is wrong is refused in
its words. Names and questions are dnspython's; it is imported only where a `resolver` is.
"""

from __future__ import annotations

import enum
import socket
import struct
from dataclasses import dataclass

import dns.exception
import dns.message
import dns.name
import dns.wire

HEADER = struct.Struct("!HHHHHH")
RECORD = struct.Struct("!HHIH")
TRUNCATED = 0x0200
SHORT = "short DNS response"
_A, _CNAME, _AAAA, _DNAME = 1, 5, 28, 39

ERRORS = {
    1: "Format error",
    2: "Server failure",
    3: "Host not found",
    4: "Unimplemented",
    5: "Operation refused",
}
HOST_NOT_FOUND = 3


class RecordType(enum.Enum):
    """What is asked for: a record's type, its length, and the family of the address in it."""

    A = (_A, 4, socket.AF_INET)
    AAAA = (_AAAA, 16, socket.AF_INET6)

    @property
    def type(self) -> int:
        return self.value[0]

    @property
    def length(self) -> int:
        return self.value[1]

    @property
    def family(self) -> socket.AddressFamily:
        return self.value[2]


class MalformedResponseError(Exception):
    """A reply that counts for nothing; `str()` is what the log says of it."""


class FormErrError(MalformedResponseError):
    """A server that has not understood a question."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.id = number


class InvalidNameError(Exception):
    """What is to be looked up is no name at all."""


@dataclass(frozen=True, slots=True)
class DNSQuery:
    """One question as it is sent."""

    id: int
    wire: bytes


@dataclass(frozen=True, slots=True)
class DNSResponse:
    """A reply that is in order."""

    id: int
    name: str
    """That of the question, lower-case."""
    kind: RecordType
    code: int
    """0 is well."""
    truncated: bool
    records: int = 0
    addresses: tuple[str, ...] = ()
    alias: str | None = None
    ttl: int = 2**32 - 1
    notes: tuple[str, ...] = ()
    """What the log says of records that mean nothing."""


def make_query(name: str, kind: RecordType) -> DNSQuery:
    """Ask for the addresses of `name`; raises `NoName`."""
    labels = [label.encode("latin-1") for label in name.split(".")]
    try:
        message = dns.message.make_query(dns.name.Name([*labels, b""]), kind.name)
    except dns.exception.DNSException:
        raise InvalidNameError from None
    return DNSQuery(message.id, message.to_wire())


def parse_response(wire: bytes, *, over_tcp: bool = False) -> DNSResponse:
    """Read a whole message; raises `BadReply`."""
    if len(wire) < HEADER.size:
        raise MalformedResponseError(SHORT)
    number, flags, questions, records, _, _ = HEADER.unpack_from(wire)
    truncated = bool(flags & TRUNCATED)
    if flags & 0xF870 != 0x8000 or (truncated and over_tcp):
        transport = "TCP" if over_tcp else "UDP"
        raise MalformedResponseError(f"invalid {transport} DNS response {number} fl:{flags:04X}")
    code = flags & 0xF
    if code == 1 or code > 5:
        message = f"DNS error ({code}: {ERRORS.get(code, 'Unknown error')}), query id:{number}"
        raise FormErrError(message, number) if code == 1 else MalformedResponseError(message)
    if questions != 1:
        raise MalformedResponseError("invalid number of questions in DNS response")
    parser = dns.wire.Parser(wire, HEADER.size)
    try:
        name, kind = _question(parser, wire, records)
        if code or truncated or not records:
            return DNSResponse(number, name, kind, code, truncated, records)
        return _AnswerSection(wire, kind).read(parser, records).reply(number, name)
    except dns.exception.FormError:
        raise MalformedResponseError(SHORT) from None


def _question(parser: dns.wire.Parser, wire: bytes, records: int) -> tuple[str, RecordType]:
    start = parser.current
    labels = 0
    while (length := parser.get_uint8()) != 0:
        if length & 0xC0:
            raise MalformedResponseError("unexpected compression pointer in DNS response")
        parser.get_bytes(length)
        labels += 1
    if not labels:
        raise MalformedResponseError("zero-length domain name in DNS response")
    asked, asked_class = parser.get_struct("!HH")
    if parser.current + records * (2 + RECORD.size) > len(wire):
        raise MalformedResponseError(SHORT)
    if asked_class != 1:
        raise MalformedResponseError(f"unknown query class {asked_class} in DNS response")
    for kind in RecordType:
        if kind.type == asked:
            return _name_at(wire, start), kind
    raise MalformedResponseError(f"unknown query type {asked} in DNS response")


class _AnswerSection:
    """The answers of one reply as they are read."""

    def __init__(self, wire: bytes, kind: RecordType) -> None:
        self.wire = wire
        self.kind = kind
        self.addresses: list[str] = []
        self.alias_at: int | None = None
        self.ttl = 2**32 - 1
        self.notes: list[str] = []

    def read(self, parser: dns.wire.Parser, records: int) -> _AnswerSection:
        self.records = records
        for _ in range(records):
            self._record(parser)
        return self

    def reply(self, number: int, name: str) -> DNSResponse:
        alias = None
        if self.alias_at is not None and not self.addresses:
            alias = _name_at(self.wire, self.alias_at)
        return DNSResponse(
            number, name, self.kind, 0, False, self.records,
            tuple(self.addresses), alias, self.ttl, tuple(self.notes),
        )  # fmt: skip

    def _record(self, parser: dns.wire.Parser) -> None:
        _skip_owner(parser)
        kind, its_class, ttl, length = parser.get_struct(RECORD.format)
        if its_class != 1:
            raise MalformedResponseError(f"unexpected RR class {its_class} in DNS response")
        self.ttl = min(self.ttl, 0 if ttl >= 2**31 else ttl)
        if kind in (_A, _AAAA):
            self._address(parser, RecordType.A if kind == _A else RecordType.AAAA, length)
            return
        if kind == _CNAME:
            self.alias_at = parser.current
        elif kind != _DNAME:
            self.notes.append(f"unexpected RR type {kind} in DNS response")
        parser.get_bytes(length)

    def _address(self, parser: dns.wire.Parser, kind: RecordType, length: int) -> None:
        if kind is not self.kind:
            raise MalformedResponseError(f"unexpected {kind.name} record in DNS response")
        if length != kind.length:
            raise MalformedResponseError(f"invalid {kind.name} record in DNS response")
        self.addresses.append(socket.inet_ntop(kind.family, parser.get_bytes(length)))


def _skip_owner(parser: dns.wire.Parser) -> None:
    """Whose record it is does not matter, nor where a pointer leads."""
    start = parser.current
    while True:
        length = parser.get_uint8()
        if length & 0xC0:
            parser.get_uint8()
            return
        if not length:
            break
        parser.get_bytes(length)
    if parser.current - start < 2:
        raise MalformedResponseError("invalid name in DNS response")


def _name_at(wire: bytes, position: int) -> str:
    try:
        name, _ = dns.name.from_wire(wire, position)
    except dns.name.BadLabelType:
        raise MalformedResponseError("invalid label type in DNS response") from None
    except dns.name.BadPointer:
        raise MalformedResponseError("compression pointers loop in DNS response") from None
    except dns.exception.DNSException:
        raise MalformedResponseError("name is out of DNS response") from None
    return b".".join(name.labels[:-1]).decode("latin-1").lower()
