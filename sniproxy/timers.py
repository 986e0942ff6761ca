"""Timeouts for waits on sockets: nginx's event timers (`ngx_event_timer`).

Theory of operation. Nearly every wait ends long before its timeout, and a `trio.CancelScope`
around each would cost as much as the wait itself. Therefore a descriptor has one
`DescriptorTimer` for each direction, which is set again for every wait. All timers of a trio
program share one heap and one task. A timer's entry in the heap is only a lower bound of its
deadline: setting a later deadline does not touch the heap, and when the entry comes due while
the deadline has moved on, it is pushed again for the new one. So a connection that waits a
thousand times with a timeout of 60 seconds touches the heap once a minute. trio does the same for
its own deadlines.

A wait whose deadline has passed ends with `trio.ClosedResourceError` (trio's `notify_closing`);
`expired` tells it from a descriptor that was really closed.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable

import trio

HEAP_PRUNE_THRESHOLD = 1000
"""Entries of discarded timers that the heap may hold before it is rebuilt without them."""


class DescriptorTimer:
    """Ends the waits for one direction of a descriptor when their deadline passes."""

    __slots__ = ("_fd", "_timers", "deadline", "discarded", "expired", "heap_deadline")

    def __init__(self, fd: int) -> None:
        """Raises RuntimeError outside of trio."""
        self.deadline = math.inf
        """By trio's clock; infinite while nothing waits."""
        self.heap_deadline = math.inf
        """When its entry in the heap is due; infinite without one."""
        self.expired = False
        """Whether the last wait ended because its deadline passed."""
        self.discarded = False
        self._fd = fd
        self._timers = current_timers()

    def set(self, deadline: float) -> None:
        """Start a wait that ends at `deadline`."""
        self.deadline = deadline
        self.expired = False
        if deadline < self.heap_deadline:
            self.schedule(deadline)

    def schedule(self, deadline: float) -> None:
        """Enter the timer into the heap, for a deadline before its entry's."""
        self._timers.add(deadline, self)

    def stop(self) -> None:
        """End the wait."""
        self.deadline = math.inf

    def discard(self) -> None:
        """Drop the timer: the descriptor is about to be closed."""
        self.deadline = math.inf
        if not self.discarded:
            self.discarded = True
            self._timers.note_discarded()

    def fire(self) -> None:
        """End the current wait: its deadline has passed."""
        self.expired = True
        self.deadline = math.inf
        trio.lowlevel.notify_closing(self._fd)


class CallbackTimer(DescriptorTimer):
    """Calls a function when its deadline passes, in place of ending a wait."""

    __slots__ = ("_callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        super().__init__(-1)
        self._callback: Callable[[], None] | None = callback

    def discard(self) -> None:
        """Drop the timer and its function, although an entry in the heap may stay for a while."""
        super().discard()
        self._callback = None

    def fire(self) -> None:
        self.expired = True
        self.deadline = math.inf
        if self._callback is not None:
            self._callback()


class _Timers:
    """All timers of one trio program."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, DescriptorTimer]] = []
        self._order = itertools.count()
        self._discarded = 0
        self._sleep = trio.CancelScope()

    async def run(self) -> None:
        while True:
            deadline = self._heap[0][0] if self._heap else math.inf
            with trio.CancelScope(deadline=deadline) as self._sleep:
                await trio.sleep_forever()
            self._fire_expired()

    def add(self, deadline: float, timer: DescriptorTimer) -> None:
        """Enter `timer` for `deadline`; its older entry, if there is one, becomes void."""
        timer.heap_deadline = deadline
        heapq.heappush(self._heap, (deadline, next(self._order), timer))
        if self._heap[0][2] is timer:
            self._sleep.deadline = deadline

    def note_discarded(self) -> None:
        self._discarded += 1
        if self._discarded > HEAP_PRUNE_THRESHOLD and self._discarded * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if not entry[2].discarded]
            heapq.heapify(self._heap)
            self._discarded = 0

    def _fire_expired(self) -> None:
        now = trio.current_time()
        while self._heap and self._heap[0][0] <= now:
            due, _, timer = heapq.heappop(self._heap)
            if due != timer.heap_deadline:
                continue  # a void entry
            timer.heap_deadline = math.inf
            if timer.deadline <= now:
                timer.fire()
            elif timer.deadline < math.inf:
                self.add(timer.deadline, timer)


_TIMERS: trio.lowlevel.RunVar[_Timers] = trio.lowlevel.RunVar("sniproxy timers")


def current_timers() -> _Timers:
    """The timers of the running trio program; their task lives as long as the program."""
    try:
        return _TIMERS.get()
    except LookupError:
        timers = _Timers()
        trio.lowlevel.spawn_system_task(timers.run)
        _TIMERS.set(timers)
        return timers
