"""Connections that wait for another request, watched while nobody uses them.

An idle connection has nothing to say: whatever comes on it, or its end, closes it, and so does
its time. nginx has a read event and a timer for each; here one epoll beside trio's and one task
serve all groups, and a connection costs two system calls each time that it waits. Where there
is no epoll only the time is watched, and an end shows when the connection is asked for.
"""

from __future__ import annotations

import math
import select
from typing import Protocol

import trio

from ..tls.stream import SocketStream

_IDLE = getattr(select, "EPOLLIN", 0) | getattr(select, "EPOLLRDHUP", 0)
_ONCE = getattr(select, "EPOLLONESHOT", 0)


class Idle(Protocol):
    """One idle connection."""

    @property
    def stream(self) -> SocketStream: ...

    @property
    def deadline(self) -> float:
        """By trio's clock."""
        ...

    def over(self) -> None:
        """Called once, when it has ended or waited for too long; calls `IdleWatch.end`."""
        ...


class IdleWatch:
    """All idle connections of one site."""

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        """While it runs, and there is one: a fork must not share it."""
        self._idle: dict[int, Idle] = {}
        """By descriptor."""
        self._timer = trio.CancelScope()
        self._timer_ends = math.inf
        self.stopping = False
        """Set once: nothing is kept any more."""

    async def run(self) -> None:
        """Watch until cancelled."""
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        try:
            while True:
                self._timer_ends = self._next_deadline()
                with trio.CancelScope(deadline=self._timer_ends) as self._timer:
                    await self._wait_for_any()
                    self._end_spoken()
                self._end_late()
        finally:
            if self._epoll is not None:
                self._epoll.close()
                self._epoll = None

    def begin(self, idle: Idle) -> None:
        """Watch a connection from now on."""
        stream = idle.stream
        descriptor = stream.sock.fileno()
        self._idle[descriptor] = idle
        if idle.deadline < self._timer_ends:
            self._timer.deadline = self._timer_ends = idle.deadline
        if self._epoll is None:
            return
        if stream.watched:
            self._epoll.modify(descriptor, _IDLE | _ONCE)
        else:
            self._epoll.register(descriptor, _IDLE | _ONCE)
            stream.watched = True

    def end(self, idle: Idle) -> None:
        """Watch it no longer: it is in use, or about to be closed."""
        stream = idle.stream
        descriptor = stream.sock.fileno()
        del self._idle[descriptor]
        if stream.watched and self._epoll is not None:
            self._epoll.modify(descriptor, _ONCE)

    def stop(self) -> None:
        """Close all that is idle, and keep nothing from now on."""
        self.stopping = True
        for idle in tuple(self._idle.values()):
            idle.over()

    async def _wait_for_any(self) -> None:
        if self._epoll is None:
            await trio.sleep_forever()
        else:
            await trio.lowlevel.wait_readable(self._epoll.fileno())

    def _next_deadline(self) -> float:
        return min((idle.deadline for idle in self._idle.values()), default=math.inf)

    def _end_spoken(self) -> None:
        assert self._epoll is not None
        for descriptor, _ in self._epoll.poll(0):
            idle = self._idle.get(descriptor)
            if idle is not None:
                idle.over()

    def _end_late(self) -> None:
        now = trio.current_time()
        for idle in tuple(self._idle.values()):
            if idle.deadline <= now:
                idle.over()
