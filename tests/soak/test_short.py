"""The soak itself: a run of some seconds, and the line that is laid through its samples."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.__main__ import main, report
from tests.soak.clients import KINDS
from tests.soak.figures import MIB, Sample, Slope, slope


def test_a_short_run_sees_all_traffic_and_no_bug(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "samples.csv"
    words = "--minutes 0.08 --warm-up 0 --round 1 --reload 2 --most 1000000"
    status = main([*words.split(), "--samples", str(file)])
    output = capsys.readouterr().out
    assert status == 0, output
    lines = {line.split()[1]: int(line.split()[0]) for line in output.splitlines()[: len(KINDS)]}
    for kind in KINDS:
        assert f" {kind.__name__}\n" in output
    assert all(lines.values())
    names, *samples = file.read_text().splitlines()
    assert names == "at,memory,descriptors,tasks,connections,requests"
    assert len(samples) >= 3
    for _, memory, descriptors, tasks, _, requests in (line.split(",") for line in samples):
        assert int(memory) > 10 * MIB
        assert min(int(descriptors), int(tasks), int(requests)) > 5


def test_slope() -> None:
    assert slope([(0, 1), (3600, 3), (7200, 5)]) == Slope(2, 0)
    assert slope([(0, 1), (1, 5)]).per_hour == 0, "two points are no line"
    noisy = slope([(0, 0), (1200, 2), (2400, 0), (3600, 2)])
    assert noisy.per_hour == pytest.approx(1.2)
    assert noisy.error == pytest.approx((1.6 / (5 / 9)) ** 0.5)


def samples(**each: float) -> list[Sample]:
    """An hour of samples, in which the given figures rise by so much in the hour."""
    found = []
    for minute in range(61):
        figures = {"memory": 50.0 * MIB, "descriptors": 20.0, "tasks": 30.0, "connections": 8.0}
        for name, rise in each.items():
            figures[name] += rise * minute / 60
        whole = {name: int(value) for name, value in figures.items()}
        found.append(Sample(at=minute * 60.0, requests=minute, **whole))
    return found


@pytest.mark.parametrize(
    ("each", "status"),
    [
        ({}, 0),
        ({"memory": 0.9 * MIB}, 0),
        ({"memory": 1.1 * MIB}, 1),
        ({"memory": -5.0 * MIB, "descriptors": -3.0}, 0),
        ({"descriptors": 2.0}, 1),
        ({"tasks": 3.0}, 1),
        ({"connections": 9.0}, 1),
        ({"connections": 8.0}, 0),
    ],
)
def test_what_rises_is_not_held(each: dict[str, float], status: int) -> None:
    assert report(samples(**each), {}, [], 1.0) == status


def test_an_unexpected_outcome_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(samples(), {"udp": 3}, ["udp: another answer"], 1.0) == 1
    assert "failed: udp: another answer\n" in capsys.readouterr().out


def test_counts_that_go_up_and_down_are_held() -> None:
    moving = [
        Sample(minute * 60.0, 50 * MIB, 20, 30, 4 + minute % 5, minute) for minute in range(61)
    ]
    assert report(moving, {}, [], 1.0) == 0


def test_no_samples_are_no_success() -> None:
    assert report(samples()[:2], {}, [], 1.0) == 1
