"""The arithmetic of medians and ratios, and the table's text."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from benchmarks.cases import CASES, Case
from benchmarks.measure import QUICK, Measurement, Round
from benchmarks.programs import Family, Place, Program
from benchmarks.report import as_json, ours_is_invalid, ratio_spread, render, summarise


def never(case: Case, place: Place) -> Sequence[str]:
    raise AssertionError


OURS = Program("sniproxy", "4.0.3", Family.OURS, never)
WHEEL = Program("nginx 1.31.3 (wheel)", "3.3.7", Family.NGINX, never)
SYSTEM = Program("nginx 1.22.1 (system)", "3.0.19", Family.NGINX, never)
PEER = Program("mitmproxy 11", "3.4.1", Family.PEER, never, heavy=True)
PROGRAMS = [OURS, WHEEL, SYSTEM]


def turn(cpu: float) -> Measurement:
    return Measurement({"rate": 1000.0, "cpu": cpu, "p50": 1.5, "p99": 3.25, "memory": 10.0})


def round_(*costs: float) -> Round:
    return {p.name: turn(cost) for p, cost in zip([*PROGRAMS, PEER], costs, strict=False)}


ROUNDS = [round_(600, 500, 400), round_(550, 500, 500), round_(900, 1000, 450)]


def test_ratios_are_taken_within_a_round() -> None:
    spread = ratio_spread(ROUNDS, OURS.name, WHEEL.name, "cpu")
    assert (spread.median, spread.low, spread.high) == pytest.approx((1.1, 0.9, 1.2))
    assert str(spread) == "1.10 (0.90–1.20)"


def test_table() -> None:
    result = summarise(CASES["a"], PROGRAMS, ROUNDS)
    lines = render(result).splitlines()
    assert lines[0] == "a  terminate, full handshake   (×: to nginx 1.22.1 (system))"
    assert " ".join(lines[1].split()) == (
        "program OpenSSL handshakes/s CPU µs/handshake p50 ms p99 ms memory MiB"
    )
    assert " ".join(lines[2].split()) == (
        "sniproxy 4.0.3 1000 ×1.00 600.0 ×1.50 (1.10–2.00) 1.50 ×1.00 3.25 ×1.00 10.0 ×1.00"
    )
    assert lines[4].split()[4:] == ["1000", "450.0", "1.50", "3.25", "10.0"]
    assert lines[5:] == [
        "   sniproxy on OpenSSL 4.0.3: 1.50 (1.10–2.00) of the cheaper nginx's CPU µs/handshake"
        " (nginx 1.22.1 (system), OpenSSL 3.0.19); target 1.35: MISSED",
    ]
    assert not ours_is_invalid([result])


@pytest.mark.parametrize(("ours", "word"), [(607, "met"), (608, "MISSED")])
def test_target(ours: float, word: str) -> None:
    result = summarise(CASES["a"], PROGRAMS, [round_(ours, 500, 450)])
    assert render(result).endswith(f"target 1.35: {word}")


@pytest.mark.parametrize(("start", "word"), [(249.0, "met"), (251.0, "MISSED")])
def test_target_of_a_figure(start: float, word: str) -> None:
    by = {p.name: Measurement({"start": start, "own": 150.0}) for p in PROGRAMS}
    figures = render(summarise(CASES["s"], PROGRAMS, [by]))
    assert figures.endswith(f"; {start} ms to first byte; target 250: {word}")


@pytest.mark.parametrize(("cost", "word"), [(1200, "met"), (1100, "MISSED")])
def test_peers_that_are_to_be_dearer(cost: float, word: str) -> None:
    rounds = [round_(600, 500, 400, cost), *ROUNDS[1:]]
    last = render(summarise(CASES["a"], [*PROGRAMS, PEER], rounds)).splitlines()[-1]
    assert last == (
        f"   mitmproxy 11: {cost / 600:.2f} of sniproxy's CPU µs/handshake; target at least 2:"
        f" {word}"
    )


def test_what_a_peer_cannot_do_is_not_invalid() -> None:
    rounds = [{**by, PEER.name: Measurement({}, cannot="no sessions")} for by in ROUNDS]
    figures = render(summarise(CASES["d"], [*PROGRAMS, PEER], rounds))
    assert "  can't: no sessions\n" in figures
    assert "invalid" not in figures


@pytest.mark.parametrize(("broken", "exits"), [(OURS, True), (WHEEL, False)])
def test_invalid_measurement_voids_the_figures(broken: Program, exits: bool) -> None:
    rounds = [
        ROUNDS[0],
        {**ROUNDS[1], broken.name: Measurement({}, "12 full and 3 resumed")},
        ROUNDS[2],
    ]
    result = summarise(CASES["a"], PROGRAMS, rounds)
    row = next(row for row in result.rows if row.program is broken)
    line = next(line for line in render(result).splitlines() if line[3:].startswith(broken.name))
    assert line.endswith("  invalid: 12 full and 3 resumed")
    assert row.figures == {}
    assert all(broken.name not in row.ratios for row in result.rows)
    assert ours_is_invalid([result]) is exits


def test_alone_there_is_no_verdict() -> None:
    result = summarise(CASES["a"], [OURS], [round_(1), round_(2)])
    assert result.cheapest is None
    assert len(render(result).splitlines()) == 3


def test_json_keeps_every_turn() -> None:
    result = summarise(CASES["a"], PROGRAMS, ROUNDS)
    figures = json.loads(json.dumps(as_json([result], PROGRAMS, QUICK, {"a": 211.0})))
    (case,) = figures["cases"]
    assert case["cheapest"] == SYSTEM.name
    assert case["target"] == {"most": 1.35, "figure": None}
    assert not case["verdicts"][0]["met"]
    assert case["rows"][0]["ratios"][WHEEL.name]["cpu"]["median"] == pytest.approx(1.1)
    assert [turn["cpu"] for turn in case["rows"][0]["turns"]] == [600, 550, 900]
