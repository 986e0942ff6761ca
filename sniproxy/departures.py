"""Clients that leave while their request is with an upstream (`proxy_ignore_client_abort off`).

nginx is told by the kernel (EPOLLRDHUP), whatever else waits on the connection; so are we, by
an epoll of our own beside trio's. One task serves all connections, and a connection is named to
the kernel once. Where there is no epoll nobody is watched: a request then runs to its end.
"""

from __future__ import annotations

import select
from types import TracebackType

import trio


class LateScope:
    """A cancel scope around a connection, which is opened when it is first of use: it is dear for
    those that nothing ever cancels.
    """

    __slots__ = ("_scope",)

    def __init__(self) -> None:
        self._scope: trio.CancelScope | None = None

    def __enter__(self) -> None:
        pass

    def open(self) -> None:
        """From here on to the end of the block; not to be called in a scope inside of it."""
        self._scope = trio.CancelScope()
        self._scope.__enter__()

    def cancel(self) -> None:
        assert self._scope is not None
        self._scope.cancel()

    @property
    def cancel_called(self) -> bool:
        return self._scope is not None and self._scope.cancel_called

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return None if self._scope is None else self._scope.__exit__(kind, error, trace)


class Departure:
    """Whether one client has closed its side, and what ends with that; a context while it does.

    with departure:
        answer = await …            # its connection is cancelled when the client leaves
    """

    __slots__ = ("_armed", "_connection", "_matters", "happened")

    def __init__(self, connection: LateScope) -> None:
        self.happened = False
        self._connection = connection
        self._matters = False
        self._armed = True

    def __enter__(self) -> None:
        self._matters = True
        self._act()

    def __exit__(self, *_: object) -> None:
        self._matters = False

    def disarm(self) -> None:
        """Bear with it, until `arm`: what the client sent before its end is still read."""
        self._armed = False

    def arm(self) -> None:
        self._armed = True
        self._act()

    def note(self) -> None:
        """It has happened."""
        self.happened = True
        self._act()

    def _act(self) -> None:
        if self.happened and self._armed and self._matters:
            self._connection.cancel()


class DepartureWatch:
    """Tells the departures of all clients of a running configuration."""

    def __init__(self) -> None:
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self._departures: dict[int, Departure] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        if self._epoll is None:
            return
        try:
            while True:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                for descriptor, _ in self._epoll.poll(0):
                    departure = self._departures.get(descriptor)
                    if departure is not None:
                        departure.note()
        finally:
            self._epoll.close()

    def begin(self, descriptor: int, connection: LateScope) -> Departure:
        """Watch a socket from now on, until it is closed; `end` says then that it is.

        `connection` is cancelled when the client leaves and that matters.
        """
        departure = Departure(connection)
        if self._epoll is not None and not self._epoll.closed:
            self._departures[descriptor] = departure
            self._epoll.register(descriptor, select.EPOLLRDHUP | select.EPOLLET)
        return departure

    def end(self, descriptor: int, departure: Departure) -> None:
        """Forget a socket that is closed; its number may be another's by now."""
        if self._departures.get(descriptor) is departure:
            del self._departures[descriptor]
