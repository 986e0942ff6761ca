"""A trio program in a thread of its own, for code that does not know trio."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import trio

Value = TypeVar("Value")


class Changes:
    """Something changes in a trio program, and others wait for what it becomes."""

    def __init__(self) -> None:
        self._inside = trio.lowlevel.ParkingLot()
        self._outside = threading.Condition()

    def notify(self) -> None:
        """Something has changed; to be called in the trio program."""
        with self._outside:
            self._outside.notify_all()
        self._inside.unpark_all()

    async def wait(self) -> None:
        """Until the next change."""
        await self._inside.park()

    async def until(self, predicate: Callable[[], bool]) -> None:
        while not predicate():
            await self.wait()

    def block_until(self, predicate: Callable[[], bool], timeout: float) -> bool:
        """In another thread: wait for `timeout` seconds at most; whether `predicate` holds."""
        with self._outside:
            return self._outside.wait_for(predicate, timeout)


@contextlib.contextmanager
def in_thread(
    opened: Callable[[], AbstractAsyncContextManager[Value]],
) -> Iterator[tuple[Value, trio.lowlevel.TrioToken]]:
    """What `opened()` gives, kept open in a thread while the block runs.

    Beside it the token by which that thread is asked. What fails there is raised here: at the
    beginning, or at the end of a block that has no error of its own.
    """
    started: queue.SimpleQueue[tuple[Value, trio.lowlevel.TrioToken] | None] = queue.SimpleQueue()
    failures: list[BaseException] = []
    stop = trio.Event()

    async def main() -> None:
        async with opened() as value:
            started.put((value, trio.lowlevel.current_trio_token()))
            await stop.wait()

    def run() -> None:
        try:
            trio.run(main)
        except BaseException as error:
            failures.append(error)
        finally:
            started.put(None)

    thread = threading.Thread(target=run, name="sniproxy", daemon=True)
    thread.start()
    begun = started.get()
    if begun is not None:
        try:
            yield begun
        finally:
            with contextlib.suppress(trio.RunFinishedError):
                begun[1].run_sync_soon(stop.set)
            thread.join()
    thread.join()
    if failures:
        raise failures[0]
