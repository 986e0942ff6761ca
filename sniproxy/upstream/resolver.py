"""The `resolver` directive: asynchronous DNS lookups with a cache (ngx_resolver.c).

    addresses() -> cache -> query in flight -> UDP, then TCP for truncated responses

Concurrent lookups of a name share one query. The query is sent to the name servers in index, the
next one every `RESEND_INTERVAL`, until it has a result or no caller waits for it. Failures are not
cached. Directives: `resolver`, `resolver_timeout`.
"""

from __future__ import annotations

import errno
import math
import os
import random
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import trio

from ..config.directives.resolver import ResolverSettings
from ..logs.error import ErrorLog
from ..models import Level
from .dns_message import (
    ERRORS,
    HOST_NOT_FOUND,
    DNSResponse,
    FormErrError,
    InvalidNameError,
    MalformedResponseError,
    QueryMessage,
    RecordType,
    make_query,
    parse_response,
)

RESEND_INTERVAL = 5.0
"""Seconds until the query is sent to the next server."""
TCP_TIMEOUT = 5.0
EXPIRE = 30.0
"""Seconds after its last use when a cache entry may be removed."""
MAX_CNAME_DEPTH = 50
"""NGX_RESOLVER_MAX_RECURSION."""
UDP_SIZE = 4096
TIMED_OUT = 110
NO_ADDRESS = "no A or CNAME types in DNS response"


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


QueryResult = AddressSet | CNAME | ResolveError


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
        if not self.unanswered and any(self.answers.values()):
            return self._address_set()
        if response.cname is not None and not self.unanswered:
            return CNAME(response.cname)
        if not response.addresses and response.cname is None:
            self.log_messages.append(NO_ADDRESS)
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


@dataclass(frozen=True, slots=True)
class DNSServer:
    """The address of a name server."""

    family: int
    sockaddr: tuple[str, int] | tuple[str, int, int, int]
    name: str
    """`ADDRESS:PORT`, as log lines show it."""


@dataclass(slots=True)
class _CacheEntry:
    result: AddressSet | CNAME
    valid_until: int
    """Clock reading in whole seconds, inclusive."""
    last_used: int


@dataclass(slots=True, eq=False)
class _InflightQuery:
    """A query being sent, shared by `waiters` lookups."""

    query: ResolverQuery
    done: trio.Event = field(default_factory=trio.Event)
    waiters: int = 0
    result: QueryResult | None = None


class Resolver:
    """Resolves names with the servers of one `resolver` directive."""

    def __init__(
        self,
        settings: ResolverSettings,
        servers: Sequence[DNSServer],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._servers = servers
        self._clock = clock
        self._types = [
            record_type
            for record_type, enabled in (
                (RecordType.A, settings.ipv4),
                (RecordType.AAAA, settings.ipv6),
            )
            if enabled
        ]
        self._next_server = 0
        self._cache: OrderedDict[str, _CacheEntry] = OrderedDict()
        self._inflight: dict[str, _InflightQuery] = {}
        self._nursery: trio.Nursery | None = None
        self._log = ErrorLog(())

    async def run(self, log: ErrorLog) -> None:
        """Run queries until cancelled; `addresses` needs it to be running.

        `log` is the main-level error log: queries belong to no connection.
        """
        self._log = log
        async with trio.open_nursery() as self._nursery:
            await trio.sleep_forever()

    async def addresses(self, name: str, timeout: float) -> tuple[str, ...]:
        """Resolve `name` within `timeout` seconds; 0 means no limit.

        New results come in the order of the response, cached ones are rotated. Raises
        `ResolveError`.
        """
        with trio.move_on_after(timeout or math.inf):
            name = name.removesuffix(".").lower()
            for _ in range(MAX_CNAME_DEPTH + 1):
                result = self._find_cached(name)
                if result is None:
                    result = await self._query(name)
                    ordered = isinstance(result, AddressSet) and (*result.ipv4, *result.ipv6)
                else:
                    ordered = isinstance(result, AddressSet) and rotate(result)
                if ordered:
                    return ordered
                assert isinstance(result, CNAME)
                name = result.name
            raise ResolveError(HOST_NOT_FOUND)
        raise ResolveError(TIMED_OUT)

    # --- cache ---

    def _find_cached(self, name: str) -> AddressSet | CNAME | None:
        entry = self._cache.get(name)
        if entry is None or entry.valid_until < int(self._clock()):
            return None
        entry.last_used = int(self._clock())
        self._cache.move_to_end(name)
        return entry.result

    def _add_to_cache(self, query: ResolverQuery, result: AddressSet | CNAME) -> None:
        now = int(self._clock())
        seconds = self._settings.valid
        valid = now + (query.ttl if seconds is None else int(seconds))
        self._cache[query.name] = _CacheEntry(result, valid, now)
        self._cache.move_to_end(query.name)
        for name in list(self._cache)[:2]:
            if now - self._cache[name].last_used > EXPIRE:
                del self._cache[name]

    # --- queries ---

    async def _query(self, name: str) -> AddressSet | CNAME:
        inflight = self._inflight.get(name)
        if inflight is None:
            assert self._nursery is not None
            inflight = self._inflight[name] = _InflightQuery(
                ResolverQuery.create(name, self._types)
            )
            self._nursery.start_soon(self._run_query, inflight)
        inflight.waiters += 1
        try:
            await inflight.done.wait()
        finally:
            inflight.waiters -= 1
        assert inflight.result is not None
        if isinstance(inflight.result, ResolveError):
            raise ResolveError(inflight.result.code)
        return inflight.result

    async def _run_query(self, inflight: _InflightQuery) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._query_servers, inflight, nursery)
            await inflight.done.wait()
            nursery.cancel_scope.cancel()

    async def _query_servers(self, inflight: _InflightQuery, nursery: trio.Nursery) -> None:
        """Send the query to one server after the other while a caller waits for it."""
        index, self._next_server = self._next_server, (self._next_server + 1) % len(self._servers)
        first = True
        while inflight.waiters or first:
            server = self._servers[index]
            if not await self._send_queries(inflight, server, nursery) and first:
                index = (index + 1) % len(self._servers)
                await self._send_queries(inflight, self._servers[index], nursery)
            first = False
            await trio.sleep(RESEND_INTERVAL)
            index = (index + 1) % len(self._servers)
        del self._inflight[inflight.query.name]
        nursery.cancel_scope.cancel()

    async def _send_queries(
        self, inflight: _InflightQuery, server: DNSServer, nursery: trio.Nursery
    ) -> bool:
        """Send what is unanswered to `server`; False if sending failed."""
        query = inflight.query
        for record_type in query.over_tcp & query.unanswered.keys():
            nursery.start_soon(self._query_over_tcp, inflight, server, record_type, nursery)
        questions = [
            q.wire
            for record_type, q in query.unanswered.items()
            if record_type not in query.over_tcp
        ]
        if not questions:
            return True
        sock = trio.socket.socket(server.family, socket.SOCK_DGRAM)
        try:
            await sock.connect(server.sockaddr)
            for wire in questions:
                await sock.send(wire)
        except BaseException as error:
            sock.close()
            if not isinstance(error, OSError):
                raise
            self._log_failure("send() failed", error, server)
            return False
        nursery.start_soon(self._receive_udp, inflight, server, sock, nursery)
        return True

    async def _receive_udp(
        self,
        inflight: _InflightQuery,
        server: DNSServer,
        sock: trio.socket.SocketType,
        nursery: trio.Nursery,
    ) -> None:
        """Process UDP responses until the query is done."""
        with sock:
            while True:
                try:
                    wire = await sock.recv(UDP_SIZE)
                except OSError as error:
                    self._log_failure("recv() failed", error, server)
                    return
                for record_type in self._handle_response(inflight, wire, over_tcp=False):
                    nursery.start_soon(self._query_over_tcp, inflight, server, record_type, nursery)

    async def _query_over_tcp(
        self,
        inflight: _InflightQuery,
        server: DNSServer,
        record_type: RecordType,
        nursery: trio.Nursery,
    ) -> None:
        query = inflight.query.unanswered.get(record_type)
        if query is None:
            return
        message = len(query.wire).to_bytes(2, "big") + query.wire
        with trio.socket.socket(server.family, socket.SOCK_STREAM) as sock:
            try:
                with trio.move_on_after(TCP_TIMEOUT) as timer:
                    await sock.connect(server.sockaddr)
                    await trio.SocketStream(sock).send_all(message)
                if timer.cancelled_caught:
                    return
                await self._receive_tcp(inflight, sock)
            except (OSError, trio.BrokenResourceError) as error:
                cause = error if isinstance(error, OSError) else error.__cause__
                if isinstance(cause, OSError):
                    self._log_failure("connect() failed", cause, server)

    async def _receive_tcp(self, inflight: _InflightQuery, sock: trio.socket.SocketType) -> None:
        received = b""
        while data := await sock.recv(65536):
            received += data
            while len(received) >= 2 and len(received) >= 2 + int.from_bytes(received[:2], "big"):
                end = 2 + int.from_bytes(received[:2], "big")
                self._handle_response(inflight, received[2:end], over_tcp=True)
                received = received[end:]

    def _handle_response(
        self, inflight: _InflightQuery, wire: bytes, *, over_tcp: bool
    ) -> set[RecordType]:
        """Process a response; returns the record types to query over TCP from now on."""
        query = inflight.query
        before = set(query.over_tcp)
        result = None
        try:
            result = query.handle_response(parse_response(wire, over_tcp=over_tcp))
        except MalformedResponseError as error:
            query.handle_malformed(error)
        for note in query.log_messages:
            self._log.write(Level.ERROR, note)
        query.log_messages.clear()
        if result is not None and inflight.result is None:
            inflight.result = result
            del self._inflight[query.name]
            if not isinstance(result, ResolveError):
                self._add_to_cache(query, result)
            inflight.done.set()
        return query.over_tcp - before

    def _log_failure(self, call: str, error: OSError, server: DNSServer) -> None:
        number = error.errno or errno.EIO
        text = f"{call} ({number}: {os.strerror(number)}) while resolving, resolver: {server.name}"
        self._log.write(Level.ERROR, text)


def rotate(addresses: AddressSet) -> tuple[str, ...]:
    """Order cached addresses for load balancing: each family, then the whole, starts at random."""
    ordered = (*_rotate_randomly(addresses.ipv4), *_rotate_randomly(addresses.ipv6))
    return _rotate_randomly(ordered) if len(ordered) > 1 else ordered


def _rotate_randomly(addresses: tuple[str, ...]) -> tuple[str, ...]:
    if not addresses:
        return ()
    start = random.randrange(len(addresses))
    return (*addresses[start:], *addresses[:start])
