"""The counters of `limit_req` and `limit_conn`; the scenarios compare their use with nginx."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.limit_zones import ConnectionCountZone, RateVerdict, RequestRateZone, digest_of

SIZE = 32 * 1024
KEY, OTHER = digest_of("a"), digest_of("b")


@pytest.fixture
def counts() -> Iterator[ConnectionCountZone]:
    zone = ConnectionCountZone(SIZE)
    yield zone
    zone.close()


def test_the_average_rate_is_not_exceeded() -> None:
    zone = RequestRateZone(SIZE, 1000)
    verdicts = [zone.look_up(KEY, 0, now, counts=True)[0] for now in range(0, 10_000, 100)]
    assert verdicts.count(RateVerdict.COUNTED) == 10
    zone.close()


def test_a_check_alone_counts_nothing() -> None:
    zone = RequestRateZone(SIZE, 1000)
    zone.look_up(KEY, 0, 100_000, counts=True)
    assert zone.look_up(KEY, 5000, 100_000, counts=False) == (RateVerdict.PENDING, 1000)
    assert zone.look_up(KEY, 5000, 100_000, counts=False) == (RateVerdict.PENDING, 1000)
    assert zone.count(KEY, 100_000) == 1000
    assert zone.count(KEY, 100_000) == 2000
    zone.close()


@given(st.lists(st.tuples(st.integers(-(2**40), 2**40), st.integers(0, 3))), st.integers(16, 10**7))
def test_a_clock_that_jumps_locks_out_no_client(steps: list[tuple[int, int]], rate: int) -> None:
    zone = RequestRateZone(SIZE, rate)
    now = latest = 2**41
    for step, burst in steps:
        now = max(now + step, 0)
        latest = max(now, latest)
        zone.look_up(KEY, burst * 1000, now, counts=True)
    verdict, _ = zone.look_up(KEY, 0, latest + 10_000_000, counts=True)
    assert verdict is RateVerdict.COUNTED
    zone.close()


def test_a_full_zone_of_rates_forgets_the_oldest_key() -> None:
    zone = RequestRateZone(1024, 1000)
    for number in range(100):
        verdict, _ = zone.look_up(digest_of(str(number)), 0, 1000, counts=True)
        assert verdict is RateVerdict.COUNTED
    zone.close()


def test_connections_are_counted_by_key(counts: ConnectionCountZone) -> None:
    assert [counts.take(KEY, 2) for _ in range(3)] == [True, True, False]
    assert counts.take(OTHER, 1)
    counts.release(KEY)
    assert counts.take(KEY, 2)


def test_a_full_zone_of_connections_takes_none() -> None:
    zone = ConnectionCountZone(512)
    taken = [zone.take(digest_of(str(number)), 1) for number in range(100)]
    assert not all(taken)
    zone.release(digest_of("0"))
    assert zone.take(digest_of("new"), 1)
    zone.close()


def test_the_connections_of_a_killed_worker_are_forgotten(counts: ConnectionCountZone) -> None:
    child = os.fork()
    if child == 0:
        for _ in range(5):
            counts.take(KEY, 5)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert counts.take(KEY, 5)
