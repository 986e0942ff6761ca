"""Connections to the peers of one group that wait for another request.

nginx's `keepalive` with the defaults of 1.29.7 and later: 32 connections a group, each for
60 seconds and 1,000 requests, the last one used taken first, and (`local`) never for another
location than the one that opened it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from ..tls.stream import SocketStream
from .peers import Peer

MOST = 32
IDLE_SECONDS = 60.0
REQUESTS = 1000


@dataclass(slots=True)
class Kept:
    """One idle connection."""

    peer: Peer
    stream: SocketStream
    since: float
    """Monotonic seconds."""


class KeptConnections:
    """The idle connections of one location to one group, the last one used at the end."""

    def __init__(self) -> None:
        self._idle: list[Kept] = []

    def take(self, peer: Peer) -> SocketStream | None:
        """A live connection to `peer`, if one waits."""
        self.close_old()
        for position in range(len(self._idle) - 1, -1, -1):
            if self._idle[position].peer is peer:
                kept = self._idle.pop(position)
                if kept.stream.is_quiet():
                    return kept.stream
                kept.stream.close()
        return None

    def put(self, peer: Peer, stream: SocketStream) -> None:
        """Keep `stream` for later, or close it where it has served long enough."""
        stream.requests += 1
        if stream.requests >= REQUESTS:
            stream.shutdown()
            return
        self._idle.append(Kept(peer, stream, time.monotonic()))
        if len(self._idle) > MOST:
            self._idle.pop(0).stream.shutdown()

    def close_old(self) -> None:
        """Close what has been idle for too long."""
        oldest = time.monotonic() - IDLE_SECONDS
        while self._idle and self._idle[0].since < oldest:
            self._idle.pop(0).stream.shutdown()

    def close(self) -> None:
        for kept in self._idle:
            kept.stream.shutdown()
        self._idle.clear()
