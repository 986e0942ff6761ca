"""Numbers of connections and requests of all workers, for `stub_status`."""

from __future__ import annotations

import enum
import struct

from .shared_zone import SharedZone


class Statistic(enum.IntEnum):
    """What is counted; each is a place in the shared memory."""

    ACCEPTED = 0
    HANDLED = 1
    REQUESTS = 2
    ACTIVE = 3
    READING = 4
    """Requests whose head is being read."""
    WRITING = 5
    """Requests that are being served."""
    WAITING = 6
    """Connections that wait for a request."""


_NUMBERS = struct.Struct(f"={len(Statistic)}q")


class ConnectionStatistics:
    """The numbers, in memory that processes forked from here on share."""

    def __init__(self) -> None:
        self._zone = SharedZone(_NUMBERS.size)
        self._users = 1

    def share(self) -> ConnectionStatistics:
        """Use the numbers in another configuration, too; each closes them once."""
        self._users += 1
        return self

    def read(self) -> tuple[int, ...]:
        """The numbers, in the order of `Statistic`."""
        with self._zone.lock():
            found: tuple[int, ...] = _NUMBERS.unpack_from(self._zone.memory)
        return found

    def change(self, *changes: tuple[Statistic, int]) -> None:
        """Add to several numbers at once."""
        # A process that died with the lock has written all numbers or none.
        with self._zone.lock():
            numbers = list(_NUMBERS.unpack_from(self._zone.memory))
            for which, amount in changes:
                numbers[which] += amount
            _NUMBERS.pack_into(self._zone.memory, 0, *numbers)

    def close(self) -> None:
        self._users -= 1
        if not self._users:
            self._zone.close()


class CountedState:
    """Which of the states a connection or stream counts in; it counts in one at a time."""

    __slots__ = ("_state", "_statistics")

    def __init__(self, statistics: ConnectionStatistics) -> None:
        self._statistics = statistics
        self._state: Statistic | None = None

    def enter(self, state: Statistic | None, *others: tuple[Statistic, int]) -> None:
        """Leave the state for another; `others` are changed with it."""
        changes = list(others)
        if state is not self._state:
            if self._state is not None:
                changes.append((self._state, -1))
            if state is not None:
                changes.append((state, 1))
            self._state = state
        if changes:
            self._statistics.change(*changes)


class CountedConnection(CountedState):
    """A connection while it is open."""

    __slots__ = ()

    def __init__(self, statistics: ConnectionStatistics) -> None:
        super().__init__(statistics)
        self.enter(Statistic.WAITING, (Statistic.HANDLED, 1), (Statistic.ACTIVE, 1))

    def read_request(self) -> None:
        """Begin to read a request head."""
        self.enter(Statistic.READING, (Statistic.REQUESTS, 1))

    def close(self) -> None:
        self.enter(None, (Statistic.ACTIVE, -1))
