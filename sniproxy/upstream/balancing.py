"""The balancing methods beside the round robin (pure): each a `Turns` with a choice of its own.

Directives: `least_conn`, `ip_hash`, `hash KEY [consistent]`, `random [two]`. Where a method
finds nobody it leaves the choice to the round robin, and to it alone the backups.
"""

from __future__ import annotations

import bisect
import random
import socket
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from ..config.directives.upstream import Balancing, Method
from ..facts import Facts
from ..variables import lookup
from .peers import Peer, Turns, Upstream

MOST_MISSES = 20
"""Choices that may fall on peers which are not to be had, before the round robin decides."""
POINTS = 160
"""Places of a peer on the ring of a consistent hash, for each unit of weight."""

Balance = Callable[[Upstream, Facts], Turns]


class LeastConnections(Turns):
    """The fewest connections for the weight; in turn among equals."""

    def choose(self) -> Peer | None:
        if self.upstream.single:
            return self.in_turn()
        while True:
            equals = self._least_busy()
            if equals:
                return self.use(self.smoothly(equals) if len(equals) > 1 else equals[0])
            if not self.turn_to_backups():
                return None

    def _least_busy(self) -> list[Peer]:
        """The peers with the least, in the group's order."""
        best: list[Peer] = []
        for peer in self.available():
            order = _busier(peer, best[0]) if best else -1
            if order < 0:
                best = [peer]
            elif order == 0:
                best.append(peer)
        return best


def _busier(one: Peer, other: Peer) -> int:
    """Negative where `one` has fewer connections for its weight than `other`."""
    return one.connections * other.settings.weight - other.connections * one.settings.weight


class Picking(Turns):
    """A method that names one peer after the other until one of them may be used."""

    def __init__(self, upstream: Upstream) -> None:
        super().__init__(upstream)
        self._misses = 0

    def choose(self) -> Peer | None:
        while self._misses <= MOST_MISSES and self.picks():
            peer = self.pick()
            if peer is not None and self.may_use(peer):
                return self.use(peer)
            self._misses += 1
        return self.in_turn()

    def picks(self) -> bool:
        """Whether there is a choice."""
        return len(self.peers) > 1

    def pick(self) -> Peer | None:
        raise NotImplementedError


class AddressHash(Picking):
    """The same peer for all clients of an IPv4 network of 24 bits, or of one IPv6 address."""

    def __init__(self, upstream: Upstream, address: str) -> None:
        super().__init__(upstream)
        self._address = _hashed_part(address)
        self._hash = 89

    def pick(self) -> Peer:
        for byte in self._address:
            self._hash = (self._hash * 113 + byte) % 6271
        return by_weight(self.peers, self._hash)


def _hashed_part(address: str) -> bytes:
    if address.startswith("unix:"):
        return bytes(3)
    if ":" in address:
        return socket.inet_pton(socket.AF_INET6, address)
    return socket.inet_aton(address)[:3]


class KeyHash(Picking):
    """The same peer for the same key, as memcached's clients in Perl have it."""

    def __init__(self, upstream: Upstream, key: str) -> None:
        super().__init__(upstream)
        self._key = key.encode("latin-1")
        self._rehash = 0
        self._hash = 0

    def picks(self) -> bool:
        return bool(self._key) and len(self.peers) > 1

    def pick(self) -> Peer:
        again = str(self._rehash).encode() if self._rehash else b""
        self._hash += (zlib.crc32(again + self._key) >> 16) & 0x7FFF
        self._rehash += 1
        return by_weight(self.peers, self._hash)


def by_weight(peers: Sequence[Peer], number: int) -> Peer:
    """The peer that a number falls on, where each is as broad as its weight."""
    ends = list(accumulate(peer.settings.weight for peer in peers))
    return peers[bisect.bisect_right(ends, number % ends[-1])]


class Ring:
    """The places of the servers of a group for a consistent hash (ketama)."""

    def __init__(self, peers: Sequence[Peer]) -> None:
        servers: dict[int, str] = {}
        for peer in peers:
            for point in _points(peer.settings.address.url, peer.settings.weight * POINTS):
                servers.setdefault(point, peer.settings.address.url)
        self._points = sorted(servers)
        self._servers = [servers[point] for point in self._points]

    def place(self, key: bytes) -> int:
        """Where a key stands: before which point."""
        return bisect.bisect_left(self._points, zlib.crc32(key))

    def server(self, place: int) -> str:
        """The `server` at a place, as it is written in the configuration."""
        return self._servers[place % len(self._servers)]


def _points(server: str, count: int) -> Iterator[int]:
    base = zlib.crc32(_host_and_port(server))
    point = 0
    for _ in range(count):
        point = zlib.crc32(point.to_bytes(4, "little"), base)
        yield point


def _host_and_port(server: str) -> bytes:
    if server[:5].lower() == "unix:":
        return server[5:].encode("latin-1") + b"\0"
    host, colon, port = server.rpartition(":")
    if not colon or not (port.isascii() and (port.isdigit() or not port)):
        host, port = server, ""
    return f"{host}\0{port}".encode("latin-1")


class ConsistentHash(Turns):
    """The server whose place on a ring follows the key's; in turn among its addresses."""

    def __init__(self, upstream: Upstream, key: str, ring: Ring) -> None:
        super().__init__(upstream)
        self._ring = ring
        self._key = key.encode("latin-1")
        self._place = ring.place(self._key)
        self._misses = 0

    def choose(self) -> Peer | None:
        if self.upstream.single or not self._key:
            return self.in_turn()
        while self._misses <= MOST_MISSES:
            server = self._ring.server(self._place)
            peers = [one for one in self.available() if one.settings.address.url == server]
            if peers:
                return self.use(self.smoothly(peers))
            self._place += 1
            self._misses += 1
        return self.in_turn()


class Random(Picking):
    """Any peer, the heavier the likelier."""

    def pick(self) -> Peer:
        return by_weight(self.peers, random.getrandbits(31))


class RandomTwo(Random):
    """Of two that chance names, the one with fewer connections for its weight."""

    def choose(self) -> Peer | None:
        first: Peer | None = None
        while self._misses <= MOST_MISSES and self.picks():
            peer = self.pick()
            if peer is first or not self.may_use(peer):
                self._misses += 1
            elif first is None:
                first = peer
            else:
                return self.use(first if _busier(peer, first) > 0 else peer)
        return self.in_turn()


def balance(balancing: Sequence[Balancing], peers: Sequence[Peer]) -> Balance | None:
    """How a group with these peers chooses: by the last method said; None is in turn."""
    if not balancing:
        return None
    chosen = balancing[-1]
    match chosen.method:
        case Method.LEAST_CONN:
            return lambda upstream, facts: LeastConnections(upstream)
        case Method.IP_HASH:
            return lambda upstream, facts: AddressHash(upstream, facts.connection.client_address)
        case Method.RANDOM:
            return lambda upstream, facts: Random(upstream)
        case Method.RANDOM_TWO:
            return lambda upstream, facts: RandomTwo(upstream)
    key = chosen.key
    assert key is not None
    if chosen.method is Method.HASH:
        return lambda upstream, facts: KeyHash(upstream, key.render(lookup(facts)))
    ring = Ring(peers)
    return lambda upstream, facts: ConsistentHash(upstream, key.render(lookup(facts)), ring)
