"""Connections that wait for another request, watched while nobody uses them.

An idle connection has nothing to say: whatever comes on it, or its end, closes it, and so does
its time. nginx has a read event and a timer for each; here one epoll beside trio's and one task
serve all groups, and a connection costs two system calls for each wait. Where there is no epoll
only the time is watched, and an end shows when the connection is asked for.
"""

from __future__ import annotations

import math
import select
from collections.abc import Callable
from dataclasses import dataclass

import trio

from ..tls.stream import SocketStream


@dataclass(slots=True, eq=False)
class Wait:
    """One idle connection."""

    stream: SocketStream
    descriptor: int
    deadline: float
    """By trio's clock."""
    over: Callable[[], None]
    """Called once, when it has ended or waited for too long."""


class IdleWatch:
    """All idle connections of one site."""

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        """While it runs, and there is one: a fork must not share it."""
        self._waits: dict[int, Wait] = {}
        self._timer = trio.CancelScope()
        self.stopping = False
        """Set once: nothing is kept any more."""

    async def run(self) -> None:
        """Watch until cancelled."""
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        try:
            while True:
                self._timer = trio.CancelScope(deadline=self._next_deadline())
                with self._timer:
                    await self._wait_for_any()
                    self._end_spoken()
                self._end_late()
        finally:
            if self._epoll is not None:
                self._epoll.close()
                self._epoll = None

    def begin(self, stream: SocketStream, seconds: float, over: Callable[[], None]) -> Wait:
        """Watch `stream` for so long; `over` is called when that is to end."""
        wait = Wait(stream, stream.sock.fileno(), trio.current_time() + seconds, over)
        self._waits[wait.descriptor] = wait
        if wait.deadline < self._timer.deadline:
            self._timer.deadline = wait.deadline
        if self._epoll is not None:
            self._epoll.register(
                wait.descriptor, select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLONESHOT
            )
        return wait

    def end(self, wait: Wait) -> None:
        """Watch it no longer: it is in use, or about to be closed."""
        del self._waits[wait.descriptor]
        if self._epoll is not None:
            self._epoll.unregister(wait.descriptor)

    def stop(self) -> None:
        """Close all that is idle, and keep nothing from now on."""
        self.stopping = True
        for wait in tuple(self._waits.values()):
            wait.over()

    async def _wait_for_any(self) -> None:
        if self._epoll is None:
            await trio.sleep_forever()
        else:
            await trio.lowlevel.wait_readable(self._epoll.fileno())

    def _next_deadline(self) -> float:
        return min((wait.deadline for wait in self._waits.values()), default=math.inf)

    def _end_spoken(self) -> None:
        assert self._epoll is not None
        for descriptor, _ in self._epoll.poll(0):
            wait = self._waits.get(descriptor)
            if wait is not None:
                wait.over()

    def _end_late(self) -> None:
        now = trio.current_time()
        for wait in tuple(self._waits.values()):
            if wait.deadline <= now:
                wait.over()
