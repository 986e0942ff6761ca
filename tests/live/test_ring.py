"""The ring of entries: bounded by number and by size."""

from __future__ import annotations

import json

from sniproxy.live.ring import Ring


def test_entries_are_numbered_from_one() -> None:
    ring = Ring()
    assert (ring.first, ring.last) == (1, 0)
    assert [ring.add({"status": n}, {}).number for n in (200, 502)] == [1, 2]
    assert [json.loads(entry.row) for entry in ring.after(0)] == [
        {"id": 1, "status": 200},
        {"id": 2, "status": 502},
    ]
    assert [entry.number for entry in ring.after(1)] == [2]


def test_the_oldest_entries_are_dropped_if_there_are_too_many() -> None:
    ring = Ring(most=3)
    for number in range(10):
        ring.add({"n": number}, {})
    assert [entry.number for entry in ring.after(0)] == [8, 9, 10]
    assert (ring.first, ring.last, len(ring)) == (8, 10, 3)
    assert ring.get(7) is None


def test_the_oldest_entries_are_dropped_if_they_are_too_large() -> None:
    ring = Ring(most_bytes=10_000)
    for _ in range(100):
        ring.add({}, {"body": "x" * 900})
        assert ring.size <= 10_000
        assert ring.size == sum(entry.size for entry in ring.after(0))
    assert 5 < len(ring) < 11


def test_an_entry_larger_than_the_ring_has_no_details() -> None:
    ring = Ring(most_bytes=1000)
    entry = ring.add({"status": 200}, {"body": "x" * 2000})
    assert json.loads(entry.detail) == {}
    assert len(ring) == 1
