"""No request takes more than it did: counts, and no times."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import h11
import pytest

from benchmarks.bounds import ALLOCATIONS, BOUNDS, INSTRUCTIONS, PYTHON, SYSTEM_CALLS, Bound
from tests.benchmarks.counting import Counts, watch_h11
from tests.benchmarks.guard import Stand, highest, stand


@pytest.fixture(scope="module")
def counting() -> Iterator[Stand]:
    with stand() as made:
        yield made


THIS_PYTHON = pytest.mark.skipif(
    sys.version_info[:2] != PYTHON, reason=f"was measured on Python {PYTHON}"
)
MARKS = {
    SYSTEM_CALLS: [pytest.mark.needs("strace")],
    ALLOCATIONS: [THIS_PYTHON],
    INSTRUCTIONS: [
        THIS_PYTHON,
        pytest.mark.long,
        pytest.mark.needs("valgrind", "callgrind_control"),
    ],
}


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, marks=MARKS.get(row.count, []), id=f"{row.case}-{row.count}")
        for row in BOUNDS
    ],
)
def test_a_request_takes_no_more(row: Bound, counting: Stand) -> None:
    now = counting.measured(row.case, row.count)
    assert now <= row.bound, "if that is as it should be: python -m tests.benchmarks.guard"


@pytest.mark.parametrize("row", BOUNDS, ids=lambda row: f"{row.case}-{row.count}")
def test_bounds_are_close(row: Bound) -> None:
    assert row.measured <= row.bound <= highest(row.measured)


def test_events_of_h11_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("next_event", "send_with_data_passthrough"):
        monkeypatch.setattr(h11.Connection, name, getattr(h11.Connection, name))
    counts = Counts()
    watch_h11(counts)
    h11.Connection(h11.CLIENT).send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    assert counts.h11_events == 1
    h11.Connection(h11.SERVER).next_event()
    assert counts.h11_events == 2
