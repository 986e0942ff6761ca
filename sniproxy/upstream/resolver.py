"""The `resolver` directive: asynchronous DNS lookups with a cache (ngx_resolver.c).

    addresses() -> cache -> query in flight -> UDP, then TCP for truncated responses

Concurrent lookups of a name share one query. The query is sent to the name servers in index, the
next one every `RESEND_INTERVAL`, until it has a result or no caller waits for it. Failures are not
cached. Directives: `resolver`, `resolver_timeout`.
"""

from __future__ import annotations

import errno
import itertools
import math
import os
import random
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import trio

from ..config.directives.resolver import ResolverSettings
from ..logs.error import ErrorLog
from ..models import Level
from .dns_message import (
    HOST_NOT_FOUND,
    MalformedResponseError,
    RecordType,
    ServiceRecord,
    parse_response,
)
from .resolver_query import (
    CNAME,
    TIMED_OUT,
    AddressSet,
    QueryResult,
    ResolveError,
    ResolverQuery,
    ServiceSet,
    service_key,
)

RESEND_INTERVAL = 5.0
"""Seconds until the query is sent to the next server."""
TCP_TIMEOUT = 5.0
EXPIRE = 30.0
"""Seconds after its last use when a cache entry may be removed."""
MAX_CNAME_DEPTH = 50
"""NGX_RESOLVER_MAX_RECURSION."""
UDP_SIZE = 4096
_ERROR_LIFETIME = 10
"""Seconds until a name without addresses is looked up again, without `valid`."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """The addresses of a name."""

    addresses: tuple[str, ...]
    valid_until: int
    """Clock reading in whole seconds."""


@dataclass(frozen=True, slots=True)
class ServiceResolution:
    """The addresses of the targets of a service."""

    targets: tuple[tuple[ServiceRecord, tuple[str, ...]], ...]
    """By priority; nginx begins those of one priority with a random one."""
    errors: tuple[tuple[str, ResolveError], ...]
    """Targets that could not be resolved."""
    valid_until: int
    """Clock reading in whole seconds."""


@dataclass(frozen=True, slots=True)
class DNSServer:
    """The address of a name server."""

    family: int
    sockaddr: tuple[str, int] | tuple[str, int, int, int]
    name: str
    """`ADDRESS:PORT`, as log lines show it."""


@dataclass(slots=True)
class _CacheEntry:
    result: AddressSet | ServiceSet | CNAME
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
    valid_until: int = 0
    """Clock reading in whole seconds."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A result of a query or from the cache."""

    result: AddressSet | ServiceSet | CNAME
    valid_until: int
    """Clock reading in whole seconds."""


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
        return (await self.lookup(name, timeout)).addresses

    async def lookup(self, name: str, timeout: float) -> Resolution:
        """Like `addresses`, with the time when they expire."""
        with trio.move_on_after(timeout or math.inf):
            name = name.removesuffix(".").lower()
            for _ in range(MAX_CNAME_DEPTH + 1):
                cached = self._find_cached(name)
                found = cached or await self._query(name, self._types)
                result = found.result
                if isinstance(result, AddressSet):
                    ordered = (*result.ipv4, *result.ipv6) if cached is None else rotate(result)
                    return Resolution(ordered, found.valid_until)
                assert isinstance(result, CNAME)
                name = result.name
            raise ResolveError(HOST_NOT_FOUND)
        raise ResolveError(TIMED_OUT)

    async def services(self, service: str, name: str, timeout: float) -> ServiceResolution:
        """Resolve the targets of the SRV records of a service, each within `timeout` seconds.

        `service` is that of TCP, or with a `.` the beginning of the name. Raises `ResolveError`.
        """
        prefix = service if "." in service else f"_{service}._tcp"
        found = await self._service_records(f"{prefix}.{name}", timeout)
        assert isinstance(found.result, ServiceSet)
        records = found.result.records
        results: dict[int, Resolution | ResolveError] = {}

        async def resolve(position: int, target: str) -> None:
            try:
                results[position] = await self.lookup(target, timeout)
            except ResolveError as error:
                results[position] = error

        async with trio.open_nursery() as nursery:
            for position, record in enumerate(records):
                nursery.start_soon(resolve, position, record.target)
        targets, errors, valid = [], [], found.valid_until
        for position, record in enumerate(records):
            result = results[position]
            if isinstance(result, ResolveError):
                errors.append((record.target, result))
            else:
                targets.append((record, result.addresses))
                valid = min(valid, result.valid_until)
        if not targets:
            valid = self.error_valid_until()
        return ServiceResolution(tuple(_rotate_priorities(targets)), tuple(errors), valid)

    async def _service_records(self, name: str, timeout: float) -> _Found:
        with trio.move_on_after(timeout or math.inf):
            name = name.removesuffix(".").lower()
            for _ in range(MAX_CNAME_DEPTH + 1):
                found = self._find_cached(service_key(name))
                found = found or await self._query(name, (RecordType.SRV,))
                if isinstance(found.result, ServiceSet):
                    return found
                assert isinstance(found.result, CNAME)
                name = found.result.name
            raise ResolveError(HOST_NOT_FOUND)
        raise ResolveError(TIMED_OUT)

    def error_valid_until(self) -> int:
        """When a name that has no addresses is to be looked up again, by the clock."""
        return int(self._clock()) + int(self._settings.valid or _ERROR_LIFETIME)

    # --- cache ---

    def _find_cached(self, key: str) -> _Found | None:
        entry = self._cache.get(key)
        if entry is None or entry.valid_until < int(self._clock()):
            return None
        entry.last_used = int(self._clock())
        self._cache.move_to_end(key)
        return _Found(entry.result, entry.valid_until)

    def _add_to_cache(self, query: ResolverQuery, result: AddressSet | ServiceSet | CNAME) -> int:
        """Add a result to the cache; returns when it expires."""
        now = int(self._clock())
        seconds = self._settings.valid
        valid = now + (query.ttl if seconds is None else int(seconds))
        self._cache[query.key] = _CacheEntry(result, valid, now)
        self._cache.move_to_end(query.key)
        for key in list(self._cache)[:2]:
            if now - self._cache[key].last_used > EXPIRE:
                del self._cache[key]
        return valid

    # --- queries ---

    async def _query(self, name: str, types: Sequence[RecordType]) -> _Found:
        key = service_key(name) if RecordType.SRV in types else name
        inflight = self._inflight.get(key)
        if inflight is None:
            assert self._nursery is not None
            inflight = self._inflight[key] = _InflightQuery(ResolverQuery.create(name, types))
            self._nursery.start_soon(self._run_query, inflight)
        inflight.waiters += 1
        try:
            await inflight.done.wait()
        finally:
            inflight.waiters -= 1
        assert inflight.result is not None
        if isinstance(inflight.result, ResolveError):
            raise ResolveError(inflight.result.code)
        return _Found(inflight.result, inflight.valid_until)

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
        del self._inflight[inflight.query.key]
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
            del self._inflight[query.key]
            if not isinstance(result, ResolveError):
                inflight.valid_until = self._add_to_cache(query, result)
            inflight.done.set()
        return query.over_tcp - before

    def _log_failure(self, call: str, error: OSError, server: DNSServer) -> None:
        number = error.errno or errno.EIO
        text = f"{call} ({number}: {os.strerror(number)}) while resolving, resolver: {server.name}"
        self._log.write(Level.ERROR, text)


def _rotate_priorities(
    targets: Sequence[tuple[ServiceRecord, tuple[str, ...]]],
) -> Iterator[tuple[ServiceRecord, tuple[str, ...]]]:
    """Begin the targets of each priority with one by weight."""
    for _, group in itertools.groupby(targets, key=lambda target: target[0].priority):
        same = list(group)
        weights = [record.weight * len(addresses) for record, addresses in same]
        (start,) = random.choices(range(len(same)), weights)
        yield from (*same[start:], *same[:start])


def rotate(addresses: AddressSet) -> tuple[str, ...]:
    """Order cached addresses for load balancing: each family, then the whole, starts at random."""
    ordered = (*_rotate_randomly(addresses.ipv4), *_rotate_randomly(addresses.ipv6))
    return _rotate_randomly(ordered) if len(ordered) > 1 else ordered


def _rotate_randomly(addresses: tuple[str, ...]) -> tuple[str, ...]:
    if not addresses:
        return ()
    start = random.randrange(len(addresses))
    return (*addresses[start:], *addresses[:start])
