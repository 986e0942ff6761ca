"""`least_time`: the peer that is expected to respond first (ngx_http_upstream_least_time_module).

A peer has moving averages of its response times. What it is expected to need is the average, in
steps of 20 ms, multiplied by the number of its connections; round robin decides among equals.
"""

from __future__ import annotations

import time

from ..config.directives.upstream import Balancing, TimeOf
from ..context import UpstreamState
from .selector import Peer, PeerSelector, Upstream, raise_weights

STEP = 20
"""Milliseconds within which response times count as equal."""
SLOWEST = 5000
"""Milliseconds from which on all peers are equally slow."""


class LeastTime(PeerSelector):
    """`least_time`: the least expected time relative to weight."""

    def __init__(self, upstream: Upstream, method: Balancing) -> None:
        super().__init__(upstream)
        self._last_byte = method.time_of is TimeOf.LAST_BYTE
        self._counts_inflight = method.inflight
        self._notes_early = method.inflight and not self._last_byte
        """Whether the time is noted when it is known, not at the end."""
        self.wants_head = self._notes_early
        self._is_inflight = False
        """Whether the current request counts as under way."""
        self._current: Peer | None = None

    def select(self) -> Peer | None:
        while True:
            peer = self.sticky_peer() if self.hint else None
            if peer is None:
                peer = self._fastest()
            if peer is not None:
                if self._counts_inflight:
                    self._begin(peer)
                return self.mark_used(peer)
            if not self.switch_to_backups():
                return None

    def _fastest(self) -> Peer | None:
        now = _milliseconds()
        peers = tuple(self.available())
        best: Peer | None = None
        best_time, first, equals = 0, 0, False
        for position, peer in enumerate(peers):
            if peer.inflight > 0:
                waiting = peer.inflight_last // peer.inflight + (now - peer.inflight_changed)
                peer.inflight_time = average(peer.inflight_time, waiting)
            expected = self._expected_time(peer)
            order = -1 if best is None else _compare(expected, peer, best_time, best)
            if order < 0:
                best, best_time, first, equals = peer, expected, position, False
            elif order == 0:
                equals = True
        if best is None or not equals:
            return best
        total = 0
        for peer in peers[first:]:
            # nginx compares with the time of the first one, whichever is the best by now.
            if _compare(self._expected_time(peer), peer, best_time, best) == 0:
                total += raise_weights(peer)
                if peer.current_weight > best.current_weight:
                    best = peer
        best.current_weight -= total
        return best

    def _expected_time(self, peer: Peer) -> int:
        """When a new request is expected to be over, in milliseconds."""
        needed = peer.response_time if self._last_byte else peer.header_time
        idle = self._now - peer.checked
        timeout = int(peer.settings.fail_timeout)
        if idle > timeout:
            # Slow peers get another chance once in `fail_timeout`.
            needed >>= min(idle // (timeout + 1), 63)
        if peer.inflight > 0:
            needed = max(needed, peer.inflight_time)
        needed = SLOWEST if needed > SLOWEST else needed + STEP - needed % STEP
        return needed * (1 + peer.connections)

    def _begin(self, peer: Peer) -> None:
        now = _milliseconds()
        if peer.inflight > 0:
            peer.inflight_last += (now - peer.inflight_changed) * peer.inflight
        peer.inflight_changed = now
        peer.inflight += 1
        self._is_inflight, self._current = True, peer

    def _end(self, peer: Peer, needed: int) -> None:
        """A request that has taken `needed` milliseconds is no longer under way."""
        if peer.inflight == 1:
            peer.inflight_last = 0
        else:
            now = _milliseconds()
            peer.inflight_last += (now - peer.inflight_changed) * peer.inflight - needed
            peer.inflight_changed = now
        peer.inflight -= 1
        self._is_inflight = False

    def _early_time(self, attempt: UpstreamState) -> float | None:
        """The time that is compared, unless it is the one to the end; in seconds."""
        return attempt.header_time

    def _is_complete(self, attempt: UpstreamState) -> bool:
        """Whether the time to the end counts."""
        return attempt.header_time is not None

    def head_received(self, attempt: UpstreamState) -> None:
        peer, early = self._current, self._early_time(attempt)
        if peer is None or early is None:
            return
        needed = int(early * 1000)
        peer.header_time = average(peer.header_time, needed)
        if self._is_inflight:
            self._end(peer, needed)

    def free(
        self,
        peer: Peer,
        *,
        failed: bool,
        attempt: UpstreamState | None = None,
        has_response: bool = True,
    ) -> bool:
        if attempt is not None:
            needed = int((time.monotonic() - attempt.started) * 1000)
            if self._is_inflight:
                self._end(peer, needed if has_response else -1)
            if has_response and self._is_complete(attempt):
                peer.response_time = average(peer.response_time, needed)
                early = self._early_time(attempt)
                if early is not None and not self._notes_early:
                    peer.header_time = average(peer.header_time, int(early * 1000))
        return super().free(peer, failed=failed, attempt=attempt, has_response=has_response)


class SessionLeastTime(LeastTime):
    """`least_time` of sessions, by the time to the connection, or the first or last byte."""

    def __init__(self, upstream: Upstream, method: Balancing) -> None:
        super().__init__(upstream, method)
        self._is_of_connect = method.time_of is TimeOf.CONNECT
        self.wants_head = method.inflight and method.time_of is TimeOf.FIRST_BYTE

    def _early_time(self, attempt: UpstreamState) -> float | None:
        return attempt.connect_time if self._is_of_connect else attempt.header_time

    def _is_complete(self, attempt: UpstreamState) -> bool:
        return True

    def connected(self, peer: Peer, attempt: UpstreamState, *, is_tcp: bool) -> None:
        if self._is_of_connect and self._notes_early:
            self.head_received(attempt)
        super().connected(peer, attempt, is_tcp=is_tcp)


def _compare(time: int, peer: Peer, other_time: int, other: Peer) -> int:
    """Negative if a peer is expected to respond earlier than another one, relative to weight."""
    return time * other.settings.weight - other_time * peer.settings.weight


def average(before: int, new: int) -> int:
    """A moving average, in which 0 counts as none so far."""
    return int(0.5 + new * 0.05 + before * 0.95) if before else new


def _milliseconds() -> int:
    return int(time.monotonic() * 1000)
