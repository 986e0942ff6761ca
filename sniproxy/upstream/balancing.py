"""Load-balancing methods other than round robin, each a `PeerSelector` (pure).

Directives: `least_conn`, `ip_hash`, `hash KEY [consistent]`, `random [two]`, and `least_time` (in
`least_time`). If a method that picks peers finds none that is usable, it falls back to round robin.
"""

from __future__ import annotations

import bisect
import random
import socket
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from ..config.directives.upstream import Balancing, Method
from ..template import VariableLookup
from ..variables import lookup
from .least_time import LeastTime, SessionLeastTime
from .selector import Peer, PeerSelector, Upstream

MAX_MISSES = 20
"""Unavailable peers picked before the method falls back to round robin."""
POINTS = 160
"""Points of a peer on the ring of a consistent hash, for each unit of weight."""

SelectorFactory = Callable[[Upstream, Any], PeerSelector]
"""Creates the selector of one request or session, by its state."""


class LeastConnections(PeerSelector):
    """`least_conn`: the fewest connections relative to weight; round robin among equals."""

    def select(self) -> Peer | None:
        while True:
            sticky = self.sticky_peer() if self.hint else None
            if sticky is not None:
                return self.mark_used(sticky)
            equals = self._least_busy()
            if equals:
                return self.mark_used(self.select_smooth(equals) if len(equals) > 1 else equals[0])
            if not self.switch_to_backups():
                return None

    def _least_busy(self) -> list[Peer]:
        """The least busy peers, in the order of the group."""
        best: list[Peer] = []
        for peer in self.available():
            order = _compare_load(peer, best[0]) if best else -1
            if order < 0:
                best = [peer]
            elif order == 0:
                best.append(peer)
        return best


def _compare_load(one: Peer, other: Peer) -> int:
    """Negative if `one` has fewer connections relative to its weight than `other`."""
    return one.connections * other.settings.weight - other.connections * one.settings.weight


class RetryingSelector(PeerSelector):
    """A method that picks peers until one of them is available, then falls back."""

    def __init__(self, upstream: Upstream) -> None:
        super().__init__(upstream)
        self._misses = 0

    def select(self) -> Peer | None:
        if self._misses > MAX_MISSES or not self.can_pick():
            return self.round_robin()
        sticky = self.sticky_peer() if self.hint else None
        if sticky is not None:
            return self.mark_used(sticky)
        while self._misses <= MAX_MISSES:
            peer = self.pick()
            if peer is not None and self.is_available(peer):
                return self.mark_used(peer)
            self._misses += 1
        return self.round_robin()

    def can_pick(self) -> bool:
        """Whether the method applies."""
        return len(self.peers) > 1

    def pick(self) -> Peer | None:
        raise NotImplementedError


class IPHash(RetryingSelector):
    """`ip_hash`: the same peer for all clients of a /24 IPv4 network or an IPv6 address."""

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


class HashSelector(RetryingSelector):
    """`hash KEY`: the same peer for the same key, compatible with Cache::Memcached."""

    def __init__(self, upstream: Upstream, key: str) -> None:
        super().__init__(upstream)
        self._key = key.encode("latin-1")
        self._rehash = 0
        self._hash = 0

    def can_pick(self) -> bool:
        return bool(self._key) and len(self.peers) > 1

    def pick(self) -> Peer:
        again = str(self._rehash).encode() if self._rehash else b""
        self._hash += (zlib.crc32(again + self._key) >> 16) & 0x7FFF
        self._rehash += 1
        return by_weight(self.peers, self._hash)


def by_weight(peers: Sequence[Peer], number: int) -> Peer:
    """The peer at position `number`, where each takes as many positions as its weight."""
    ends = list(accumulate(peer.settings.weight for peer in peers))
    return peers[bisect.bisect_right(ends, number % ends[-1])]


class HashRing:
    """The points of a group's servers for a consistent hash (ketama)."""

    def __init__(self, peers: Sequence[Peer]) -> None:
        servers: dict[int, str] = {}
        for peer in peers:
            for point in _points(peer.server, peer.settings.weight * POINTS):
                servers.setdefault(point, peer.server)
        self._points = sorted(servers)
        self._servers = [servers[point] for point in self._points]

    def place(self, key: bytes) -> int:
        """Index of the point that a key belongs to."""
        return bisect.bisect_left(self._points, zlib.crc32(key))

    def server(self, place: int) -> str:
        """The `server` at an index, as written in the configuration."""
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


class HashRings:
    """The ring of a group, made again when the peers have changed."""

    def __init__(self) -> None:
        self._ring: HashRing | None = None
        self._generation = 0

    def of(self, upstream: Upstream) -> HashRing:
        if self._ring is None or self._generation != upstream.generation:
            self._ring = HashRing(upstream.peers)
            self._generation = upstream.generation
        return self._ring


class ConsistentHash(PeerSelector):
    """`hash KEY consistent`: the next server on the ring; round robin among its addresses."""

    def __init__(self, upstream: Upstream, key: str, ring: HashRing) -> None:
        super().__init__(upstream)
        self._ring = ring
        self._key = key.encode("latin-1")
        self._place = ring.place(self._key)
        self._misses = 0

    def select(self) -> Peer | None:
        if not self._key or self._misses > MAX_MISSES:
            return self.round_robin()
        if not self.peers:
            return None
        sticky = self.sticky_peer() if self.hint else None
        if sticky is not None:
            return self.mark_used(sticky)
        while self._misses <= MAX_MISSES:
            server = self._ring.server(self._place)
            peers = [one for one in self.available() if one.server == server]
            if peers:
                return self.mark_used(self.select_smooth(peers))
            self._place += 1
            self._misses += 1
        return self.round_robin()


class RandomSelector(RetryingSelector):
    """`random`: a peer with a probability proportional to its weight."""

    def pick(self) -> Peer:
        return by_weight(self.peers, random.getrandbits(31))


class RandomTwo(RandomSelector):
    """`random two`: of two random peers, the one with fewer connections relative to its weight."""

    def select(self) -> Peer | None:
        if self._misses > MAX_MISSES or not self.can_pick():
            return self.round_robin()
        sticky = self.sticky_peer() if self.hint else None
        if sticky is not None:
            return self.mark_used(sticky)
        first: Peer | None = None
        while self._misses <= MAX_MISSES:
            peer = self.pick()
            if peer is first or not self.is_available(peer):
                self._misses += 1
            elif first is None:
                first = peer
            else:
                return self.mark_used(first if _compare_load(peer, first) > 0 else peer)
        return self.round_robin()


def selector_factory(
    balancing: Sequence[Balancing],
    lookup: Callable[[Any], VariableLookup] = lookup,
) -> SelectorFactory | None:
    """Creates the selectors of a group, by the last method configured; None is round robin.

    `lookup` returns the function that evaluates variables for the state of a request or session.
    """
    if not balancing:
        return None
    chosen = balancing[-1]
    match chosen.method:
        case Method.LEAST_CONN:
            return lambda upstream, ctx: LeastConnections(upstream)
        case Method.LEAST_TIME:
            selector = SessionLeastTime if chosen.of_session else LeastTime
            return lambda upstream, ctx: selector(upstream, chosen)
        case Method.IP_HASH:
            return lambda upstream, ctx: IPHash(upstream, ctx.connection.client_address)
        case Method.RANDOM:
            return lambda upstream, ctx: RandomSelector(upstream)
        case Method.RANDOM_TWO:
            return lambda upstream, ctx: RandomTwo(upstream)
    key = chosen.key
    assert key is not None
    if chosen.method is Method.HASH:
        return lambda upstream, ctx: HashSelector(upstream, key.render(lookup(ctx)))
    rings = HashRings()
    return lambda upstream, ctx: ConsistentHash(
        upstream, key.render(lookup(ctx)), rings.of(upstream)
    )
