"""The command `python -m tests.fuzz NAME [--seconds N] [--seed S]`.

NAME is a parser (a folder of `corpus/`), a comparison with nginx (`nginx_heads`,
`nginx_configurations`), a site that is attacked (`tls`, `http`, `http2`,
`proxy_protocol`, `cache`), or `parsers` for all parsers, one after the other.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path

from tests.fuzz.differential import DIFFERENTIAL, run_against_nginx
from tests.fuzz.engine import Report, can_be_guided, run_guided, run_randomly
from tests.fuzz.targets import TARGETS

SITES = ("tls", "http", "http2", "proxy_protocol", "cache")
ALL = "parsers"
HEADINGS = f"{'name':20} {'executions':>12} {'seconds':>8} {'per s':>8} {'edges':>6}  findings"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", epilog=f"parsers: {', '.join(TARGETS)}"
    )
    parser.add_argument("name", metavar="NAME", choices=(*TARGETS, *DIFFERENTIAL, *SITES, ALL))
    parser.add_argument("--seconds", type=float, default=60, help="for each parser")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--random", action="store_true", help="do without coverage")
    parser.add_argument(
        "--input", metavar="FILE", type=Path, help="check this input instead, and nothing else"
    )
    options = parser.parse_args()
    if options.name in SITES:
        sys.argv[1:] = [f"--seconds={options.seconds}", f"--seed={options.seed}"]
        return int(importlib.import_module(f"tests.fuzz.{options.name}").run_fuzzer())
    if options.input is not None:
        TARGETS[options.name].check(options.input.read_bytes())
        return 0
    if options.name in DIFFERENTIAL:
        report = run_against_nginx(options.name, options.seed, seconds=options.seconds)
        print(f"{HEADINGS}\n{_row(report)}")
        return 0 if report.finding is None else 1
    guided = can_be_guided() and not options.random
    if not guided:
        print("NOT GUIDED BY COVERAGE, mutations are random (pip install atheris)")
    run = run_guided if guided else run_randomly
    names = list(TARGETS) if options.name == ALL else [options.name]
    print(f"seed {options.seed}")
    print(HEADINGS)
    reports = []
    for name in names:
        report = run(TARGETS[name], options.seed, seconds=options.seconds)
        print(_row(report), flush=True)
        reports.append(report)
    return 1 if any(report.finding is not None for report in reports) else 0


def _row(report: Report) -> str:
    rate = report.executions / max(report.seconds, 0.001)
    edges = "-" if report.coverage is None else report.coverage
    row = (
        f"{report.name:20} {report.executions:>12,} {report.seconds:>8.0f} {rate:>8,.0f} {edges:>6}"
    )
    if report.finding is None:
        return f"{row}  none"
    return f"{row}  {report.finding.data!r}\n{report.finding.report}"


if __name__ == "__main__":
    sys.exit(main())
