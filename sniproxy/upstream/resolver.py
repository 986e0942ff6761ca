"""`resolver`: names are looked up while requests wait, and remembered.

    who asks ─► memory ─► a lookup on its way ─► questions by UDP, by TCP where that is too short

One lookup serves all who ask for its name. It asks the name servers in turn, the next one every
five seconds, until there is an outcome or nobody waits. Failures are not remembered. Directives:
`resolver`, `resolver_timeout`.
"""

from __future__ import annotations

import errno
import math
import os
import random
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import trio

from ..config.directives.resolver import ResolverSettings
from ..logs.error import ErrorLog
from ..message import Level
from .dns import HOST_NOT_FOUND, MalformedResponseError, RecordType, parse_response
from .lookup import CNAME, TIMED_OUT, AddressSet, QueryResult, ResolveError, ResolverQuery

RESEND_INTERVAL = 5.0
"""Seconds until the next server is asked."""
TCP_TIMEOUT = 5.0
EXPIRE = 30.0
"""Seconds after which a name that nobody asks for may be forgotten."""
MAX_CNAME_DEPTH = 50
UDP_SIZE = 4096


@dataclass(frozen=True, slots=True)
class NameServer:
    """Where questions go."""

    family: int
    sockaddr: tuple[str, int] | tuple[str, int, int, int]
    name: str
    """`ADDRESS:PORT`, as log lines show it."""


@dataclass(slots=True)
class _CacheEntry:
    outcome: AddressSet | CNAME
    valid: int
    """The second until which it holds."""
    used: int


@dataclass(slots=True, eq=False)
class _InflightQuery:
    """A lookup on its way, and those who wait for it."""

    lookup: ResolverQuery
    done: trio.Event = field(default_factory=trio.Event)
    waiting: int = 0
    outcome: QueryResult | None = None


class Resolver:
    """One `resolver` directive at work."""

    def __init__(
        self,
        settings: ResolverSettings,
        servers: Sequence[NameServer],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._servers = servers
        self._clock = clock
        self._kinds = [
            kind
            for kind, wanted in ((RecordType.A, settings.ipv4), (RecordType.AAAA, settings.ipv6))
            if wanted
        ]
        self._turn = 0
        self._memory: OrderedDict[str, _CacheEntry] = OrderedDict()
        self._pending: dict[str, _InflightQuery] = {}
        self._nursery: trio.Nursery | None = None
        self.log = ErrorLog(())
        """The main level's; lookups belong to no connection."""

    async def run(self) -> None:
        """Look names up until cancelled."""
        async with trio.open_nursery() as self._nursery:
            await trio.sleep_forever()

    async def addresses(self, name: str, timeout: float) -> tuple[str, ...]:
        """The addresses of `name` within `timeout` seconds, 0 for no limit.

        Raises `Unresolved`.
        """
        with trio.move_on_after(timeout or math.inf):
            name = name.removesuffix(".").lower()
            for _ in range(MAX_CNAME_DEPTH + 1):
                found = self._remembered(name)
                if found is None:
                    found = await self._looked_up(name)
                    ordered = isinstance(found, AddressSet) and (*found.ipv4, *found.ipv6)
                else:
                    ordered = isinstance(found, AddressSet) and rotate(found)
                if ordered:
                    return ordered
                assert isinstance(found, CNAME)
                name = found.name
            raise ResolveError(HOST_NOT_FOUND)
        raise ResolveError(TIMED_OUT)

    # --- memory ---

    def _remembered(self, name: str) -> AddressSet | CNAME | None:
        known = self._memory.get(name)
        if known is None or known.valid < int(self._clock()):
            return None
        known.used = int(self._clock())
        self._memory.move_to_end(name)
        return known.outcome

    def _remember(self, lookup: ResolverQuery, outcome: AddressSet | CNAME) -> None:
        now = int(self._clock())
        seconds = self._settings.valid
        valid = now + (lookup.ttl if seconds is None else int(seconds))
        self._memory[lookup.name] = _CacheEntry(outcome, valid, now)
        self._memory.move_to_end(lookup.name)
        for name in list(self._memory)[:2]:
            if now - self._memory[name].used > EXPIRE:
                del self._memory[name]

    # --- one lookup ---

    async def _looked_up(self, name: str) -> AddressSet | CNAME:
        pending = self._pending.get(name)
        if pending is None:
            assert self._nursery is not None
            pending = self._pending[name] = _InflightQuery(ResolverQuery.of(name, self._kinds))
            self._nursery.start_soon(self._look_up, pending)
        pending.waiting += 1
        try:
            await pending.done.wait()
        finally:
            pending.waiting -= 1
        assert pending.outcome is not None
        if isinstance(pending.outcome, ResolveError):
            raise ResolveError(pending.outcome.code)
        return pending.outcome

    async def _look_up(self, pending: _InflightQuery) -> None:
        async with trio.open_nursery() as asking:
            asking.start_soon(self._ask_in_turn, pending, asking)
            await pending.done.wait()
            asking.cancel_scope.cancel()

    async def _ask_in_turn(self, pending: _InflightQuery, asking: trio.Nursery) -> None:
        """Ask one server after the other while somebody waits."""
        turn, self._turn = self._turn, (self._turn + 1) % len(self._servers)
        first = True
        while pending.waiting or first:
            server = self._servers[turn]
            if not await self._ask(pending, server, asking) and first:
                turn = (turn + 1) % len(self._servers)
                await self._ask(pending, self._servers[turn], asking)
            first = False
            await trio.sleep(RESEND_INTERVAL)
            turn = (turn + 1) % len(self._servers)
        del self._pending[pending.lookup.name]
        asking.cancel_scope.cancel()

    async def _ask(self, pending: _InflightQuery, server: NameServer, asking: trio.Nursery) -> bool:
        """Send the questions that are open; False where they do not get away."""
        lookup = pending.lookup
        for kind in lookup.over_tcp & lookup.open.keys():
            asking.start_soon(self._ask_over_tcp, pending, server, kind, asking)
        questions = [q.wire for kind, q in lookup.open.items() if kind not in lookup.over_tcp]
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
            self._tell_failure("send() failed", error, server)
            return False
        asking.start_soon(self._hear, pending, server, sock, asking)
        return True

    async def _hear(
        self,
        pending: _InflightQuery,
        server: NameServer,
        sock: trio.socket.SocketType,
        asking: trio.Nursery,
    ) -> None:
        """Take what a server says by UDP."""
        with sock:
            while True:
                try:
                    wire = await sock.recv(UDP_SIZE)
                except OSError as error:
                    self._tell_failure("recv() failed", error, server)
                    return
                for kind in self._take(pending, wire, over_tcp=False):
                    asking.start_soon(self._ask_over_tcp, pending, server, kind, asking)

    async def _ask_over_tcp(
        self, pending: _InflightQuery, server: NameServer, kind: RecordType, asking: trio.Nursery
    ) -> None:
        asked = pending.lookup.open.get(kind)
        if asked is None:
            return
        message = len(asked.wire).to_bytes(2, "big") + asked.wire
        with trio.socket.socket(server.family, socket.SOCK_STREAM) as sock:
            try:
                with trio.move_on_after(TCP_TIMEOUT) as timer:
                    await sock.connect(server.sockaddr)
                    await trio.SocketStream(sock).send_all(message)
                if timer.cancelled_caught:
                    return
                await self._hear_over_tcp(pending, sock)
            except (OSError, trio.BrokenResourceError) as error:
                cause = error if isinstance(error, OSError) else error.__cause__
                if isinstance(cause, OSError):
                    self._tell_failure("connect() failed", cause, server)

    async def _hear_over_tcp(self, pending: _InflightQuery, sock: trio.socket.SocketType) -> None:
        heard = b""
        while data := await sock.recv(65536):
            heard += data
            while len(heard) >= 2 and len(heard) >= 2 + int.from_bytes(heard[:2], "big"):
                end = 2 + int.from_bytes(heard[:2], "big")
                self._take(pending, heard[2:end], over_tcp=True)
                heard = heard[end:]

    def _take(self, pending: _InflightQuery, wire: bytes, *, over_tcp: bool) -> set[RecordType]:
        """Make something of a reply; the kinds that have to be asked over TCP from now on."""
        lookup = pending.lookup
        before = set(lookup.over_tcp)
        outcome = None
        try:
            outcome = lookup.take(parse_response(wire, over_tcp=over_tcp))
        except MalformedResponseError as bad:
            lookup.refused(bad)
        for note in lookup.notes:
            self.log.write(Level.ERROR, note)
        lookup.notes.clear()
        if outcome is not None and pending.outcome is None:
            pending.outcome = outcome
            del self._pending[lookup.name]
            if not isinstance(outcome, ResolveError):
                self._remember(lookup, outcome)
            pending.done.set()
        return lookup.over_tcp - before

    def _tell_failure(self, call: str, error: OSError, server: NameServer) -> None:
        number = error.errno or errno.EIO
        text = f"{call} ({number}: {os.strerror(number)}) while resolving, resolver: {server.name}"
        self.log.write(Level.ERROR, text)


def rotate(addresses: AddressSet) -> tuple[str, ...]:
    """Remembered addresses: each family and the whole begin anywhere, so that all get a share."""
    whole = (*_rotate_randomly(addresses.ipv4), *_rotate_randomly(addresses.ipv6))
    return _rotate_randomly(whole) if len(whole) > 1 else whole


def _rotate_randomly(addresses: tuple[str, ...]) -> tuple[str, ...]:
    if not addresses:
        return ()
    start = random.randrange(len(addresses))
    return (*addresses[start:], *addresses[:start])
