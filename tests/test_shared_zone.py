"""Memory that processes share: nothing is lost, and nobody waits for a dead holder."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from sniproxy.shared_zone import SharedCounter, SharedZone


@pytest.fixture
def zone() -> Iterator[SharedZone]:
    zone = SharedZone(16)
    yield zone
    zone.close()


def child(work: Callable[[], None]) -> int:
    """Do `work` in a process that is forked; its ID."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return pid


def test_it_is_zero_at_first_and_shared(zone: SharedZone) -> None:
    assert bytes(zone.memory) == bytes(16)

    def write() -> None:
        with zone.lock():
            zone.memory[3:6] = b"abc"

    assert os.waitpid(child(write), 0)[1] == 0
    with zone.lock() as in_order:
        assert in_order
        assert bytes(zone.memory) == bytes(3) + b"abc" + bytes(10)


def test_the_lock_dies_with_its_holder(zone: SharedZone) -> None:
    ready, output = os.pipe()

    def hold() -> None:
        with zone.lock():
            zone.memory[0] = 7
            os.write(output, b"x")
            signal.pause()

    holder = child(hold)
    assert os.read(ready, 1) == b"x"

    def wait() -> None:
        with zone.lock() as in_order:
            os._exit(3 if in_order else 4)

    waiter = child(wait)
    assert os.waitpid(waiter, os.WNOHANG) == (0, 0), "the lock is held"
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    assert os.waitstatus_to_exitcode(os.waitpid(waiter, 0)[1]) == 4
    os.close(ready)
    os.close(output)


def test_an_exception_leaves_the_memory_in_doubt_and_the_lock_free(zone: SharedZone) -> None:
    with pytest.raises(KeyError), zone.lock():
        raise KeyError
    with zone.lock() as in_order:
        assert not in_order
    with zone.lock() as in_order:
        assert in_order


def test_every_number_is_given_once() -> None:
    counter = SharedCounter()
    reader, writer = os.pipe()

    def draw() -> None:
        for _ in range(500):
            os.write(writer, f"{counter()} ".encode())

    children = [child(draw) for _ in range(4)]
    os.close(writer)
    with os.fdopen(reader) as numbers:
        drawn = [int(number) for number in numbers.read().split()]
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0, 0]
    assert sorted(drawn) == list(range(1, 2001))
    counter.close()
