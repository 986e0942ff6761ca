"""`python -m benchmarks [--quick] [--case a,c,…]`: the tables, and exit code 1 if a figure of
sniproxy's is invalid. `python -m benchmarks crypto_baseline`: the crypto alone. `python -m
benchmarks --live`: the cost of the live page."""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import crypto_baseline, live, publish, streams
from benchmarks.cases import CASES, PUBLISHED, Case
from benchmarks.discovery import before, find_programs
from benchmarks.measure import QUICK, THOROUGH, bench
from benchmarks.peers import PEERS
from benchmarks.report import as_json, ours_is_invalid, render, summarise


def main(argv: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    if list(words[:2]) == ["--case", "stream"]:
        return streams.main(words[2:])
    if "--live" in words:
        return live.main([word for word in words if word != "--live"])
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.save and arguments.case != PUBLISHED:
        parser.error("--save is for all cases")
    if arguments.crypto_baseline:
        return crypto_baseline.main()
    plan = QUICK if arguments.quick else THOROUGH
    # A start is that of an installed program, whose byte code is kept.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # A thousand connections need more than the usual soft limit, here and in the programs.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        programs, missing = find_programs(dict(arguments.peer))
        if arguments.before:
            programs.append(before(arguments.before))
    except FileNotFoundError as error:
        parser.error(str(error))
    for line in missing:
        print(line)
    print(
        f"{os.cpu_count()} CPUs for proxy, clients and origin together: a rate is the machine's,"
        f" CPU time the proxy's alone.\nMedians of {plan.rounds} rounds (of {plan.peer_rounds} for"
        " peers); × is the ratio within a round, median (range).\n",
        flush=True,
    )
    results = []
    with bench(plan) as stand:
        for case in arguments.case:
            results.append(summarise(case, programs, stand.rounds(case, programs)))
            print(render(results[-1]), end="\n\n", flush=True)
    figures = as_json(results, programs, plan, crypto_baseline.crypto_baseline())
    tables = "\n\n".join(render(result) for result in results)
    where = publish.MEASURED if arguments.save else publish.LAST
    for file in publish.write(figures, tables, where):
        print(f"written to {file}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    if arguments.save:
        publish.main()
    return int(ours_is_invalid(results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="sniproxy beside the real nginx and its peers: CPU time of the proxy, round by"
        " round. The table, all figures as JSON and a plot go to benchmarks/results/last.*.",
        epilog="with --live: sniproxy alone, with and without its live page (live.py). cases:"
        " stream pass-through by SNI (streams.py); "
        + "; ".join(f"{case.letter} {case.title}" for case in CASES.values()),
    )
    parser.add_argument(
        "crypto_baseline",
        nargs="?",
        choices=["crypto_baseline"],
        help="measure the crypto alone, in memory",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="few short rounds, one for peers: all cases in under three minutes",
    )
    parser.add_argument(
        "--case",
        type=_cases,
        default=PUBLISHED,
        metavar="a,c,…",
        help="letters of cases (default: all but cached and gzip); h is ha and hc, f is f and f8",
    )
    parser.add_argument(
        "--peer",
        type=_peer,
        action="append",
        default=[],
        metavar="NAME=PATH",
        help=f"where to find one of {', '.join(PEERS)}, if it is not on the PATH; NAME= leaves it"
        " out",
    )
    parser.add_argument(
        "--before", type=Path, metavar="TREE", help="measure the sniproxy of another tree too"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    parser.add_argument(
        "--save",
        action="store_true",
        help="write to benchmarks/results/measured.* instead, and the figures into README.md and"
        " docs/performance.md",
    )
    return parser


def _cases(text: str) -> list[Case]:
    chosen = []
    for letter in text.split(","):
        found = _beginning_with(letter)
        if not found:
            raise argparse.ArgumentTypeError(f"no case {letter}; there are {', '.join(CASES)}")
        chosen += found
    return chosen


def _beginning_with(letter: str) -> list[Case]:
    longest = 2 if len(letter) == 1 else max(map(len, CASES))
    return [
        case
        for name, case in CASES.items()
        if letter and name.startswith(letter) and len(name) <= longest
    ]


def _peer(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if name not in PEERS or not equals:
        raise argparse.ArgumentTypeError(f"not NAME=PATH with one of {', '.join(PEERS)}")
    return name, path


if __name__ == "__main__":
    sys.exit(main())
