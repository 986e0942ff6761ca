"""Pools of idle connections to upstreams, and the monitor that watches them.

`ConnectionPool` is nginx's upstream keepalive module: `keepalive` with `keepalive_requests`,
`keepalive_time` and `keepalive_timeout` (the default is `keepalive 32 local`). The connection used
last is taken first. Any location may take it, regardless of its own settings for name, certificate
and verification; with `local` only the location that stored it.

Any data or EOF on an idle connection closes it, and so does its timeout. nginx has a read event
and a timer for each; here one epoll beside trio's and one task serve all pools, so that an idle
connection costs two system calls instead of a task. Without epoll only timeouts are monitored,
and a closed connection is noticed when it is taken.
"""

from __future__ import annotations

import math
import select
import time
from collections.abc import Collection
from typing import Any

import trio

from ..config.directives.upstream import UpstreamGroup
from ..tls.stream import SocketStream

_READABLE = getattr(select, "EPOLLIN", 0) | getattr(select, "EPOLLRDHUP", 0)
_ONESHOT = getattr(select, "EPOLLONESHOT", 0)


class PooledConnection:
    """An idle connection."""

    __slots__ = ("address", "deadline", "location", "pool", "stream")

    def __init__(
        self,
        pool: ConnectionPool,
        address: Any,
        location: object,
        stream: SocketStream,
        deadline: float,
    ) -> None:
        self.pool = pool
        self.address = address
        """The peer's address, as for `socket.connect`."""
        self.location = location
        """The location that stored the connection."""
        self.stream = stream
        self.deadline = deadline
        """When it is closed, by trio's clock."""


class ConnectionPool:
    """The idle connections of a group, ordered by last use."""

    def __init__(self, settings: UpstreamGroup, monitor: IdleMonitor) -> None:
        self._settings = settings
        self._size, self._local = settings.keepalive.connections, settings.keepalive.local
        self._monitor = monitor
        self._idle: list[PooledConnection] = []

    @property
    def idle_count(self) -> int:
        """Number of idle connections."""
        return len(self._idle)

    def take(self, address: Any, location: object) -> SocketStream | None:
        """An idle connection to the peer at `address`, None if there is none."""
        for position in range(len(self._idle) - 1, -1, -1):
            pooled = self._idle[position]
            if pooled.address != address or (self._local and pooled.location is not location):
                continue
            del self._idle[position]
            self._monitor.remove(pooled)
            if pooled.stream.is_reusable():
                return pooled.stream
            pooled.stream.close()
        return None

    def put(self, address: Any, location: object, stream: SocketStream) -> None:
        """Store `stream` for another request, or close it if it has reached a limit."""
        settings = self._settings
        stream.requests += 1
        if (
            self._monitor.stopping
            or stream.requests >= settings.keepalive_requests
            or time.monotonic() - stream.opened > settings.keepalive_time
        ):
            stream.shutdown()
            return
        if len(self._idle) >= self._size:
            self.close_connection(self._idle[0])
        deadline = trio.current_time() + settings.keepalive_timeout
        pooled = PooledConnection(self, address, location, stream, deadline)
        self._monitor.add(pooled)
        self._idle.append(pooled)

    def close(self) -> None:
        """Close all idle connections."""
        for pooled in tuple(self._idle):
            self.close_connection(pooled)

    def close_others(self, addresses: Collection[Any]) -> None:
        """Close the idle connections to all addresses but these."""
        for pooled in tuple(self._idle):
            if pooled.address not in addresses:
                self.close_connection(pooled)

    def close_connection(self, pooled: PooledConnection) -> None:
        """Close one idle connection: without close_notify, as nginx does."""
        self._idle.remove(pooled)
        self._monitor.remove(pooled)
        pooled.stream.close()


class IdleMonitor:
    """Watches the idle connections of all pools of a running configuration."""

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        """Exists only while `run` runs, because a fork must not share it."""
        self._idle: dict[int, PooledConnection] = {}
        """By descriptor."""
        self._timer = trio.CancelScope()
        self._timer_deadline = math.inf
        self.stopping = False
        """Whether `stop` was called: connections are no longer stored."""

    async def run(self) -> None:
        """Watch until cancelled."""
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        try:
            while True:
                self._timer_deadline = self._next_deadline()
                with trio.CancelScope(deadline=self._timer_deadline) as self._timer:
                    await self._wait_readable()
                    self._close_readable()
                self._close_expired()
        finally:
            if self._epoll is not None:
                self._epoll.close()
                self._epoll = None

    def add(self, pooled: PooledConnection) -> None:
        """Watch a connection."""
        stream = pooled.stream
        descriptor = stream.sock.fileno()
        self._idle[descriptor] = pooled
        if pooled.deadline < self._timer_deadline:
            self._timer.deadline = self._timer_deadline = pooled.deadline
        if self._epoll is None:
            return
        if stream.watched:
            self._epoll.modify(descriptor, _READABLE | _ONESHOT)
        else:
            self._epoll.register(descriptor, _READABLE | _ONESHOT)
            stream.watched = True

    def remove(self, pooled: PooledConnection) -> None:
        """Stop watching: the connection is in use, or about to be closed."""
        stream = pooled.stream
        descriptor = stream.sock.fileno()
        del self._idle[descriptor]
        if stream.watched and self._epoll is not None:
            self._epoll.modify(descriptor, _ONESHOT)

    def stop(self) -> None:
        """Close all idle connections, and store none from now on."""
        self.stopping = True
        for pooled in tuple(self._idle.values()):
            pooled.pool.close_connection(pooled)

    async def _wait_readable(self) -> None:
        if self._epoll is None:
            await trio.sleep_forever()
        else:
            await trio.lowlevel.wait_readable(self._epoll.fileno())

    def _next_deadline(self) -> float:
        return min((pooled.deadline for pooled in self._idle.values()), default=math.inf)

    def _close_readable(self) -> None:
        assert self._epoll is not None
        for descriptor, _ in self._epoll.poll(0):
            pooled = self._idle.get(descriptor)
            if pooled is not None:
                pooled.pool.close_connection(pooled)

    def _close_expired(self) -> None:
        now = trio.current_time()
        for pooled in tuple(self._idle.values()):
            if pooled.deadline <= now:
                pooled.pool.close_connection(pooled)
