"""The peers of an upstream group, and their selection (pure).

`PeerSelector` is nginx's `ngx_peer_connection_t` with its default method, the smooth weighted round
robin: `get` is `pc->get`, `free` is `pc->free`. Every selection adds each peer's effective weight
to its current weight, takes the peer with the highest, and subtracts the total from it. A failure
lowers the effective weight; it recovers with time and success. Directives: `upstream`, `server`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..config.directives.upstream import PeerSettings
from ..context import RequestContext
from ..tls.openssl import Session
from .pool import ConnectionPool


@dataclass(slots=True, eq=False)
class Peer:
    """One address of an upstream, with its state (`ngx_http_upstream_rr_peer_t`)."""

    family: int
    """Address family of the socket: `socket.AF_INET`, …"""
    sockaddr: Any
    """Address for `socket.connect`."""
    name: str
    """`ADDRESS:PORT`, or `unix:PATH`, as in log lines."""
    settings: PeerSettings
    effective_weight: int = 0
    current_weight: int = 0
    fails: int = 0
    accessed: int = 0
    """Time of the last failure, in whole seconds."""
    checked: int = 0
    connections: int = 0
    session: Session | None = None
    """The TLS session to offer next (`proxy_ssl_session_reuse`)."""

    def __post_init__(self) -> None:
        self.effective_weight = self.settings.weight


@dataclass(slots=True)
class Upstream:
    """An upstream group, or the implicit one of a `proxy_pass` to an address."""

    name: str
    peers: Sequence[Peer]
    backups: Sequence[Peer] = ()
    explicit: bool = False
    """Whether it is an `upstream {}` block of the configuration."""
    clock: Callable[[], float] = time.monotonic
    next_connection_id: Callable[[], int] = lambda: 0
    """Returns a new connection number; clients and upstreams share a counter."""
    make_selector: Callable[[Upstream, RequestContext], PeerSelector] | None = None
    """Creates selectors for the group's load-balancing method; None is round robin."""
    pool: ConnectionPool | None = None
    """Idle connections; None if each connection serves one request."""

    single: bool = field(init=False)
    """Whether there is only one peer, which is never marked as failed."""
    tries: int = field(init=False)
    """Number of peers that a request may try: those that are not `down`."""

    def __post_init__(self) -> None:
        both = (*self.peers, *self.backups)
        self.single = len(self.peers) == 1 and not self.backups
        self.tries = sum(not peer.settings.down for peer in both)

    def selector(self, ctx: RequestContext) -> PeerSelector:
        """The selector of one request."""
        make = self.make_selector
        return PeerSelector(self) if make is None else make(self, ctx)


class PeerSelector:
    """Selects the peers that a request tries in turn; the base class is round robin."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.peers = upstream.peers
        """The active list: primary peers, or backups once no primary is available."""
        self.tries_left = upstream.tries
        self._now = 0
        self._tried: set[Peer] | tuple[()] = ()

    def get(self) -> Peer | None:
        """The next peer, now in use; None when none is left (`no live upstreams`)."""
        if not self.upstream.single:
            self._now = int(self.upstream.clock())
            return self.select()
        peer = self.upstream.peers[0]
        if peer.settings.down or (peer.settings.max_conns and _at_max_conns(peer)):
            return None
        peer.connections += 1
        return peer

    def select(self) -> Peer | None:
        """`get` for a group of several peers, by the load-balancing method."""
        return self.round_robin()

    def round_robin(self) -> Peer | None:
        """The next peer of the round robin."""
        while True:
            peers = list(self.available())
            if peers:
                return self.mark_used(self.select_smooth(peers))
            if not self.switch_to_backups():
                return None

    def switch_to_backups(self) -> bool:
        """Switch to the backups; False if there are none, or if they are active already."""
        backups = self.upstream.backups
        if not backups or self.peers is backups:
            return False
        self.peers = backups
        self._tried = ()
        return True

    def available(self) -> Iterator[Peer]:
        """Iterate over the peers that may be used now, in the order of the group."""
        return filter(self.is_available, self.peers)

    def is_available(self, peer: Peer) -> bool:
        return not (
            peer in self._tried
            or peer.settings.down
            or _is_failed(peer, self._now)
            or _at_max_conns(peer)
        )

    def select_smooth(self, peers: Iterable[Peer]) -> Peer:
        """The next one of `peers` by smooth weighted round robin."""
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

    def mark_used(self, peer: Peer) -> Peer:
        """Note that `peer` is in use, and return it."""
        if not self._tried:
            self._tried = set()
        self._tried.add(peer)
        if self._now - peer.checked > peer.settings.fail_timeout:
            peer.checked = self._now
        peer.connections += 1
        return peer

    def free(self, peer: Peer, *, failed: bool) -> bool:
        """Return `peer` after an attempt; returns whether it is now marked as failed."""
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


def _is_failed(peer: Peer, now: int) -> bool:
    settings = peer.settings
    return bool(
        settings.max_fails
        and peer.fails >= settings.max_fails
        and now - peer.checked <= settings.fail_timeout
    )


def _at_max_conns(peer: Peer) -> bool:
    return bool(peer.settings.max_conns and peer.connections >= peer.settings.max_conns)
