"""`python -m benchmarks [--quick] [--case a,c,…]`: the tables, and exit code 1 if a figure of
sniproxy's is invalid."""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.cases import CASES, DEFAULT, Case
from benchmarks.measure import QUICK, THOROUGH, Bench, bench
from benchmarks.programs import Program, find_programs
from benchmarks.report import Result, as_json, ours_is_invalid, render, summarise

RESULTS = Path(__file__).parent / "results"


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    plan = QUICK if arguments.quick else THOROUGH
    # A thousand connections need more than the usual soft limit, here and in the programs.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    programs, missing = find_programs()
    for line in missing:
        print(line)
    print(
        f"{os.cpu_count()} CPUs for proxy, clients and origin together: a rate is the machine's,"
        f" CPU time the proxy's alone. Medians of {plan.rounds} rounds; × is the ratio within a"
        " round, median (range).\n",
        flush=True,
    )
    results = []
    with bench(plan) as stand:
        for case in arguments.case:
            results.append(_run(stand, case, programs))
            print(render(results[-1]), end="\n\n", flush=True)
    for file in _files(arguments.json, arguments.save):
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(as_json(results, programs, plan), indent=1) + "\n")
        print(f"written to {file}")
    return int(ours_is_invalid(results))


def _run(stand: Bench, case: Case, programs: Sequence[Program]) -> Result:
    rounds = [stand.round_(case, programs, first) for first in range(stand.plan.rounds)]
    return summarise(case, programs, rounds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="sniproxy beside the real nginx: CPU time of the proxy, round by round.",
        epilog="cases: " + "; ".join(f"{case.letter} {case.title}" for case in CASES.values()),
    )
    parser.add_argument(
        "--quick", action="store_true", help="few short rounds: under two minutes for a,c"
    )
    parser.add_argument(
        "--case",
        type=_cases,
        default=_cases(",".join(DEFAULT)),
        metavar="a,c,…",
        help=f"letters of cases, or all (default: {','.join(DEFAULT)})",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    parser.add_argument(
        "--save", action="store_true", help="write them to a dated file in benchmarks/results"
    )
    return parser


def _cases(text: str) -> list[Case]:
    letters = list(CASES) if text == "all" else text.split(",")
    unknown = [letter for letter in letters if letter not in CASES]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"no case {', '.join(unknown)}; there are {', '.join(CASES)}"
        )
    return [CASES[letter] for letter in letters]


def _files(named: Path | None, save: bool) -> list[Path]:
    dated = RESULTS / time.strftime("%Y-%m-%dT%H%M%SZ.json", time.gmtime())
    return [*([named] if named else []), *([dated] if save else [])]


if __name__ == "__main__":
    sys.exit(main())
