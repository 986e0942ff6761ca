"""The peers of an upstream: whose turn it is, and who has failed (pure).

nginx's smooth weighted round robin: every choice adds each peer's effective weight to its
current weight, takes the peer with the most, and subtracts the total from it. A failure
lowers the effective weight, time and success raise it again. Directives: `upstream`, `server`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..config.directives.upstream import PeerSettings
from ..tls.openssl import Session
from ..tls.watch import HandshakeWatch


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

    @property
    def single(self) -> bool:
        """A lone peer is never put aside, however often it fails."""
        return len(self.peers) == 1 and not self.backups


@dataclass(slots=True)
class Turns:
    """The peers that one request tries, one after the other."""

    upstream: Upstream
    tries_left: int = 0
    _tried: set[Peer] = field(default_factory=set)
    _on_backups: bool = False

    def __post_init__(self) -> None:
        both = (*self.upstream.peers, *self.upstream.backups)
        self.tries_left = sum(not peer.settings.down for peer in both)

    def next(self) -> Peer | None:
        """The next peer, now in use; None when nobody is left (`no live upstreams`)."""
        upstream = self.upstream
        if upstream.single:
            peer = upstream.peers[0]
            if peer.settings.down or _is_full(peer):
                return None
            peer.connections += 1
            return peer
        now = int(upstream.clock())
        if not self._on_backups:
            chosen = self._choose(upstream.peers, now)
            if chosen is not None or not upstream.backups:
                return chosen
            self._on_backups = True
            self._tried.clear()
        return self._choose(upstream.backups, now)

    def _choose(self, peers: Sequence[Peer], now: int) -> Peer | None:
        best: Peer | None = None
        total = 0
        for peer in peers:
            if (
                peer in self._tried
                or peer.settings.down
                or _is_resting(peer, now)
                or _is_full(peer)
            ):
                continue
            peer.current_weight += peer.effective_weight
            total += peer.effective_weight
            if peer.effective_weight < peer.settings.weight:
                peer.effective_weight += 1
            if best is None or peer.current_weight > best.current_weight:
                best = peer
        if best is None:
            return None
        best.current_weight -= total
        self._tried.add(best)
        if now - best.checked > best.settings.fail_timeout:
            best.checked = now
        best.connections += 1
        return best

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


def _is_resting(peer: Peer, now: int) -> bool:
    settings = peer.settings
    return bool(
        settings.max_fails
        and peer.fails >= settings.max_fails
        and now - peer.checked <= settings.fail_timeout
    )


def _is_full(peer: Peer) -> bool:
    return bool(peer.settings.max_conns and peer.connections >= peer.settings.max_conns)
