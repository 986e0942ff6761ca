"""Figures of many turns → medians, ratios round by round, a table for people, JSON for tools."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from benchmarks.cases import Case
from benchmarks.measure import Plan, Turn
from benchmarks.programs import Program

TEXTS = 2
"""So many columns at the left of a table are text: the program and its OpenSSL."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and the range around it."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}–{self.high:.2f})"


@dataclass(frozen=True, slots=True)
class Row:
    """One program in one case. `ratios` are of the compared figure to each nginx, by name,
    taken within a round; `invalid` is the first reason that a turn has no figures."""

    program: Program
    figures: Mapping[str, float]
    ratios: Mapping[str, Spread]
    invalid: str | None


@dataclass(frozen=True, slots=True)
class Result:
    """One case: a row for each program, and all the turns (rounds × programs) behind it."""

    case: Case
    rows: Sequence[Row]
    rounds: Sequence[Sequence[Turn]]

    @property
    def cheapest(self) -> Row | None:
        """The nginx that the verdict is about: the one with the lowest compared figure."""
        key = self.case.kind.compared
        peers = [row for row in self.rows if not row.program.is_ours and not row.invalid]
        return min(peers, key=lambda row: row.figures[key], default=None)


def summarise(case: Case, programs: Sequence[Program], rounds: Sequence[Sequence[Turn]]) -> Result:
    """`rounds` holds one turn a program each, in the order of `programs`."""
    turns = [list(column) for column in zip(*rounds, strict=True)]
    invalid = [next((turn.invalid for turn in column if turn.invalid), None) for column in turns]
    rows = []
    for index, program in enumerate(programs):
        if invalid[index]:
            rows.append(Row(program, {}, {}, invalid[index]))
            continue
        ratios = {
            peer.name: ratio_spread(turns[index], turns[other], case.kind.compared)
            for other, peer in enumerate(programs)
            if not peer.is_ours and other != index and not invalid[other]
        }
        rows.append(Row(program, _medians(case, turns[index]), ratios, None))
    return Result(case, rows, rounds)


def ratio_spread(turns: Sequence[Turn], others: Sequence[Turn], key: str) -> Spread:
    """The ratios of figure `key` in each round; both have a turn in every round."""
    ratios = [
        turn.figures[key] / other.figures[key] for turn, other in zip(turns, others, strict=True)
    ]
    return Spread(median(ratios), min(ratios), max(ratios))


def _medians(case: Case, turns: Sequence[Turn]) -> dict[str, float]:
    keys = [column.key for column in case.kind.columns]
    return {key: median(turn.figures[key] for turn in turns) for key in keys}


def render(result: Result) -> str:
    """The table of one case, with the verdict on sniproxy as its last line."""
    case = result.case
    peers = [row.program.name for row in result.rows if not row.program.is_ours]
    headings = [column.heading for column in case.kind.columns] + [f"× {name}" for name in peers]
    table = [["program", "OpenSSL", *headings]]
    table += [_cells(row, case, peers) for row in result.rows]
    widths = [max(len(cells[index]) for cells in table) for index in range(len(table[0]))]
    reasons = ["", *(f"  invalid: {row.invalid}" if row.invalid else "" for row in result.rows)]
    text = [f"{case.letter}  {case.title}"]
    text += [_line(cells, widths) + reason for cells, reason in zip(table, reasons, strict=True)]
    if verdict := _verdict(result):
        text.append(verdict)
    return "\n".join(text)


def _cells(row: Row, case: Case, peers: Sequence[str]) -> list[str]:
    """Program and OpenSSL, then the figures and ratios."""
    texts = [row.program.name, row.program.openssl]
    if row.invalid:
        return texts + [""] * (len(case.kind.columns) + len(peers))
    return [
        *texts,
        *(f"{row.figures[column.key]:.{column.decimals}f}" for column in case.kind.columns),
        *(str(row.ratios.get(name, "–")) for name in peers),
    ]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Texts to the left, figures to the right."""
    aligned = [
        cell.ljust(width) if index < TEXTS else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "   " + "  ".join(aligned).rstrip()


def _verdict(result: Result) -> str | None:
    cheapest = result.cheapest
    ours = next((row for row in result.rows if row.program.is_ours), None)
    if cheapest is None or ours is None or ours.invalid:
        return None
    compared = result.case.kind.compared
    heading = next(column.heading for column in result.case.kind.columns if column.key == compared)
    peer = cheapest.program
    return (
        f"   sniproxy on OpenSSL {ours.program.openssl}: {ours.ratios[peer.name]} of the cheaper"
        f" nginx's {heading} ({peer.name}, OpenSSL {peer.openssl})"
    )


def ours_is_invalid(results: Sequence[Result]) -> bool:
    return any(row.invalid for result in results for row in result.rows if row.program.is_ours)


def as_json(
    results: Sequence[Result], programs: Sequence[Program], plan: Plan
) -> dict[str, object]:
    """Everything that was measured, the single turns too."""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {
            "cpus": os.cpu_count(),
            "kernel": platform.release(),
            "architecture": platform.machine(),
            "python": platform.python_version(),
        },
        "plan": asdict(plan),
        "programs": [{"name": p.name, "openssl": p.openssl} for p in programs],
        "cases": [_case_json(result) for result in results],
    }


def _case_json(result: Result) -> dict[str, object]:
    case = result.case
    return {
        "case": case.letter,
        "title": case.title,
        "unit": case.kind.unit,
        "compared": case.kind.compared,
        "cheapest": result.cheapest.program.name if result.cheapest else None,
        "rows": [
            {
                "program": row.program.name,
                "figures": row.figures,
                "ratios": {name: asdict(spread) for name, spread in row.ratios.items()},
                "invalid": row.invalid,
                "turns": [asdict(turns[index]) for turns in result.rounds],
            }
            for index, row in enumerate(result.rows)
        ],
    }
