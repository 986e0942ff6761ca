"""What the responses to a DNS query mean, as nginx's resolver reads them (pure; ngx_resolver.c)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .dns_message import (
    ERRORS,
    HOST_NOT_FOUND,
    DNSResponse,
    FormErrError,
    InvalidNameError,
    MalformedResponseError,
    QueryMessage,
    RecordType,
    ServiceRecord,
    make_query,
)

TIMED_OUT = 110
NO_ADDRESS = "no A or CNAME types in DNS response"
NO_SERVICE = "no SRV type in DNS response"


class ResolveError(Exception):
    """The name has no address: `code` is an RCODE, or `TIMED_OUT`."""

    def __init__(self, code: int) -> None:
        words = "Operation timed out" if code == TIMED_OUT else ERRORS.get(code, "Unknown error")
        super().__init__(f"{code}: {words}")
        self.code = code


@dataclass(frozen=True, slots=True)
class CNAME:
    """The name is an alias."""

    name: str


@dataclass(frozen=True, slots=True)
class AddressSet:
    """The addresses of a name, IPv4 first."""

    ipv4: tuple[str, ...] = ()
    ipv6: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceSet:
    """The SRV records of a name."""

    records: tuple[ServiceRecord, ...]
    """By priority."""


QueryResult = AddressSet | ServiceSet | CNAME | ResolveError


@dataclass(slots=True)
class ResolverQuery:
    """The A and AAAA queries for one name and what has been answered so far (no I/O)."""

    name: str
    unanswered: dict[RecordType, QueryMessage]
    """Queries without an answer so far."""
    answers: dict[RecordType, tuple[str, ...]] = field(default_factory=dict)
    over_tcp: set[RecordType] = field(default_factory=set)
    """Record types that are queried over TCP because the UDP response was truncated."""
    code: int = 0
    ttl: int = 2**32 - 1
    log_messages: list[str] = field(default_factory=list)
    """Messages to be logged."""

    @property
    def key(self) -> str:
        """The name in the cache."""
        return service_key(self.name) if self._asks_services else self.name

    @property
    def _asks_services(self) -> bool:
        return RecordType.SRV in self.answers or RecordType.SRV in self.unanswered

    @classmethod
    def create(cls, name: str, record_types: Iterable[RecordType]) -> ResolverQuery:
        """Raises `ResolveError` if `name` is not a valid name; nothing is sent then."""
        try:
            return cls(
                name, {record_type: make_query(name, record_type) for record_type in record_types}
            )
        except InvalidNameError:
            raise ResolveError(HOST_NOT_FOUND) from None

    def handle_response(self, response: DNSResponse) -> QueryResult | None:
        """Process a response. Returns the result, or None while answers are missing."""
        query = self.unanswered.get(response.type)
        if response.name != self.name or query is None:
            self.log_messages.append(f"unexpected DNS response for {response.name}")
            return None
        if response.truncated and response.type in self.over_tcp:
            return None
        if response.id != query.id:
            self.log_messages.append(
                f"wrong ident {response.id} in DNS response for {response.name}, expect {query.id}"
            )
            return None
        if response.truncated:
            self.over_tcp.add(response.type)
            return None
        return self._handle_answer(response)

    def handle_malformed(self, error: MalformedResponseError) -> None:
        """Note a response that was ignored."""
        note = str(error)
        if isinstance(error, FormErrError) and any(
            q.id == error.id for q in self.unanswered.values()
        ):
            note += f', name:"{self.name}"'
        self.log_messages.append(note)

    def _handle_answer(self, response: DNSResponse) -> QueryResult | None:
        code = response.code or self.code
        if code == 0 and response.records:
            self.log_messages += response.log_messages
            self.ttl = min(self.ttl, response.ttl)
        del self.unanswered[response.type]
        self.answers[response.type] = () if code else response.addresses
        if code or not response.records:
            return self._finish_without_address(code)
        if response.services:
            return ServiceSet(response.services)
        if not self.unanswered and any(self.answers.values()):
            return self._address_set()
        if response.cname is not None and not self.unanswered:
            return CNAME(response.cname)
        if not response.addresses and response.cname is None:
            is_service = response.type is RecordType.SRV
            self.log_messages.append(NO_SERVICE if is_service else NO_ADDRESS)
        return None

    def _finish_without_address(self, code: int) -> QueryResult | None:
        """Process an answer without records: the result, or None while answers are missing."""
        if self.unanswered:
            self.code = code
            return None
        if code == 0 and any(self.answers.values()):
            return self._address_set()
        return ResolveError(code or HOST_NOT_FOUND)

    def _address_set(self) -> AddressSet:
        return AddressSet(self.answers.get(RecordType.A, ()), self.answers.get(RecordType.AAAA, ()))


def service_key(name: str) -> str:
    """The name in the cache for the SRV records of a name."""
    return f"SRV {name}"
