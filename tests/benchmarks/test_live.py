"""The benchmark of the live page."""

from __future__ import annotations

import pytest

from benchmarks import live
from benchmarks.cases import CASES
from benchmarks.measure import Measurement, Plan, bench, free_port

PLAN = Plan(rounds=1, warm=0.05, window=0.1, peer_rounds=1, memory_rounds=1, processes=1)
NAMES = (live.WITHOUT, live.UNREAD, live.READ)


@pytest.mark.long
def test_all_three_ways_are_measured() -> None:
    with bench(PLAN) as stand:
        [measured] = stand.rounds(CASES["f"], live.programs(free_port()))
    assert live.problem_of([measured]) is None
    assert set(live.lowest([measured])) == {live.WITHOUT, live.UNREAD, live.READ}
    # Steps of requests are observed for a reader: that it costs something shows that it reads.
    figures = live.lowest([measured])
    assert figures[live.READ] > figures[live.UNREAD] * 1.2


def test_the_lowest_figures_of_all_rounds_are_compared() -> None:
    rounds = [
        {name: Measurement({"cpu": cpu}) for name, cpu in zip(names, figures, strict=True)}
        for names, figures in [(NAMES, (10.0, 14.0, 20.0)), (NAMES, (12.0, 11.0, 30.0))]
    ]
    assert live.lowest(rounds) == {live.WITHOUT: 10.0, live.UNREAD: 11.0, live.READ: 20.0}
    assert live.line(CASES["f"], "CPU", live.lowest(rounds)).endswith(
        "CPU: without 10.0 (×1.000), no reader 11.0 (×1.100), one reader 20.0 (×2.000)"
    )


def test_an_invalid_figure_is_reported() -> None:
    rounds = [{live.UNREAD: Measurement({}, invalid="it died")}]
    assert live.problem_of(rounds) == "no reader: it died"


def test_an_unknown_case_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        live.main(["--case", "nope"])
    assert "no case nope" in capsys.readouterr().err
