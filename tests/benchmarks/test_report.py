"""The arithmetic of medians and ratios, and the table's text."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from benchmarks.cases import CASES
from benchmarks.measure import QUICK, Turn
from benchmarks.programs import Program
from benchmarks.report import as_json, ours_is_invalid, ratio_spread, render, summarise

OURS = Program("sniproxy", "4.0.3", ())
WHEEL = Program("nginx 1.31.3 (wheel)", "3.3.7", ())
SYSTEM = Program("nginx 1.22.1 (system)", "3.0.19", ())
PROGRAMS = [OURS, WHEEL, SYSTEM]


def turn(cpu: float) -> Turn:
    return Turn({"rate": 1000.0, "cpu": cpu, "p50": 1.5, "p99": 3.25})


ROUNDS: Sequence[Sequence[Turn]] = [
    [turn(600), turn(500), turn(400)],
    [turn(550), turn(500), turn(500)],
    [turn(900), turn(1000), turn(450)],
]


def test_ratios_are_taken_within_a_round() -> None:
    ours, wheel, _ = zip(*ROUNDS, strict=True)
    spread = ratio_spread(ours, wheel, "cpu")
    assert (spread.median, spread.low, spread.high) == pytest.approx((1.1, 0.9, 1.2))
    assert str(spread) == "1.10 (0.90–1.20)"


def test_table() -> None:
    result = summarise(CASES["a"], PROGRAMS, ROUNDS)
    assert render(result).splitlines() == [
        "a  terminate, full handshake",
        "   program                OpenSSL  handshakes/s  CPU µs/handshake  p50 ms  p99 ms"
        "  × nginx 1.31.3 (wheel)  × nginx 1.22.1 (system)",
        "   sniproxy               4.0.3            1000             600.0    1.50    3.25"
        "        1.10 (0.90–1.20)         1.50 (1.10–2.00)",
        "   nginx 1.31.3 (wheel)   3.3.7            1000             500.0    1.50    3.25"
        "                       –         1.25 (1.00–2.22)",
        "   nginx 1.22.1 (system)  3.0.19           1000             450.0    1.50    3.25"
        "        0.80 (0.45–1.00)                        –",
        "   sniproxy on OpenSSL 4.0.3: 1.50 (1.10–2.00) of the cheaper nginx's CPU µs/handshake"
        " (nginx 1.22.1 (system), OpenSSL 3.0.19)",
    ]
    assert not ours_is_invalid([result])


@pytest.mark.parametrize(("broken", "exits"), [(0, True), (1, False)])
def test_one_invalid_turn_takes_the_figures(broken: int, exits: bool) -> None:
    rounds = [list(turns) for turns in ROUNDS]
    rounds[1][broken] = Turn({}, "12 full and 3 resumed")
    result = summarise(CASES["a"], PROGRAMS, rounds)
    name = PROGRAMS[broken].name
    line = next(line for line in render(result).splitlines() if line.startswith(f"   {name}"))
    assert line.endswith("  invalid: 12 full and 3 resumed")
    assert result.rows[broken].figures == {}
    assert all(name not in row.ratios for row in result.rows)
    assert ours_is_invalid([result]) is exits


def test_alone_there_is_no_verdict() -> None:
    result = summarise(CASES["a"], [OURS], [[turn(1)], [turn(2)]])
    assert result.cheapest is None
    assert len(render(result).splitlines()) == 3


def test_json_keeps_every_turn() -> None:
    result = summarise(CASES["a"], PROGRAMS, ROUNDS)
    told = json.loads(json.dumps(as_json([result], PROGRAMS, QUICK)))
    (case,) = told["cases"]
    assert case["cheapest"] == SYSTEM.name
    assert case["rows"][0]["ratios"][WHEEL.name]["median"] == pytest.approx(1.1)
    assert [turn["figures"]["cpu"] for turn in case["rows"][0]["turns"]] == [600, 550, 900]
