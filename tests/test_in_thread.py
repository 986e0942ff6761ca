"""A trio program in a thread: how one asks it, waits for it, and hears of its failures."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from sniproxy.portal import ChangeNotifier, in_thread


@asynccontextmanager
async def counter() -> AsyncIterator[list[int]]:
    yield [0]


@asynccontextmanager
async def broken_at_first() -> AsyncIterator[None]:
    raise ZeroDivisionError
    yield


@asynccontextmanager
async def broken_at_last() -> AsyncIterator[None]:
    yield
    raise ZeroDivisionError


@asynccontextmanager
async def broken_meanwhile() -> AsyncIterator[threading.Event]:
    broken = threading.Event()

    async def break_() -> None:
        broken.set()
        raise ZeroDivisionError

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(break_)
            yield broken
    except* ZeroDivisionError as group:
        error = group.exceptions[0]
    raise error


async def add(numbers: list[int], number: int) -> int:
    numbers[0] += number
    await trio.lowlevel.checkpoint()
    return numbers[0]


async def fail() -> None:
    raise KeyError("nothing")


def test_functions_are_called_from_another_thread() -> None:
    with in_thread(counter) as (numbers, loop):
        assert loop.run(add, numbers, 2) == 2
        assert loop.run(add, numbers, 3) == 5
        with pytest.raises(KeyError, match="nothing"):
            loop.run(fail)


async def test_functions_are_called_from_another_trio_run() -> None:
    with in_thread(counter) as (numbers, loop):
        assert loop.run(add, numbers, 2) == 2


@pytest.mark.parametrize("opened", [broken_at_first, broken_at_last, broken_meanwhile])
def test_exceptions_are_raised_in_the_caller(opened: Callable[[], object]) -> None:
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), in_thread(opened) as (value, _):  # type: ignore[arg-type, var-annotated]
        assert not isinstance(value, threading.Event) or value.wait(5)
    assert threading.active_count() <= before  # a thread of an earlier test may end meanwhile


def test_exception_of_the_block_takes_precedence() -> None:
    with pytest.raises(KeyError), in_thread(broken_at_last):
        raise KeyError


def test_changes_wake_both_threads_and_tasks() -> None:
    changes, seen = ChangeNotifier(), list[int]()

    async def program() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(changes.until, lambda: len(seen) == 3)
            for number in range(3):
                await trio.sleep(0)
                seen.append(number)
                changes.notify()

    thread = threading.Thread(target=trio.run, args=[program])
    thread.start()
    assert changes.block_until(lambda: len(seen) == 3, 5)
    thread.join()
    with pytest.raises(TimeoutError, match=r"not true within 0\.01 s"):
        changes.block_until(lambda: len(seen) == 4, 0.01)
