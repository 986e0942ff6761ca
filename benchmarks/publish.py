"""Write the figures into the documents that quote them: `python -m benchmarks.publish`.

The documents contain generated parts between `<!-- made: … -->` marks, made from
`results/measured.json`; `python -m benchmarks --save` measures and writes all of it. A test
compares the documents with the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.bounds import BOUNDS, WORDS
from benchmarks.discovery import BEFORE
from benchmarks.plot import plot
from benchmarks.report import Spread

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
MEASURED = RESULTS / "measured"
"""The files, but for their suffixes, that the repository keeps."""
LAST = RESULTS / "last"
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "performance.md")


def write(figures: Mapping[str, Any], tables: str, stem: Path) -> list[Path]:
    """The figures as JSON, the tables as text, and the plot."""
    texts = {
        ".json": json.dumps(figures, indent=1) + "\n",
        ".txt": tables + "\n",
        ".svg": plot(figures),
    }
    stem.parent.mkdir(exist_ok=True)
    files = [stem.with_suffix(suffix) for suffix in texts]
    for file, text in zip(files, texts.values(), strict=True):
        file.write_text(text)
    return files


def machine(figures: Mapping[str, Any]) -> str:
    """Where and when, and with which programs."""
    where, plan = figures["machine"], figures["plan"]
    programs = [f"{p['name']} on {_library(p['openssl'])}" for p in figures["programs"]]
    return (
        f"Measured {figures['time'][:10]} on {where['cpus']} × {where['cpu']}"
        f" ({where['architecture']}, Linux {where['kernel']}, Python {where['python']}),"
        f" {plan['rounds']} rounds with windows of {plan['window']:g} s: {'; '.join(programs)}.\n"
    )


def cost(figures: Mapping[str, Any]) -> str:
    """The sentence of the README: CPU time relative to the cheaper nginx."""
    cases = {case["case"]: case for case in figures["cases"]}
    ratios = {name: _ratio(cases[name]) for name in "acfg"}
    return (
        f"A TLS handshake costs {ratios['a']} times nginx's CPU time, a request with new"
        f" connections on both sides {ratios['c']} times, a small request on kept connections"
        f" {ratios['f']} times, and a large response {ratios['g']} times.\n"
    )


def _ratio(case: Mapping[str, Any]) -> str:
    ours = next(row for row in case["rows"] if row["program"] == "sniproxy")
    return f"{ours['ratios'][case['cheapest']][case['compared']]['median']:.1f}"


def _library(version: str) -> str:
    return f"Go {version[2:]}" if version.startswith("go") else f"OpenSSL {version}"


def summary(figures: Mapping[str, Any]) -> str:
    """sniproxy beside the cheaper nginx, and whether the targets are reached."""
    titles = ["case", "figure", "nginx", "sniproxy", "ratio (range)", "target", ""]
    with_before = any(program["name"] == BEFORE for program in figures["programs"])
    titles[4:4] = ["ratio before"] if with_before else []
    lines = [f"| {' | '.join(titles)} |", f"| --- | --- |{' --: |' * (len(titles) - 3)} --- |"]
    for case in figures["cases"]:
        cells = [f"**{case['case']}** {case['title']}", *_beside_nginx(case, with_before)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _beside_nginx(case: Mapping[str, Any], with_before: bool) -> Sequence[str]:
    rows = {row["program"]: row for row in case["rows"]}
    ours, cheapest, key = rows["sniproxy"], case["cheapest"], case["compared"]
    column = _column(case, key)
    if ours["invalid"] or cheapest is None:
        return [column["heading"], *[""] * with_before, "", "", ours["invalid"] or "", "", ""]
    met = case["verdicts"][0]["met"]
    before = rows[BEFORE]["ratios"].get(cheapest) if with_before else None
    return [
        column["heading"],
        _figure(rows[cheapest]["figures"][key], column),
        _figure(ours["figures"][key], column),
        *([f"{before[key]['median']:.2f}" if before else ""] if with_before else []),
        str(Spread(**ours["ratios"][cheapest][key])),
        _target(case, ours["figures"]),
        "" if met is None else "met" if met else "missed",
    ]


def _target(case: Mapping[str, Any], figures: Mapping[str, float]) -> str:
    target = case["target"]
    if target is None:
        return ""
    if target["figure"] is None:
        return f"{target['most']:g}"
    column = _column(case, target["figure"])
    return f"{target['most']:g} {column['heading']} ({_figure(figures[column['key']], column)})"


def _column(case: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(c for c in case["columns"] if c["key"] == key)
    return found


def peers(figures: Mapping[str, Any]) -> str:
    """Every program in every case: the figure, and the ratio to the cheaper nginx."""
    names = [program["name"] for program in figures["programs"]]
    lines = [
        f"| case | figure | the crypto alone | {' | '.join(names)} |",
        f"| --- | --- | --: |{' --: |' * len(names)}",
    ]
    for case in figures["cases"]:
        column = _column(case, case["compared"])
        floor = figures["floor"].get(case["case"])
        rows = {row["program"]: row for row in case["rows"]}
        cells = [
            f"**{case['case']}**",
            column["heading"],
            "" if floor is None else _figure(floor, column),
            *(_cell(rows[name], case, column) for name in names),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(row: Mapping[str, Any], case: Mapping[str, Any], column: Mapping[str, Any]) -> str:
    if row["cannot"]:
        return "can't"
    if row["invalid"]:
        return "invalid"
    figure = _figure(row["figures"][column["key"]], column)
    ratio = row["ratios"].get(case["cheapest"])
    return figure if ratio is None else f"{figure} (×{ratio[column['key']]['median']:.2f})"


def counted(*cases: str) -> str:
    """What a request takes in some of the cases of the guard."""
    heading = "".join(f" {case}: before | now | bound |" for case in cases)
    lines = [f"| count |{heading}", f"| --- |{' --: | --: | --: |' * len(cases)}"]
    for count, words in WORDS.items():
        rows = [row for row in BOUNDS if row.count == count and row.case in cases]
        cells = "".join(f" {row.before:g} | {row.measured:g} | {row.bound:g} |" for row in rows)
        lines.append(f"| {words} |{cells}")
    return "\n".join(lines) + "\n"


def _figure(value: float, column: Mapping[str, Any]) -> str:
    return f"{value:,.{column['decimals']}f}"


def filled(text: str, figures: Mapping[str, Any], tables: str) -> str:
    """`text` with what stands between the marks made again."""
    made = {
        "cost": cost(figures),
        "machine": machine(figures),
        "summary": summary(figures),
        "peers": peers(figures),
        "connection": counted("a", "c"),
        "request": counted("f"),
        "tables": f"```\n{tables}```\n",
    }

    def fill(match: re.Match[str]) -> str:
        return f"<!-- made: {match[1]} -->\n\n{made[match[1]]}\n<!-- /made -->"

    return re.sub(r"<!-- made: (\w+) -->\n.*?<!-- /made -->", fill, text, flags=re.DOTALL)


def main() -> None:
    """Writes plot and documents anew from the figures that are kept."""
    figures = json.loads(MEASURED.with_suffix(".json").read_text())
    tables = MEASURED.with_suffix(".txt").read_text()
    MEASURED.with_suffix(".svg").write_text(plot(figures))
    for document in DOCUMENTS:
        document.write_text(filled(document.read_text(), figures, tables))
        print(f"figures written into {document.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
