"""A trio program in a thread of its own, for code that does not know trio."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from typing import TypeVar, TypeVarTuple

import trio

Value = TypeVar("Value")
Arguments = TypeVarTuple("Arguments")


class ChangeNotifier:
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


class BlockingPortal:
    """The trio program of another thread."""

    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()

    def run(
        self, function: Callable[[*Arguments], Awaitable[Value]], *arguments: *Arguments
    ) -> Value:
        """What `function` comes to there. `trio.from_thread` would refuse those who run a trio
        program themselves; they too may ask, and their program waits."""
        answer: Future[Value] = Future()

        async def run() -> None:
            try:
                answer.set_result(await function(*arguments))
            except trio.Cancelled:
                answer.cancel()
                raise
            except BaseException as error:
                answer.set_exception(error)

        self.report(lambda: trio.lowlevel.spawn_system_task(run))
        return answer.result()

    def report(self, function: Callable[[], object]) -> None:
        """Call `function` there, soon. Raises `trio.RunFinishedError`."""
        self._token.run_sync_soon(function)


@contextlib.contextmanager
def in_thread(
    opened: Callable[[], AbstractAsyncContextManager[Value]],
) -> Iterator[tuple[Value, BlockingPortal]]:
    """What `opened()` gives, kept open in a thread while the block runs.

    Beside it the loop of that thread. What fails there is raised here: at the
    beginning, or at the end of a block that has no error of its own.
    """
    started: queue.SimpleQueue[tuple[Value, BlockingPortal] | None] = queue.SimpleQueue()
    failures: list[BaseException] = []
    stop = trio.Event()

    async def main() -> None:
        async with opened() as value:
            started.put((value, BlockingPortal()))
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
                begun[1].report(stop.set)
            thread.join()
    thread.join()
    if failures:
        raise failures[0]
