"""Rate limits."""

from __future__ import annotations

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.rate_limit import RateLimiter


def test_each_second_allows_as_many_bytes() -> None:
    now = 100.9
    pace = RateLimiter(10, lambda: now)
    assert pace.available() == 10
    pace.consume(10)
    assert pace.available() == 0
    now = 101.0
    assert pace.available() == 10
    now = 103.5
    assert pace.available() == 30


@given(st.integers(1, 1000), st.lists(st.integers(1, 2000), max_size=4))
def test_no_more_passes_than_is_allowed(rate: int, wanted: list[int]) -> None:
    async def run() -> None:
        began = trio.current_time()
        pace, passed = RateLimiter(rate, trio.current_time), 0
        for most in wanted:
            allowed = await pace.acquire(most)
            assert 1 <= allowed <= most
            pace.consume(allowed)
            passed += allowed
            assert passed <= rate * (trio.current_time() - began + 2)

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))
