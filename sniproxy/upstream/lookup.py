"""One name on its way through DNS: what has been answered, and what comes of it (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .dns import (
    ERRORS,
    HOST_NOT_FOUND,
    DNSQuery,
    DNSResponse,
    FormErrError,
    InvalidNameError,
    MalformedResponseError,
    RecordType,
    make_query,
)

TIMED_OUT = 110
NO_ADDRESS = "no A or CNAME types in DNS response"


class ResolveError(Exception):
    """A name without an address: a code of DNS, or 110 where nobody has answered in time."""

    def __init__(self, code: int) -> None:
        words = "Operation timed out" if code == TIMED_OUT else ERRORS.get(code, "Unknown error")
        super().__init__(f"{code}: {words}")
        self.code = code


@dataclass(frozen=True, slots=True)
class CNAME:
    """The name has another one (CNAME)."""

    name: str


@dataclass(frozen=True, slots=True)
class AddressSet:
    """The addresses of a name, IPv4 first."""

    ipv4: tuple[str, ...] = ()
    ipv6: tuple[str, ...] = ()


QueryResult = AddressSet | CNAME | ResolveError


@dataclass(slots=True)
class ResolverQuery:
    """The questions that one name takes, until all are answered or nobody asks any more."""

    name: str
    open: dict[RecordType, DNSQuery]
    """Those that have no answer yet."""
    found: dict[RecordType, tuple[str, ...]] = field(default_factory=dict)
    over_tcp: set[RecordType] = field(default_factory=set)
    """Those that are asked over TCP, since an answer was too long."""
    code: int = 0
    ttl: int = 2**32 - 1
    notes: list[str] = field(default_factory=list)
    """What the log is told."""

    @classmethod
    def of(cls, name: str, kinds: Iterable[RecordType]) -> ResolverQuery:
        """Raises `Unresolved` where that is no name, which nobody need be asked."""
        try:
            return cls(name, {kind: make_query(name, kind) for kind in kinds})
        except InvalidNameError:
            raise ResolveError(HOST_NOT_FOUND) from None

    def take(self, reply: DNSResponse, *, over_tcp: bool = False) -> QueryResult | None:
        """What comes of the name with this reply; None while there is more to wait for."""
        asked = self.open.get(reply.kind)
        if reply.name != self.name or asked is None:
            self.notes.append(f"unexpected DNS response for {reply.name}")
            return None
        if reply.truncated and reply.kind in self.over_tcp:
            return None
        if reply.id != asked.id:
            self.notes.append(
                f"wrong ident {reply.id} in DNS response for {reply.name}, expect {asked.id}"
            )
            return None
        if reply.truncated:
            self.over_tcp.add(reply.kind)
            return None
        return self._answered(reply)

    def refused(self, bad: MalformedResponseError) -> None:
        """A reply that is no good: the log is told of it."""
        note = str(bad)
        if isinstance(bad, FormErrError) and any(q.id == bad.id for q in self.open.values()):
            note += f', name:"{self.name}"'
        self.notes.append(note)

    def _answered(self, reply: DNSResponse) -> QueryResult | None:
        code = reply.code or self.code
        if code == 0 and reply.records:
            self.notes += reply.notes
            self.ttl = min(self.ttl, reply.ttl)
        del self.open[reply.kind]
        self.found[reply.kind] = () if code else reply.addresses
        if code or not reply.records:
            return self._without(code)
        if not self.open and any(self.found.values()):
            return self._addresses()
        if reply.alias is not None and not self.open:
            return CNAME(reply.alias)
        if not reply.addresses and reply.alias is None:
            self.notes.append(NO_ADDRESS)
        return None

    def _without(self, code: int) -> QueryResult | None:
        """The outcome once a kind has turned out to have nothing."""
        if self.open:
            self.code = code
            return None
        if code == 0 and any(self.found.values()):
            return self._addresses()
        return ResolveError(code or HOST_NOT_FOUND)

    def _addresses(self) -> AddressSet:
        return AddressSet(self.found.get(RecordType.A, ()), self.found.get(RecordType.AAAA, ()))
