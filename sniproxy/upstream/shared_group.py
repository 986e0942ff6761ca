"""A group whose peers are in memory that workers share, and the choice among them (`zone`).

While the lock of the zone is held, the state of the peers is loaded from the memory, the selector
of the group's method runs, and the state is stored.
"""

from __future__ import annotations

import contextlib
import socket
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..config.directives.upstream import PeerSettings
from ..context import RequestContext, UpstreamState
from .peer_memory import (
    MemoryExhaustedError,
    PeerList,
    PeerMemory,
    PeerRecord,
    ResolvedAddress,
    SharedPeer,
)
from .selector import Peer, PeerSelector, RequestSelector, Upstream, socket_address


@dataclass(slots=True)
class ResolvedServer:
    """A `server … resolve` of a group."""

    settings: PeerSettings
    host: int
    """The number of its name in the memory."""

    @property
    def identity(self) -> tuple[str, str]:
        """What makes it the same one in the next configuration."""
        return (self.settings.address.host, self.settings.service)


class SharedGroup:
    """A group whose peers are in a `PeerMemory`."""

    def __init__(
        self,
        memory: PeerMemory,
        number: int,
        peers: Sequence[SharedPeer],
        resolved: Sequence[ResolvedServer],
        *,
        has_backups: bool,
        name_peer: Callable[[Peer], str] | None,
    ) -> None:
        """`peers` are those with fixed addresses; `name_peer` makes the names for `sticky`.

        `has_backups` is whether the load-balancing method uses backup servers. Raises
        `MemoryExhaustedError`.
        """
        self.memory = memory
        self.number = number
        self.resolved = tuple(resolved)
        self._configured = tuple(peers)
        self._has_backups = has_backups
        self._name_peer = name_peer
        with memory.zone.lock():
            for origin, peer in enumerate(self._configured):
                listed = PeerList.BACKUP if peer.settings.backup else PeerList.PRIMARY
                weight = peer.settings.weight
                peer.slot, peer.number = memory.add(number, listed, origin, weight=weight)

    def refresh(self, upstream: Upstream) -> None:
        """Make the lists of peers again if they have changed. Needs the lock."""
        generation = self.memory.generation(self.number)
        if generation == upstream.generation:
            return
        known = {peer.number: peer for peer in self.peers(upstream)}
        lists: dict[int, list[Peer]] = {PeerList.PRIMARY: [], PeerList.BACKUP: []}
        for record in self.memory.records(self.number):
            lists[record.listed].append(known.get(record.number) or self._peer(record))
        upstream.peers = lists[PeerList.PRIMARY]
        upstream.backups = lists[PeerList.BACKUP]
        upstream.generation = generation
        upstream.count_peers()
        if self.resolved and upstream.pool is not None:
            upstream.pool.close_others({peer.sockaddr for peer in self.peers(upstream)})

    def load(self, upstream: Upstream) -> None:
        """Load the state of all peers, for a reader that changes nothing."""
        with self.memory.zone.lock():
            self.refresh(upstream)
            for peer in self.peers(upstream):
                self.memory.load(peer)

    def peers(self, upstream: Upstream) -> Iterator[SharedPeer]:
        """Iterate over all peers of the group in this process."""
        for peer in (*upstream.peers, *upstream.backups):
            assert isinstance(peer, SharedPeer)
            yield peer

    def _peer(self, record: PeerRecord) -> SharedPeer:
        if not record.version:
            return self._configured[record.origin]
        server = self.resolved[record.origin].settings
        family, sockaddr, name = socket_address(record.host, record.port)
        settings = replace(server, weight=record.weight)
        peer = SharedPeer(family, sockaddr, name, settings, server=record.name)
        peer.slot, peer.number = record.slot, record.number
        if self._name_peer is not None:
            peer.sid = self._name_peer(peer)
        return peer

    def expiry(self, server: ResolvedServer) -> int:
        """When the addresses of a name expire, by the monotonic clock in whole seconds."""
        with self.memory.zone.lock():
            return self.memory.expiry(server.host)

    def update(
        self, server: ResolvedServer, addresses: Sequence[ResolvedAddress], expiry: int
    ) -> bool:
        """Replace the addresses of a name; those that stay keep their state.

        Returns False if the memory is exhausted.
        """
        listed = PeerList.BACKUP if server.settings.backup else PeerList.PRIMARY
        first = min((one.priority for one in addresses), default=0)
        with self.memory.zone.lock():
            self.memory.set_expiry(server.host, expiry)
            best = [one for one in addresses if one.priority == first]
            if not self._replace(server, listed, best):
                return False
            if server.settings.service and listed is PeerList.PRIMARY and self._has_backups:
                others = [one for one in addresses if one.priority != first]
                return self._replace(server, PeerList.BACKUP, others)
        return True

    def _replace(
        self, server: ResolvedServer, listed: PeerList, addresses: Sequence[ResolvedAddress]
    ) -> bool:
        memory, settings = self.memory, server.settings
        origin = self.resolved.index(server)
        wanted: dict[tuple[object, ...], list[ResolvedAddress]] = defaultdict(list)
        for address in addresses:
            wanted[self._key(server, address)].append(address)
        for record in memory.records(self.number):
            if record.version and record.origin == origin and record.listed == listed:
                present = ResolvedAddress(record.host, record.port, record.weight, 0, record.name)
                same = wanted.get(self._key(server, present))
                if same:
                    same.pop(0)
                else:
                    memory.remove(record)
        new = {id(address) for same in wanted.values() for address in same}
        for address in addresses:
            if id(address) not in new:
                continue
            weight = settings.weight
            if settings.service and weight == 1:
                weight = address.weight
            try:
                self._add(server, listed, address, weight)
            except MemoryExhaustedError:
                return False
        return True

    def _key(self, server: ResolvedServer, address: ResolvedAddress) -> tuple[object, ...]:
        """What makes an address the same as one that was resolved before."""
        if not server.settings.service:
            return (address.host,)
        weight = address.weight if server.settings.weight == 1 else 0
        return (address.host, address.port, address.name, weight)

    def _add(
        self, server: ResolvedServer, listed: PeerList, address: ResolvedAddress, weight: int
    ) -> None:
        version, family = (6, socket.AF_INET6) if ":" in address.host else (4, socket.AF_INET)
        service = bool(server.settings.service)
        self.memory.add(
            self.number,
            listed,
            self.resolved.index(server),
            version=version,
            packed=socket.inet_pton(family, address.host),
            port=address.port if service else server.settings.address.port,
            weight=weight,
            name=address.name if service else server.settings.address.url,
        )

    def take_over(self, previous: SharedGroup) -> None:
        """Begin with the addresses that a previous configuration has resolved."""
        with previous.memory.zone.lock():
            old = previous.memory.records(previous.number)
            expiries = [previous.memory.expiry(server.host) for server in previous.resolved]
        identities = [server.identity for server in previous.resolved]
        for server in self.resolved:
            if server.identity not in identities:
                continue
            origin = identities.index(server.identity)
            records = [record for record in old if record.version and record.origin == origin]
            with self.memory.zone.lock():
                self.memory.set_expiry(server.host, expiries[origin])
                for record in records:
                    listed = PeerList(record.listed)
                    if listed is PeerList.BACKUP and not (
                        self._has_backups or server.settings.backup
                    ):
                        continue
                    address = ResolvedAddress(record.host, record.port, name=record.name)
                    weight = server.settings.weight
                    if server.settings.service and weight == 1:
                        weight = record.weight
                    self._add(server, listed, address, weight)


class SharedSelector:
    """Runs the selector of a method on the state in shared memory."""

    def __init__(
        self,
        group: SharedGroup,
        make: Callable[[Upstream, RequestContext], RequestSelector] | None,
        upstream: Upstream,
        ctx: RequestContext,
    ) -> None:
        self._group = group
        self._upstream = upstream
        with group.memory.zone.lock():
            group.refresh(upstream)
            self._generation = upstream.generation
        self._method = PeerSelector(upstream) if make is None else make(upstream, ctx)
        self.wants_head = self._method.wants_head
        self._peer: SharedPeer | None = None
        """The peer in use."""

    @property
    def hint(self) -> str:
        return self._method.hint

    @hint.setter
    def hint(self, sid: str) -> None:
        self._method.hint = sid

    @property
    def tries_left(self) -> int:
        return self._method.tries_left

    @tries_left.setter
    def tries_left(self, tries: int) -> None:
        self._method.tries_left = tries

    def get(self) -> Peer | None:
        group, upstream = self._group, self._upstream
        memory = group.memory
        with memory.zone.lock():
            group.refresh(upstream)
            if upstream.generation != self._generation:
                return None
            peers = tuple(group.peers(upstream))
            for peer in peers:
                memory.load(peer)
            chosen = self._method.get()
            for peer in peers:
                memory.store(peer)
            assert chosen is None or isinstance(chosen, SharedPeer)
            self._peer = chosen
            return chosen

    def connected(self, peer: Peer, attempt: UpstreamState, *, is_tcp: bool) -> None:
        assert isinstance(peer, SharedPeer)
        with self._current(peer):
            self._method.connected(peer, attempt, is_tcp=is_tcp)

    def head_received(self, attempt: UpstreamState) -> None:
        if self._peer is not None:
            with self._current(self._peer):
                self._method.head_received(attempt)

    def free(
        self,
        peer: Peer,
        *,
        failed: bool,
        attempt: UpstreamState | None = None,
        has_response: bool = True,
    ) -> bool:
        assert isinstance(peer, SharedPeer)
        with self._current(peer):
            return self._method.free(
                peer, failed=failed, attempt=attempt, has_response=has_response
            )

    @contextlib.contextmanager
    def _current(self, peer: SharedPeer) -> Iterator[None]:
        """Load the state of a peer, and store it afterwards unless its record is gone."""
        memory = self._group.memory
        with memory.zone.lock():
            is_present = memory.has(peer)
            if is_present:
                memory.load(peer)
            yield
            if is_present:
                memory.store(peer)
