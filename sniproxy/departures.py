"""Clients that leave while their request is with an upstream (`proxy_ignore_client_abort off`).

nginx is told by the kernel (EPOLLRDHUP), whatever else waits on the connection; so are we, by
an epoll of our own beside trio's. One task serves all connections, and watching one costs two
system calls. Where there is no epoll nobody is watched: a request then runs to its end.
"""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager

import trio


class DepartureWatch:
    """Cancels what is done for a client that has closed its side."""

    def __init__(self) -> None:
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self._scopes: dict[int, trio.CancelScope] = {}
        self._armed: set[int] = set()

    async def run(self) -> None:
        """Watch until cancelled."""
        if self._epoll is None:
            return
        try:
            while True:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                for descriptor, _ in self._epoll.poll(0):
                    if descriptor in self._scopes:
                        self._scopes[descriptor].cancel()
        finally:
            self._epoll.close()

    @contextmanager
    def over(self, descriptor: int, *, armed: bool = True) -> Iterator[trio.CancelScope]:
        """A scope that is cancelled when the peer of the socket `descriptor` has closed.

        Unless it is `armed`, from `arm` on.
        """
        with trio.CancelScope() as scope:
            if self._epoll is None or self._epoll.closed:
                yield scope
                return
            self._scopes[descriptor] = scope
            if armed:
                self.arm(descriptor)
            try:
                yield scope
            finally:
                del self._scopes[descriptor]
                if descriptor in self._armed:
                    self._armed.remove(descriptor)
                    if not self._epoll.closed:
                        self._epoll.unregister(descriptor)

    def arm(self, descriptor: int) -> None:
        """Begin to watch a socket for the scope that is open over it."""
        if self._epoll is not None and not self._epoll.closed:
            self._epoll.register(descriptor, select.EPOLLRDHUP | select.EPOLLONESHOT)
            self._armed.add(descriptor)
