"""Time-outs of waits that nearly always end before: nginx's event timers.

A cancel scope for every wait of a connection would cost as much as the wait. So an alarm is set
anew for each, and what it has in the heap is only the time at which somebody looks at it next:
setting it for later than that touches nothing. One task of a trio program looks at them all.
"""

from __future__ import annotations

import heapq
import itertools
import math

import trio

MANY = 1000
"""Entries of discarded alarms that the heap may hold without being cleared of them."""


class Alarm:
    """Ends the waits for one descriptor when their time is over.

    They are trio's own, and end with `trio.ClosedResourceError`; `rang` says whether that was
    the alarm.
    """

    __slots__ = ("_fd", "_timers", "deadline", "discarded", "looked_at", "rang")

    def __init__(self, fd: int) -> None:
        """Raises RuntimeError outside of trio."""
        self.deadline = math.inf
        """By trio's clock; infinite while nothing waits."""
        self.looked_at = math.inf
        """When its entry in the heap is due; infinite without one."""
        self.rang = False
        self.discarded = False
        self._fd = fd
        self._timers = of_this_run()

    def set(self, deadline: float) -> None:
        """A wait begins."""
        self.deadline = deadline
        self.rang = False
        if deadline < self.looked_at:
            self._timers.add(deadline, self)

    def stop(self) -> None:
        """The wait is over."""
        self.deadline = math.inf

    def discard(self) -> None:
        """No wait will follow."""
        self.deadline = math.inf
        if not self.discarded:
            self.discarded = True
            self._timers.note_discarded()

    def ring(self) -> None:
        self.rang = True
        self.deadline = math.inf
        trio.lowlevel.notify_closing(self._fd)


class _Timers:
    """All alarms of one trio program."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Alarm]] = []
        self._order = itertools.count()
        self._discarded = 0
        self._sleep = trio.CancelScope()

    async def run(self) -> None:
        while True:
            deadline = self._heap[0][0] if self._heap else math.inf
            with trio.CancelScope(deadline=deadline) as self._sleep:
                await trio.sleep_forever()
            self._look()

    def add(self, deadline: float, alarm: Alarm) -> None:
        """Look at `alarm` at that time, and no more at the one that it had before."""
        alarm.looked_at = deadline
        heapq.heappush(self._heap, (deadline, next(self._order), alarm))
        if self._heap[0][2] is alarm:
            self._sleep.deadline = deadline

    def note_discarded(self) -> None:
        self._discarded += 1
        if self._discarded > MANY and self._discarded * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if not entry[2].discarded]
            heapq.heapify(self._heap)
            self._discarded = 0

    def _look(self) -> None:
        now = trio.current_time()
        while self._heap and self._heap[0][0] <= now:
            due, _, alarm = heapq.heappop(self._heap)
            if due != alarm.looked_at:
                continue
            alarm.looked_at = math.inf
            if alarm.deadline <= now:
                alarm.ring()
            elif alarm.deadline < math.inf:
                self.add(alarm.deadline, alarm)


_TIMERS: trio.lowlevel.RunVar[_Timers] = trio.lowlevel.RunVar("sniproxy timers")


def of_this_run() -> _Timers:
    """Those of the trio program that asks; its task lives as long as the program."""
    try:
        return _TIMERS.get()
    except LookupError:
        timers = _Timers()
        trio.lowlevel.spawn_system_task(timers.run)
        _TIMERS.set(timers)
        return timers
