"""docs/architecture.md shows the path that a request really takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.request_path import Calls, path, profile_request

ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"
BEGIN, END = "<!-- request path -->\n", "<!-- end of request path -->\n"


@pytest.fixture(scope="module")
def new_upstream() -> Calls:
    return profile_request(keeps_upstream=False)


def test_the_documented_path_is_the_profiled_one(new_upstream: Calls) -> None:
    documented = ARCHITECTURE.read_text().partition(BEGIN)[2].partition(END)[0]
    profiled = "".join(f"{n}. {line}\n" for n, line in enumerate(path(new_upstream), 1))
    assert documented == profiled, "python -m tests.benchmarks.request_path prints it anew"


def test_a_new_upstream_connection_stays_within_its_budget(new_upstream: Calls) -> None:
    assert new_upstream.calls <= 220
    assert len(new_upstream.files) <= 30
    assert new_upstream.depth <= 12


def test_a_retained_upstream_connection_stays_within_its_budget() -> None:
    pool = profile_request(keeps_upstream=True)
    assert pool.calls <= 150
    assert pool.depth <= 10
