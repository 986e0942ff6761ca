"""The plot: for each case the ratio of every program to the cheaper nginx, on a logarithmic axis.

A bar begins at 1, which is nginx: to the right it is dearer, to the left cheaper. It is an SVG of
its own, with a background of its own: as readable on a dark page as on a light one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

WIDTH = 900
LEFT = 190
"""Where the axis begins: names of programs are before it."""
RIGHT = WIDTH - 150
"""Where it ends: figures go beyond."""
BAR = 15
GAP = 30
"""Between two cases, for the title of the next."""
TOP = 92
BOTTOM = 60

INK, FAINT, GRID, PAPER = "#1f2328", "#656d76", "#d8dee4", "#ffffff"
COLOURS = {"ours": "#0969da", "nginx": "#8c959f", "peer": "#c9a26b"}
TARGET = "#cf222e"
FONT = "font-family=\"system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif\""


@dataclass(frozen=True, slots=True)
class Axis:
    """Ratios to pixels, in powers of two."""

    least: int
    most: int

    def x(self, ratio: float) -> float:
        share = (math.log2(ratio) - self.least) / (self.most - self.least)
        return LEFT + share * (RIGHT - LEFT)

    @property
    def ticks(self) -> list[float]:
        return [2.0**power for power in range(self.least, self.most + 1)]


@dataclass(frozen=True, slots=True)
class Bar:
    name: str
    family: str
    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Group:
    """One case that has an nginx to compare with."""

    title: str
    target: float | None
    bars: Sequence[Bar]


def plot(figures: Mapping[str, Any]) -> str:
    """The SVG of what `report.as_json` tells."""
    groups = [
        group for case in figures["cases"] if (group := _group(case, figures["programs"])).bars
    ]
    axis = _axis(groups)
    height = TOP + sum(GAP + BAR * len(group.bars) for group in groups) + BOTTOM
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
        f' height="{height}" {FONT} font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="{PAPER}" stroke="{GRID}"/>',
        _text(20, 32, "What a connection costs, beside nginx", size=18, weight="600"),
        _text(20, 52, _subtitle(figures), fill=FAINT),
        *_legend(),
        *_numbers(axis, height - BOTTOM),
    ]
    y = TOP
    for group in groups:
        bottom = y + GAP + BAR * len(group.bars)
        lines += [*_grid(axis, y + GAP - 4, bottom), *_drawn(group, axis, y)]
        y = bottom
    return "\n".join([*lines, "</svg>\n"])


def _group(case: Mapping[str, Any], programs: Sequence[Mapping[str, str]]) -> Group:
    family = {program["name"]: program["family"] for program in programs}
    bars = []
    for row in case["rows"]:
        ratio = row["ratios"].get(case["cheapest"], {}).get(case["compared"])
        if ratio is not None:
            bars.append(Bar(row["program"], family[row["program"]], **ratio))
    target = case["target"]
    most = target["most"] if target and target["figure"] is None else None
    heading = next(c["heading"] for c in case["columns"] if c["key"] == case["compared"])
    return Group(f"{case['case']}  {case['title']}: {heading}, × {case['cheapest']}", most, bars)


def _axis(groups: Sequence[Group]) -> Axis:
    ratios = [value for group in groups for bar in group.bars for value in (bar.low, bar.high)]
    ratios += [group.target for group in groups if group.target]
    return Axis(
        math.floor(math.log2(min([*ratios, 0.5]))), math.ceil(math.log2(max([*ratios, 2.0])))
    )


def _subtitle(figures: Mapping[str, Any]) -> str:
    machine = figures["machine"]
    return (
        f"{figures['time'][:10]}, {machine['cpus']} × {machine['cpu']}, Linux {machine['kernel']},"
        f" Python {machine['python']}, medians of {figures['plan']['rounds']} rounds"
    )


def _legend() -> Iterator[str]:
    x = 20.0
    words = {"ours": "sniproxy", "nginx": "the other nginx", "peer": "others"}
    for family, word in words.items():
        yield f'<rect x="{x}" y="64" width="12" height="9" fill="{COLOURS[family]}"/>'
        yield _text(x + 17, 73, word)
        x += 30 + 7 * len(word)
    yield f'<path d="M{x + 3} 62v13" stroke="{TARGET}" stroke-width="2.5"/>'
    yield _text(x + 12, 73, "target for sniproxy; thin lines: the range of the rounds")


def _grid(axis: Axis, top: float, bottom: float) -> Iterator[str]:
    for ratio in axis.ticks:
        colour = FAINT if ratio == 1 else GRID
        yield f'<path d="M{axis.x(ratio):.1f} {top}V{bottom}" stroke="{colour}"/>'


def _numbers(axis: Axis, y: float) -> Iterator[str]:
    for ratio in axis.ticks:
        yield _text(axis.x(ratio), y + 20, f"{ratio:g}", FAINT, "middle")
    yield _text(axis.x(1), y + 40, "← cheaper \u00b7 nginx = 1 \u00b7 dearer →", FAINT, "middle")


def _drawn(group: Group, axis: Axis, top: float) -> Iterator[str]:
    yield _text(20, top + 20, group.title, weight="600")
    y = top + GAP - 3
    for bar in group.bars:
        middle = y + BAR / 2
        start, end = sorted((axis.x(1), axis.x(bar.median)))
        colour = COLOURS[bar.family]
        yield _text(LEFT - 8, middle + 4, bar.name, anchor="end")
        yield (
            f'<rect x="{start:.1f}" y="{y + 2}" width="{max(end - start, 1):.1f}"'
            f' height="{BAR - 4}" fill="{colour}"/>'
        )
        low, high = axis.x(bar.low), axis.x(bar.high)
        yield f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="{INK}" stroke-width="1"/>'
        if bar.family == "ours" and group.target:
            x = axis.x(group.target)
            yield f'<path d="M{x:.1f} {y}v{BAR}" stroke="{TARGET}" stroke-width="2.5"/>'
        label = f"{bar.median:.2f}"
        marks = [axis.x(group.target)] if bar.family == "ours" and group.target else []
        yield _text(max(end, high, *marks) + 7, middle + 4, label)
        y += BAR


def _text(
    x: float,
    y: float,
    text: str,
    fill: str = INK,
    anchor: str = "start",
    size: int = 12,
    weight: str = "400",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}" text-anchor="{anchor}" font-size="{size}"'
        f' font-weight="{weight}">{escape(text)}</text>'
    )
