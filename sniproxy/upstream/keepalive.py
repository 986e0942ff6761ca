"""Connections to the peers of one group that wait for another request.

nginx's `keepalive` with its `_requests`, `_time` and `_timeout`; without a word in the
configuration it is `keepalive 32 local`. The last one used is taken first, for whoever asks for
its address: under `local` by the location that left it there, else by any location of the
group, whatever name, certificate or verification it would have wanted for a new one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import trio

from ..config.directives.upstream import UpstreamGroup
from ..tls.stream import SocketStream
from .idle import IdleWatch
from .peers import Peer


@dataclass(slots=True, eq=False)
class Kept:
    """One idle connection."""

    group: KeptConnections
    address: Any
    """Of the peer, as `socket.connect` takes it."""
    place: object
    """The location that left it."""
    stream: SocketStream
    deadline: float
    """By trio's clock."""

    def over(self) -> None:
        """It has ended, or waited for too long."""
        self.group.end(self)


class KeptConnections:
    """The idle connections of one group, the last one used at the end."""

    def __init__(self, settings: UpstreamGroup, watch: IdleWatch) -> None:
        self._settings = settings
        self._watch = watch
        self._idle: list[Kept] = []

    def of(self, place: object) -> LocationConnections:
        """The connections as the location `place` has to do with them."""
        return LocationConnections(self, place)

    def take(self, peer: Peer, place: object) -> SocketStream | None:
        """A live connection to `peer`, if one waits."""
        local = self._settings.keepalive.local
        for position in range(len(self._idle) - 1, -1, -1):
            kept = self._idle[position]
            if kept.address != peer.sockaddr or (local and kept.place is not place):
                continue
            self._forget(kept, position)
            if kept.stream.is_quiet():
                return kept.stream
            kept.stream.close()
        return None

    def put(self, peer: Peer, place: object, stream: SocketStream) -> None:
        """Keep `stream` for later, or end it where it has served long enough."""
        settings = self._settings
        stream.requests += 1
        if (
            self._watch.stopping
            or stream.requests >= settings.keepalive_requests
            or time.monotonic() - stream.opened > settings.keepalive_time
        ):
            stream.shutdown()
            return
        if len(self._idle) >= settings.keepalive.connections:
            self.end(self._idle[0])
        deadline = trio.current_time() + settings.keepalive_timeout
        kept = Kept(self, peer.sockaddr, place, stream, deadline)
        self._watch.begin(kept)
        self._idle.append(kept)

    def close(self) -> None:
        """Close them all."""
        for kept in tuple(self._idle):
            self.end(kept)

    def end(self, kept: Kept) -> None:
        """Close one of them."""
        # nginx says no goodbye to a connection that is idle.
        self._forget(kept, self._idle.index(kept))
        kept.stream.close()

    def _forget(self, kept: Kept, position: int) -> None:
        del self._idle[position]
        self._watch.end(kept)


@dataclass(frozen=True, slots=True)
class LocationConnections:
    """The idle connections of a group as one location takes and leaves them."""

    group: KeptConnections
    place: object

    def take(self, peer: Peer) -> SocketStream | None:
        return self.group.take(peer, self.place)

    def put(self, peer: Peer, stream: SocketStream) -> None:
        self.group.put(peer, self.place, stream)
