"""Run trio in a thread, for code that does not use trio (like anyio's `BlockingPortal`)."""

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
    """Wakes tasks and threads that wait for a condition to become true."""

    def __init__(self) -> None:
        self._inside = trio.lowlevel.ParkingLot()
        self._outside = threading.Condition()
        self._callbacks: set[Callable[[], object]] = set()

    def notify(self) -> None:
        """Wake all waiters; call it in the trio thread."""
        with self._outside:
            self._outside.notify_all()
            for callback in self._callbacks:
                callback()
        self._inside.unpark_all()

    async def wait(self) -> None:
        """Wait for the next `notify`."""
        await self._inside.park()

    async def until(self, predicate: Callable[[], Value]) -> Value:
        """Wait until `predicate` returns something true, and return that."""
        while not (found := predicate()):
            await self.wait()
        return found

    def block_until(
        self,
        predicate: Callable[[], Value],
        timeout: float,
        describe: Callable[[], str] = str,
    ) -> Value:
        """As `until`, in another thread. Raises TimeoutError, whose text ends with `describe()`."""
        with self._outside:
            found = self._outside.wait_for(predicate, timeout)
        if not found:
            raise timed_out(timeout, describe)
        return found

    async def until_in_asyncio(
        self,
        predicate: Callable[[], Value],
        timeout: float,
        describe: Callable[[], str] = str,
    ) -> Value:
        """As `block_until`, in an event loop of asyncio in another thread, without blocking it."""
        import asyncio  # trio does without

        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(changed.set)

        with self._outside:
            self._callbacks.add(wake)
        try:
            async with asyncio.timeout(timeout):
                while not (found := predicate()):
                    await changed.wait()
                    changed.clear()
        except TimeoutError:
            raise timed_out(timeout, describe) from None
        finally:
            with self._outside:
                self._callbacks.discard(wake)
        return found


def timed_out(timeout: float, describe: Callable[[], str]) -> TimeoutError:
    details = describe()
    return TimeoutError(f"not true within {timeout:g} s" + (f"; {details}" if details else ""))


class BlockingPortal:
    """Calls functions in the trio event loop of another thread."""

    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()

    def run(
        self, function: Callable[[*Arguments], Awaitable[Value]], *arguments: *Arguments
    ) -> Value:
        """Call an async function in the event loop, and return its result. Unlike
        `trio.from_thread` this works in a thread that runs trio itself, which is blocked."""
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
        """Schedule a call of `function` in the event loop. Raises `trio.RunFinishedError`."""
        self._token.run_sync_soon(function)


@contextlib.contextmanager
def in_thread(
    opened: Callable[[], AbstractAsyncContextManager[Value]],
) -> Iterator[tuple[Value, BlockingPortal]]:
    """Enter the async context manager `opened()` in a thread while the block runs.

    Yields its value and the portal of the thread. Exceptions in the thread are raised here: when
    entering, or at the end of a block that did not raise.
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
