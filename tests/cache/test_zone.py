"""The index of a cache behaves as a dictionary with a limited size, in several processes."""

from __future__ import annotations

import os
import signal
from collections import OrderedDict
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sniproxy.cache.zone import CacheZone, Presence

NOW = 1_000_000
SMALL = 32 + 5 * (28 + 48 + 4)


def digest(number: int) -> bytes:
    return number.to_bytes(16, "big")


@pytest.fixture
def zone() -> Iterator[CacheZone]:
    zone = CacheZone(64 * 1024)
    yield zone
    zone.close()


def look_up(zone: CacheZone, number: int, *, min_uses: int = 1, now: int = NOW) -> Presence:
    return zone.look_up(digest(number), min_uses, now, 600).presence


def test_a_new_key_is_known_afterwards(zone: CacheZone) -> None:
    assert look_up(zone, 1) is Presence.NEW
    assert look_up(zone, 1) is Presence.KNOWN
    assert not zone.look_up(digest(1), 1, NOW, 600).exists


def test_a_key_is_scarce_until_its_minimum_of_uses(zone: CacheZone) -> None:
    seen = [look_up(zone, 1, min_uses=3) for _ in range(4)]
    assert seen == [Presence.NEW, Presence.SCARCE, Presence.KNOWN, Presence.KNOWN]


def test_a_request_without_a_stored_response_leaves_no_key(zone: CacheZone) -> None:
    look_up(zone, 1)
    zone.end_update(digest(1), None, 1)
    assert zone.usage() == (0, 0)


def test_an_error_is_known_until_its_time(zone: CacheZone) -> None:
    look_up(zone, 1)
    zone.end_update(digest(1), None, 1, error=502, error_until=NOW + 10)
    assert zone.look_up(digest(1), 1, NOW + 10, 600).error == 502
    assert look_up(zone, 1, now=NOW + 11) is Presence.NEW


def test_one_request_updates_until_its_lock_is_too_old(zone: CacheZone) -> None:
    look_up(zone, 1)
    assert zone.begin_update(digest(1), 100.0, 5.0) == 105.0
    assert zone.begin_update(digest(1), 104.0, 5.0) is None
    assert zone.is_updated(digest(1), 104.0)
    assert zone.begin_update(digest(1), 106.0, 5.0) == 111.0
    zone.end_update(digest(1), 105.0, 1)
    assert zone.is_updated(digest(1), 110.0), "the first request has lost its lock"
    zone.end_update(digest(1), 111.0, 1)
    assert not zone.is_updated(digest(1), 110.0)


def test_an_update_ends_with_its_process(zone: CacheZone) -> None:
    look_up(zone, 1)
    child = os.fork()
    if child == 0:
        zone.begin_refresh(digest(1))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert zone.begin_refresh(digest(1)) is not None


def test_a_process_that_dies_with_the_lock_leaves_an_empty_cold_zone(zone: CacheZone) -> None:
    look_up(zone, 1)
    zone.finish_loading()
    child = os.fork()
    if child == 0:
        with zone._table:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert zone.is_cold()
    assert look_up(zone, 1) is Presence.NEW


def test_processes_share_the_index(zone: CacheZone) -> None:
    child = os.fork()
    if child == 0:
        for number in range(200):
            look_up(zone, number)
        os._exit(0)
    for number in range(100, 300):
        look_up(zone, number)
    os.waitpid(child, 0)
    assert zone.usage()[0] == 300


def test_one_process_is_the_manager(zone: CacheZone) -> None:
    assert zone.try_manager_lock()
    child = os.fork()
    if child == 0:
        os._exit(zone.try_manager_lock())
    assert os.waitpid(child, 0)[1] == 0


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(("look up", "finish", "end", "remove", "add")), st.integers(0, 12)),
    max_size=80,
)


@settings(max_examples=200, deadline=None)
@given(OPERATIONS)
def test_a_zone_is_a_dictionary_that_forgets_its_oldest_key(
    operations: list[tuple[str, int]],
) -> None:
    zone = CacheZone(SMALL)
    model: OrderedDict[int, int] = OrderedDict()
    for operation, number in operations:
        key = digest(number)
        if operation == "look up":
            zone.look_up(key, 1, NOW, 600)
            model.setdefault(number, 0)
            model.move_to_end(number)
        elif operation == "finish":
            zone.finish_update(key, 400, 4096)
            model.setdefault(number, 0)
            model[number] = 4096
        elif operation == "add":
            zone.add_file(key, 512, NOW)
            if not model.get(number):
                model[number] = 512
        elif operation == "end":
            zone.end_update(key, None, 1)
            if model.get(number) == 0:
                del model[number]
        else:
            zone.remove(key)
            model.pop(number, None)
        while len(model) > zone.capacity:
            model.popitem(last=False)
        assert zone.usage() == (len(model), sum(model.values()))
        oldest = zone.oldest()
        assert (oldest.digest if oldest else None) == next(
            (digest(number) for number in model), None
        )
    zone.close()
