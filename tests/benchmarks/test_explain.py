"""The benchmark of `explain` counts what it says."""

from __future__ import annotations

import random

import pytest

from benchmarks.explain import AIM, KINDS, main
from sniproxy.explain import explain


def test_it_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--lines", "2000", "--rounds", "1"]) in (0, 1)
    reports = capsys.readouterr().out
    assert all(f"{name} " in reports for name in KINDS)
    assert f"{AIM:,} lines/s" in reports


@pytest.mark.parametrize(
    ("kind", "known"), [("failures of upstreams", True), ("other lines, each different", False)]
)
def test_its_lines_are_what_they_are_called(kind: str, known: bool) -> None:
    pick = random.Random(1)
    lines = [KINDS[kind](pick) for _ in range(50)]
    assert all((explain(line) is not None) is known for line in lines)
