"""Alarms: what they end, and what they cost."""

from __future__ import annotations

import socket
import weakref
from collections.abc import Iterator

import pytest
import trio
import trio.testing

from sniproxy import timers
from sniproxy.timers import CallbackTimer, DescriptorTimer


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A socket that never becomes readable."""
    near, far = socket.socketpair()
    near.setblocking(False)
    with near, far:
        yield near


async def waits(sock: socket.socket, alarm: DescriptorTimer, seconds: float) -> float:
    """Wait for `sock` until `alarm` ends it; how long it took."""
    began = trio.current_time()
    alarm.set(began + seconds)
    try:
        with pytest.raises(trio.ClosedResourceError):
            await trio.lowlevel.wait_readable(sock)
    finally:
        alarm.stop()
    return trio.current_time() - began


@pytest.mark.parametrize(
    "seconds",
    [(60.0,), (60.0, 5.0), (5.0, 60.0), (60.0, 60.0, 60.0), (3.0, 2.0, 1.0, 10.0)],
    ids=str,
)
async def test_each_wait_has_its_own_timeout(
    seconds: tuple[float, ...], silent: socket.socket, autojump_clock: trio.testing.MockClock
) -> None:
    autojump_clock.autojump_threshold = 0.01
    alarm = DescriptorTimer(silent.fileno())
    for time in seconds:
        assert await waits(silent, alarm, time) == pytest.approx(time)
        assert alarm.expired


async def test_finished_wait_is_not_timed_out(
    silent: socket.socket, autojump_clock: trio.testing.MockClock
) -> None:
    alarm = DescriptorTimer(silent.fileno())
    alarm.set(trio.current_time() + 5)
    alarm.stop()
    await trio.sleep(3)
    assert await waits(silent, alarm, 10) == pytest.approx(10)
    alarm.set(trio.current_time() + 1)
    assert not alarm.expired


async def test_timers_fire_in_order_of_deadline(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ended = []

    async def one(sock: socket.socket, seconds: float) -> None:
        ended.append(
            (seconds, round(await waits(sock, DescriptorTimer(sock.fileno()), seconds), 3))
        )

    pairs = [socket.socketpair() for _ in range(4)]
    async with trio.open_nursery() as nursery:
        for (near, _), seconds in zip(pairs, (4.0, 1.0, 3.0, 1.0), strict=True):
            nursery.start_soon(one, near, seconds)
    assert ended == [(1.0, 1.0), (1.0, 1.0), (3.0, 3.0), (4.0, 4.0)]
    for pair in pairs:
        for sock in pair:
            sock.close()


async def test_many_waits_use_one_heap_entry(silent: socket.socket) -> None:
    alarm = DescriptorTimer(silent.fileno())
    for _ in range(1000):
        alarm.set(trio.current_time() + 60)
        alarm.stop()
    assert len(timers.current_timers()._heap) == 1


async def test_discarded_timers_are_removed(silent: socket.socket) -> None:
    living = [DescriptorTimer(silent.fileno()) for _ in range(10)]
    for alarm in living:
        alarm.set(trio.current_time() + 60)
    for _ in range(5 * timers.HEAP_PRUNE_THRESHOLD):
        alarm = DescriptorTimer(silent.fileno())
        alarm.set(trio.current_time() + 60)
        alarm.discard()
    heap = timers.current_timers()._heap
    assert len(heap) <= 2 * timers.HEAP_PRUNE_THRESHOLD + len(living)
    assert {entry[2] for entry in heap} >= set(living)


async def test_a_discarded_timer_releases_its_owner() -> None:
    """Its entry stays in the heap for a while; what its function belongs to does not."""

    class Owner:
        def on_time(self) -> None: ...

    owner = Owner()
    timer = CallbackTimer(owner.on_time)
    timer.set(trio.current_time() + 60)
    reference = weakref.ref(owner)
    timer.discard()
    del owner
    assert reference() is None
    assert timer in [entry[2] for entry in timers.current_timers()._heap]
    timer.fire()
