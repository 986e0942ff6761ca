"""The peers of an upstream group, and their selection (pure).

`PeerSelector` is nginx's `ngx_peer_connection_t` with its default method, the smooth weighted round
robin: `get` is `pc->get`, `free` is `pc->free`. Every selection adds each peer's effective weight
to its current weight, takes the peer with the highest, and subtracts the total from it. A failure
lowers the effective weight; it recovers with time and success. Directives: `upstream`, `server`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..config.directives.upstream import PeerSettings
from ..context import UpstreamState
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
    server: str = ""
    """The `server` as in the configuration, or the target of the SRV record."""
    sid: str = ""
    """The name for `sticky`; "" if the group has no such directive."""
    header_time: int = 0
    """Average time to the response head in milliseconds, with the next five for `least_time`.

    In a group of `stream {}` to the connection or the first byte, whichever is compared.
    """
    response_time: int = 0
    """Average time to the end of the response."""
    inflight_time: int = 0
    """Average time that requests under way have taken."""
    inflight_last: int = 0
    """Sum of the times of the requests under way at `inflight_changed`."""
    inflight_changed: int = 0
    """When a request began or ended, in milliseconds."""
    inflight: int = 0
    """Number of requests without a response head."""

    def __post_init__(self) -> None:
        self.effective_weight = self.settings.weight
        if not self.server:
            self.server = self.settings.address.url


class RequestSelector(Protocol):
    """Selects the peers of one request (`ngx_peer_connection_t`)."""

    hint: str
    """The `sid` of the peer that is preferred by `sticky`; "" if there is none."""
    wants_head: bool
    """Whether `head_received` is to be called."""
    tries_left: int

    def get(self) -> Peer | None:
        """The next peer, now in use; None when none is left (`no live upstreams`)."""
        ...

    def connected(self, peer: Peer, attempt: UpstreamState, *, is_tcp: bool) -> None:
        """Note that a session of `stream {}` is connected to `peer`."""
        ...

    def head_received(self, attempt: UpstreamState) -> None:
        """Note that the response of an attempt is passed on; its head has been read.

        Of a session, that its upstream has sent the first byte.
        """
        ...

    def free(
        self,
        peer: Peer,
        *,
        failed: bool,
        attempt: UpstreamState | None = None,
        has_response: bool = True,
    ) -> bool:
        """Return `peer` after an attempt; returns whether it is now marked as failed.

        `failed` is whether that is the peer's fault, `has_response` whether no failure of
        any type has ended the attempt.
        """
        ...


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
    make_selector: Callable[[Upstream, Any], RequestSelector] | None = None
    """Creates selectors for the group's load-balancing method; None is round robin."""
    pool: ConnectionPool | None = None
    """Idle connections; None if each connection serves one request."""

    generation: int = 0
    """Number of changes of the peers, if they change (`resolve`)."""

    single: bool = field(init=False)
    """Whether there is only one peer, which is never marked as failed."""
    tries: int = field(init=False)
    """Number of peers that a request may try: those that are not `down`."""

    def __post_init__(self) -> None:
        self.count_peers()

    def count_peers(self) -> None:
        """Determine what depends on the number of peers."""
        both = (*self.peers, *self.backups)
        self.single = len(self.peers) == 1 and not self.backups
        self.tries = sum(not peer.settings.down for peer in both)

    def selector(self, ctx: Any) -> RequestSelector:
        """The selector of one request or session, with the state `ctx`."""
        make = self.make_selector
        return PeerSelector(self) if make is None else make(self, ctx)


class PeerSelector:
    """Selects the peers that a request tries in turn; the base class is round robin."""

    hint = ""
    """The `sid` of the peer that is preferred by `sticky`; "" if there is none."""
    wants_head = False
    """Whether `head_received` is to be called."""

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
            sticky = self.sticky_peer() if self.hint else None
            if sticky is None:
                return None
        peer.connections += 1
        return peer

    def select(self) -> Peer | None:
        """`get` for a group of several peers, by the load-balancing method."""
        return self.round_robin()

    def round_robin(self) -> Peer | None:
        """The next peer of the round robin."""
        while True:
            sticky = self.sticky_peer() if self.hint else None
            if sticky is not None:
                return self.mark_used(self._weigh_sticky(sticky))
            peers = list(self.available())
            if peers:
                return self.mark_used(self.select_smooth(peers))
            if not self.switch_to_backups():
                return None

    def sticky_peer(self) -> Peer | None:
        """The peer that `hint` names, if it may be used now; a `drain` server may."""
        for peer in self.peers:
            if peer.sid == self.hint:
                settings = peer.settings
                usable = not (
                    peer in self._tried
                    or (settings.down and not settings.drain)
                    or _is_failed(peer, self._now)
                    or _at_max_conns(peer)
                )
                return peer if usable else None
        return None

    def _weigh_sticky(self, sticky: Peer) -> Peer:
        """Change the weights for a request that `sticky` decides, and return its peer.

        They are not changed if it has had more requests in a row than its share.
        """
        others = sum(peer.settings.weight for peer in self.peers) - sticky.settings.weight
        if sticky.current_weight > -others:
            total = sum(map(raise_weights, tuple(self.available())))
            sticky.current_weight -= total
        return sticky

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

    def connected(self, peer: Peer, attempt: UpstreamState, *, is_tcp: bool) -> None:
        """Note that a session is connected: over TCP that resets the number of failures."""
        if is_tcp and peer.accessed < peer.checked:
            peer.fails = 0

    def head_received(self, attempt: UpstreamState) -> None:
        """Note that the response of an attempt is passed on; its head has been read."""

    def free(
        self,
        peer: Peer,
        *,
        failed: bool,
        attempt: UpstreamState | None = None,
        has_response: bool = True,
    ) -> bool:
        """Return `peer` after an attempt (`RequestSelector.free`)."""
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


def raise_weights(peer: Peer) -> int:
    """Add the effective weight to the current one, let it recover, and return what was added."""
    added = peer.effective_weight
    peer.current_weight += added
    if added < peer.settings.weight:
        peer.effective_weight += 1
    return added


def peer_name(sockaddr: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """`127.0.0.1:443` or `[::1]:443`."""
    host, port = sockaddr[0], sockaddr[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def socket_address(host: str, port: int) -> tuple[int, Any, str]:
    """The address family, the address for `socket.connect`, and the name of a peer at an IP."""
    if ":" in host:
        six = (host, port, 0, 0)
        return socket.AF_INET6, six, peer_name(six)
    return socket.AF_INET, (host, port), peer_name((host, port))


def _is_failed(peer: Peer, now: int) -> bool:
    settings = peer.settings
    return bool(
        settings.max_fails
        and peer.fails >= settings.max_fails
        and now - peer.checked <= settings.fail_timeout
    )


def _at_max_conns(peer: Peer) -> bool:
    return bool(peer.settings.max_conns and peer.connections >= peer.settings.max_conns)
