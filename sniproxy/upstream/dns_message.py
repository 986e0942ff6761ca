"""DNS queries, and responses as nginx's resolver reads them (ngx_resolver.c).

dnspython builds the queries, decodes names and bounds every read. Responses are not read with
`dns.message.from_wire`, and sockets not with `dns.asyncquery`, because nginx's log messages
could not be kept: with `from_wire` 13 of the 48 responses in tests/upstream/test_destinations.py
are logged or resolved differently (it reads the sections that nginx ignores, and reports every
malformed record as one error), and `asyncquery` drops responses with another id or raises one
`BadResponse` for all of them.

nginx reads the question and the answer section only. It takes every address among the answers
whatever its owner, or the last CNAME if there is no address.
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
_SERVICE = struct.Struct("!HHH")
TRUNCATED = 0x0200
SHORT_RESPONSE = "short DNS response"
_A, _CNAME, _AAAA, _SRV, _DNAME = 1, 5, 28, 33, 39

ERRORS = {
    1: "Format error",
    2: "Server failure",
    3: "Host not found",
    4: "Unimplemented",
    5: "Operation refused",
}
HOST_NOT_FOUND = 3


class RecordType(enum.Enum):
    """Record types that are queried: number, and for addresses the length of the data in bytes and
    the address family."""

    A = (_A, 4, socket.AF_INET)
    AAAA = (_AAAA, 16, socket.AF_INET6)
    SRV = (_SRV, 0, socket.AF_UNSPEC)

    @property
    def number(self) -> int:
        return self.value[0]

    @property
    def length(self) -> int:
        return self.value[1]

    @property
    def family(self) -> socket.AddressFamily:
        return self.value[2]


class MalformedResponseError(Exception):
    """The response is ignored; `str()` is nginx's log message."""


class FormErrError(MalformedResponseError):
    """The server answered FORMERR to the query with this id."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.id = number


class InvalidNameError(Exception):
    """The text is not a valid domain name."""


@dataclass(frozen=True, slots=True)
class QueryMessage:
    """A query message."""

    id: int
    wire: bytes


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """An SRV record."""

    priority: int
    weight: int
    """At least 1."""
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class DNSResponse:
    """A well-formed response."""

    id: int
    name: str
    """Name in the question section, lower-case."""
    type: RecordType
    code: int
    """RCODE; 0 is success."""
    truncated: bool
    records: int = 0
    addresses: tuple[str, ...] = ()
    services: tuple[ServiceRecord, ...] = ()
    """By priority."""
    cname: str | None = None
    ttl: int = 2**32 - 1
    log_messages: tuple[str, ...] = ()
    """Messages about records that were ignored."""


def make_query(name: str, record_type: RecordType) -> QueryMessage:
    """Build a query for the addresses of `name`. Raises `InvalidNameError`."""
    labels = [label.encode("latin-1") for label in name.split(".")]
    try:
        message = dns.message.make_query(dns.name.Name([*labels, b""]), record_type.name)
    except dns.exception.DNSException:
        raise InvalidNameError from None
    return QueryMessage(message.id, message.to_wire())


def parse_response(wire: bytes, *, over_tcp: bool = False) -> DNSResponse:
    """Parse a response message. Raises `MalformedResponseError`."""
    if len(wire) < HEADER.size:
        raise MalformedResponseError(SHORT_RESPONSE)
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
        name, record_type = _question(parser, wire, records)
        if code or truncated or not records:
            return DNSResponse(number, name, record_type, code, truncated, records)
        return _AnswerSection(wire, record_type).read(parser, records).response(number, name)
    except dns.exception.FormError:
        raise MalformedResponseError(SHORT_RESPONSE) from None


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
    type_number, query_class = parser.get_struct("!HH")
    if parser.current + records * (2 + RECORD.size) > len(wire):
        raise MalformedResponseError(SHORT_RESPONSE)
    if query_class != 1:
        raise MalformedResponseError(f"unknown query class {query_class} in DNS response")
    for record_type in RecordType:
        if record_type.number == type_number:
            return _name_at(wire, start), record_type
    raise MalformedResponseError(f"unknown query type {type_number} in DNS response")


class _AnswerSection:
    """Collects the records of one answer section."""

    def __init__(self, wire: bytes, record_type: RecordType) -> None:
        self.wire = wire
        self.type = record_type
        self.addresses: list[str] = []
        self.services: list[ServiceRecord] = []
        self.cname_offset: int | None = None
        self.ttl = 2**32 - 1
        self.log_messages: list[str] = []

    def read(self, parser: dns.wire.Parser, records: int) -> _AnswerSection:
        self.records = records
        for _ in range(records):
            self._record(parser)
        return self

    def response(self, number: int, name: str) -> DNSResponse:
        alias = None
        if self.cname_offset is not None and not (self.addresses or self.services):
            alias = _name_at(self.wire, self.cname_offset)
        self.services.sort(key=lambda service: service.priority)
        return DNSResponse(
            number, name, self.type, 0, False, self.records,
            tuple(self.addresses), tuple(self.services), alias, self.ttl,
            tuple(self.log_messages),
        )  # fmt: skip

    def _record(self, parser: dns.wire.Parser) -> None:
        _skip_owner(parser)
        record_type, record_class, ttl, length = parser.get_struct(RECORD.format)
        if record_class != 1:
            raise MalformedResponseError(f"unexpected RR class {record_class} in DNS response")
        self.ttl = min(self.ttl, 0 if ttl >= 2**31 else ttl)
        if self.type is RecordType.SRV:
            if record_type == _SRV:
                self._service(parser, length)
                return
        elif record_type in (_A, _AAAA):
            self._address(parser, RecordType.A if record_type == _A else RecordType.AAAA, length)
            return
        if record_type == _CNAME:
            self.cname_offset = parser.current
        elif record_type != _DNAME:
            self.log_messages.append(f"unexpected RR type {record_type} in DNS response")
        parser.get_bytes(length)

    def _address(self, parser: dns.wire.Parser, record_type: RecordType, length: int) -> None:
        if record_type is not self.type:
            raise MalformedResponseError(f"unexpected {record_type.name} record in DNS response")
        if length != record_type.length:
            raise MalformedResponseError(f"invalid {record_type.name} record in DNS response")
        self.addresses.append(socket.inet_ntop(record_type.family, parser.get_bytes(length)))

    def _service(self, parser: dns.wire.Parser, length: int) -> None:
        priority, weight, port = parser.get_struct(_SERVICE.format)
        target = _name_at(self.wire, parser.current)
        # As in nginx the length need not be that of the name, nor end within the message.
        parser.seek(min(parser.current - _SERVICE.size + length, len(self.wire)))
        self.services.append(ServiceRecord(priority, weight or 1, port, target))


def _skip_owner(parser: dns.wire.Parser) -> None:
    """Skip the owner name of a record; nginx neither compares it nor follows its pointer."""
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
