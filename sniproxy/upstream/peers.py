"""The peers of an upstream: whose turn it is, and who has failed (pure).

nginx's smooth weighted round robin: every choice adds each peer's effective weight to its
current weight, takes the peer with the most, and subtracts the total from it. A failure
lowers the effective weight, time and success raise it again. Directives: `upstream`, `server`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..config.directives.upstream import PeerSettings
from ..facts import Facts
from ..tls.openssl import Session
from ..tls.watch import HandshakeWatch

if TYPE_CHECKING:
    from .keepalive import KeptConnections


@dataclass(slots=True, eq=False)
class Peer:
    """One address of an upstream, with its record."""

    family: int
    """Of the socket, `socket.AF_INET` …"""
    sockaddr: Any
    """As `socket.connect` takes it."""
    name: str
    """`ADDRESS:PORT`, or `unix:PATH`, as log lines show it."""
    settings: PeerSettings
    effective_weight: int = 0
    current_weight: int = 0
    fails: int = 0
    accessed: int = 0
    """Whole seconds of the clock when it last failed."""
    checked: int = 0
    connections: int = 0
    session: Session | None = None
    """The TLS session to offer next (`proxy_ssl_session_reuse`)."""

    def __post_init__(self) -> None:
        self.effective_weight = self.settings.weight


@dataclass(slots=True)
class Upstream:
    """An upstream group, or the one that a `proxy_pass` to an address makes."""

    name: str
    peers: Sequence[Peer]
    backups: Sequence[Peer] = ()
    explicit: bool = False
    """Whether it is an `upstream {}` of the configuration."""
    clock: Callable[[], float] = time.monotonic
    number: Callable[[], int] = lambda: 0
    """Draws a connection's number: connections to clients and peers share one counter."""
    watch: HandshakeWatch = field(default_factory=HandshakeWatch)
    balance: Callable[[Upstream, Facts], Turns] | None = None
    """The method of balancing; None for the round robin."""
    kept: KeptConnections | None = None
    """The connections that wait for another request; None where each is used once."""

    single: bool = field(init=False)
    """A lone peer is never put aside, however often it fails."""
    tries: int = field(init=False)
    """The peers that one request may try: those that are not `down`."""

    def __post_init__(self) -> None:
        both = (*self.peers, *self.backups)
        self.single = len(self.peers) == 1 and not self.backups
        self.tries = sum(not peer.settings.down for peer in both)

    def turns(self, facts: Facts) -> Turns:
        """The turns of one request."""
        return Turns(self) if self.balance is None else self.balance(self, facts)


class Turns:
    """The peers that one request tries, one after the other; by itself the round robin."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.peers = upstream.peers
        """Those that it is the turn of: the backups come when nobody else is left."""
        self.tries_left = upstream.tries
        self._now = 0
        self._tried: set[Peer] = set()

    def next(self) -> Peer | None:
        """The next peer, now in use; None when nobody is left (`no live upstreams`)."""
        self._now = int(self.upstream.clock())
        return self.choose()

    def choose(self) -> Peer | None:
        """`next`, by the method of balancing."""
        return self.in_turn()

    def in_turn(self) -> Peer | None:
        """The next peer of the round robin."""
        if self.upstream.single:
            return self._lone()
        while True:
            peers = list(self.available())
            if peers:
                return self.use(self.smoothly(peers))
            if not self.turn_to_backups():
                return None

    def _lone(self) -> Peer | None:
        peer = self.upstream.peers[0]
        if peer.settings.down or _is_full(peer):
            return None
        peer.connections += 1
        return peer

    def turn_to_backups(self) -> bool:
        """Go on with the backups; whether there are any that were not reached before."""
        backups = self.upstream.backups
        if not backups or self.peers is backups:
            return False
        self.peers = backups
        self._tried.clear()
        return True

    def available(self) -> Iterator[Peer]:
        """The peers that may be used now, in the group's order."""
        return filter(self.may_use, self.peers)

    def may_use(self, peer: Peer) -> bool:
        return not (
            peer in self._tried
            or peer.settings.down
            or _is_resting(peer, self._now)
            or _is_full(peer)
        )

    def smoothly(self, peers: Iterable[Peer]) -> Peer:
        """The one of `peers` whose turn it is by weight."""
        best: Peer | None = None
        total = 0
        for peer in peers:
            peer.current_weight += peer.effective_weight
            total += peer.effective_weight
            if peer.effective_weight < peer.settings.weight:
                peer.effective_weight += 1
            if best is None or peer.current_weight > best.current_weight:
                best = peer
        assert best is not None
        best.current_weight -= total
        return best

    def use(self, peer: Peer) -> Peer:
        """Note that `peer` is in use."""
        self._tried.add(peer)
        if self._now - peer.checked > peer.settings.fail_timeout:
            peer.checked = self._now
        peer.connections += 1
        return peer

    def done(self, peer: Peer, *, failed: bool) -> bool:
        """Give `peer` back with its verdict; whether it is put aside for a while from now on."""
        peer.connections -= 1
        if self.upstream.single:
            peer.fails = 0
            self.tries_left = 0
            return False
        self.tries_left = max(self.tries_left - 1, 0)
        if not failed:
            if peer.accessed < peer.checked:
                peer.fails = 0
            return False
        now = int(self.upstream.clock())
        peer.fails += 1
        peer.accessed = peer.checked = now
        most = peer.settings.max_fails
        if not most:
            return False
        peer.effective_weight = max(peer.effective_weight - peer.settings.weight // most, 0)
        return peer.fails >= most


def peer_name(sockaddr: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """`127.0.0.1:443` or `[::1]:443`."""
    host, port = sockaddr[0], sockaddr[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_resting(peer: Peer, now: int) -> bool:
    settings = peer.settings
    return bool(
        settings.max_fails
        and peer.fails >= settings.max_fails
        and now - peer.checked <= settings.fail_timeout
    )


def _is_full(peer: Peer) -> bool:
    return bool(peer.settings.max_conns and peer.connections >= peer.settings.max_conns)
