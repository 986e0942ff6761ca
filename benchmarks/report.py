"""Figures of many turns → medians, ratios round by round, a table for people, JSON for tools."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.cases import LIGHTER, Case, Column
from benchmarks.measure import Measurement, Plan, Round
from benchmarks.programs import Family, Program

TEXTS = 2
"""So many columns at the left of a table are text: the program and its OpenSSL."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and the range around it."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        """Without a range where there was one round."""
        range_ = "" if self.low == self.high else f" ({self.low:.2f}–{self.high:.2f})"
        return f"{self.median:.2f}{range_}"


@dataclass(frozen=True, slots=True)
class Row:
    """One program in one case.

    `ratios` are of each figure to that of each nginx and of sniproxy, by program and figure, taken
    within a round; `invalid` is the first reason that a turn has no figures.
    """

    program: Program
    figures: Mapping[str, float]
    ratios: Mapping[str, Mapping[str, Spread]]
    invalid: str | None = None
    cannot: str | None = None

    @property
    def counts(self) -> bool:
        return self.invalid is None and self.cannot is None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was to be reached; `met` is None where nothing was."""

    text: str
    met: bool | None

    def __str__(self) -> str:
        return self.text + ("" if self.met is None else ": met" if self.met else ": MISSED")


@dataclass(frozen=True, slots=True)
class Result:
    """One case: a row for each program, and all the turns behind it."""

    case: Case
    rows: Sequence[Row]
    rounds: Sequence[Round]

    @property
    def cheapest(self) -> Row | None:
        """The nginx that the verdict is about: the one with the lowest compared figure."""
        key = self.case.kind.compared
        nginxes = [row for row in self.rows if row.program.family is Family.NGINX and row.counts]
        return min(nginxes, key=lambda row: row.figures[key], default=None)

    @property
    def ours(self) -> Row | None:
        found = (row for row in self.rows if row.program.family is Family.OURS and row.counts)
        return next(found, None)

    def verdicts(self) -> list[Verdict]:
        """sniproxy beside the cheaper nginx, and beside the peers that are to be dearer."""
        ours = self.ours
        if ours is None:
            return []
        found = [self._beside_nginx(ours, self.cheapest)] if self.cheapest else []
        return found + [_beside_ours(row, self.case) for row in self.rows if row.program.heavy]

    def _beside_nginx(self, ours: Row, cheapest: Row) -> Verdict:
        kind, target = self.case.kind, self.case.target
        compared = ours.ratios[cheapest.program.name][kind.compared]
        text = (
            f"sniproxy on OpenSSL {ours.program.openssl}: {compared} of the cheaper nginx's"
            f" {kind.column(kind.compared).heading} ({cheapest.program.name}, OpenSSL"
            f" {cheapest.program.openssl})"
        )
        if target is None:
            return Verdict(text, None)
        if target.figure is None:
            return Verdict(f"{text}; target {target.most:g}", compared.median <= target.most)
        column, now = kind.column(target.figure), ours.figures[target.figure]
        detail = f"{now:.{column.decimals}f} {column.heading}; target {target.most:g}"
        return Verdict(f"{text}; {detail}", now <= target.most)


def _beside_ours(row: Row, case: Case) -> Verdict:
    name = row.program.name
    if not row.counts:
        return Verdict(f"{name}: {row.cannot or row.invalid}", None)
    key = case.kind.compared
    (ratio,) = (by[key] for other, by in row.ratios.items() if other == "sniproxy")
    text = f"{name}: {ratio} of sniproxy's {case.kind.column(key).heading}"
    if key != "cpu":
        return Verdict(text, None)
    return Verdict(f"{text}; target at least {LIGHTER:g}", ratio.median >= LIGHTER)


def summarise(case: Case, programs: Sequence[Program], rounds: Sequence[Round]) -> Result:
    turns = {p.name: [by[p.name] for by in rounds if p.name in by] for p in programs}
    invalid = {name: _first(turn.invalid for turn in column) for name, column in turns.items()}
    cannot = {name: _first(turn.cannot for turn in column) for name, column in turns.items()}
    counts = {name for name in turns if not invalid[name] and not cannot[name]}
    rows = []
    for program in programs:
        name = program.name
        if name not in counts:
            rows.append(Row(program, {}, {}, invalid[name], cannot[name]))
            continue
        others = [p.name for p in programs if p.family is not Family.PEER and p is not program]
        rows.append(
            Row(
                program,
                {key: median(turn.figures[key] for turn in turns[name]) for key in case.kind.keys},
                {
                    other: {key: ratio_spread(rounds, name, other, key) for key in case.kind.keys}
                    for other in others
                    if other in counts
                },
            )
        )
    return Result(case, rows, rounds)


def _first(reasons: Iterable[str | None]) -> str | None:
    return next((reason for reason in reasons if reason), None)


def ratio_spread(rounds: Sequence[Round], program: str, other: str, key: str) -> Spread:
    """The ratios of figure `key` in each round that both have a turn in."""
    ratios = [
        by[program].figures[key] / by[other].figures[key]
        for by in rounds
        if program in by and other in by
    ]
    return Spread(median(ratios), min(ratios), max(ratios))


def render(result: Result) -> str:
    """The table of one case, with the verdicts below. Ratios are to the cheaper nginx."""
    case, cheapest = result.case, result.cheapest
    base = cheapest.program.name if cheapest else ""
    table = [["program", "OpenSSL", *(column.heading for column in case.kind.columns)]]
    table += [_cells(row, case, base) for row in result.rows]
    widths = [max(len(cells[index]) for cells in table) for index in range(len(table[0]))]
    reasons = ["", *(_reason(row) for row in result.rows)]
    text = [f"{case.letter}  {case.title}" + (f"   (×: to {base})" if base else "")]
    text += [_line(cells, widths) + reason for cells, reason in zip(table, reasons, strict=True)]
    text += [f"   {verdict}" for verdict in result.verdicts()]
    return "\n".join(text)


def _cells(row: Row, case: Case, base: str) -> list[str]:
    """Program and OpenSSL, then each figure with its ratio."""
    ratios = row.ratios.get(base, {})
    return [
        row.program.name,
        row.program.openssl,
        *(
            _figure(row.figures[column.key], column, ratios.get(column.key)) if row.counts else ""
            for column in case.kind.columns
        ),
    ]


def _figure(value: float, column: Column, ratio: Spread | None) -> str:
    text = f"{value:.{column.decimals}f}"
    return text if ratio is None else f"{text} ×{ratio}"


def _reason(row: Row) -> str:
    if row.cannot:
        return f"  can't: {row.cannot}"
    return f"  invalid: {row.invalid}" if row.invalid else ""


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Texts to the left, figures to the right."""
    aligned = [
        cell.ljust(width) if index < TEXTS else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "   " + "  ".join(aligned).rstrip()


def ours_is_invalid(results: Sequence[Result]) -> bool:
    return any(
        row.invalid
        for result in results
        for row in result.rows
        if row.program.family is Family.OURS
    )


def as_json(
    results: Sequence[Result], programs: Sequence[Program], plan: Plan, floor: Mapping[str, float]
) -> dict[str, object]:
    """Everything that was measured, the single turns too; `floor` is the crypto alone by case."""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {
            "cpu": _cpu_model(),
            "cpus": os.cpu_count(),
            "kernel": platform.release(),
            "architecture": platform.machine(),
            "python": platform.python_version(),
        },
        "plan": asdict(plan),
        "programs": [
            {"name": p.name, "openssl": p.openssl, "family": p.family.name.lower()}
            for p in programs
        ],
        "floor": floor,
        "cases": [_case_json(result) for result in results],
    }


def _cpu_model() -> str:
    detail = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", detail.read_text() if detail.exists() else "", re.M)
    return found[1] if found else platform.processor() or "?"


def _case_json(result: Result) -> dict[str, object]:
    case = result.case
    return {
        "case": case.letter,
        "title": case.title,
        "unit": case.kind.unit,
        "columns": [asdict(column) for column in case.kind.columns],
        "compared": case.kind.compared,
        "target": asdict(case.target) if case.target else None,
        "cheapest": result.cheapest.program.name if result.cheapest else None,
        "verdicts": [asdict(verdict) for verdict in result.verdicts()],
        "rows": [_row_json(row, result.rounds) for row in result.rows],
    }


def _row_json(row: Row, rounds: Sequence[Round]) -> dict[str, object]:
    name = row.program.name
    turns: list[Measurement] = [by[name] for by in rounds if name in by]
    return {
        "program": name,
        "figures": row.figures,
        "ratios": {
            other: {key: asdict(spread) for key, spread in by.items()}
            for other, by in row.ratios.items()
        },
        "invalid": row.invalid,
        "cannot": row.cannot,
        "turns": [turn.figures for turn in turns],
    }
