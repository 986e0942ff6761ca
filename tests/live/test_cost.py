"""What the live page costs a request while no browser looks at it: counted, not timed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from benchmarks.bounds import ALLOCATIONS, CALLS
from benchmarks.measure import free_port
from tests.benchmarks.guard import Stand, stand

ALLOWED = 1.05


@pytest.fixture(scope="module")
def plain() -> Iterator[Stand]:
    with stand() as made:
        yield made


def live(plain: Stand) -> Stand:
    return replace(plain, arguments=("--live", f"127.0.0.1:{free_port()}"), _own={})


@pytest.mark.parametrize("case", ["a", "c", "f"])
@pytest.mark.long
def test_a_request_makes_few_more_calls(case: str, plain: Stand) -> None:
    without, with_page = plain.measured(case, CALLS), live(plain).measured(case, CALLS)
    assert with_page <= without * ALLOWED, (without, with_page)


@pytest.mark.long
def test_a_request_takes_few_more_blocks_of_memory(plain: Stand) -> None:
    # The last requests stay in memory, so that blocks are not reused at once.
    without, with_page = plain.measured("f", ALLOCATIONS), live(plain).measured("f", ALLOCATIONS)
    assert with_page <= without * 1.1, (without, with_page)
