"""Mixed traffic for minutes or hours; fails if memory, descriptors or tasks grow.

`python -m tests.soak --minutes 60` runs sniproxy, its clients and its upstream in a process each.
In rounds of some seconds there is traffic of all kinds, with a reload and a rotation of the logs in
the middle of some. Between two rounds nothing is open, and everything is counted. A straight line
is laid through the counts after the warm-up; the exit status is 1 if one of them rises.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.soak.configuration import KEEPALIVE
from tests.soak.figures import HEADER, Sample, verdicts
from tests.soak.running import Soak

MOST_MEMORY = 1.0
"""MiB an hour."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--warm-up", type=float, help="minutes (default: a quarter of all)")
    parser.add_argument("--round", type=float, default=10.0, help="seconds of traffic at a time")
    parser.add_argument("--rate", type=float, default=1.0, help="1: about 60 requests a second")
    parser.add_argument("--reload", type=int, default=3, help="rounds from one reload to the next")
    parser.add_argument(
        "--workers", type=int, default=0, help="0: one process without a master, which reloads"
    )
    parser.add_argument("--most", type=float, default=MOST_MEMORY, help="MiB an hour")
    parser.add_argument("--samples", type=Path, help="a file for all samples, as CSV")
    options = parser.parse_args(argv)
    warm_up = options.minutes / 4 if options.warm_up is None else options.warm_up
    with tempfile.TemporaryDirectory() as folder, Soak(Path(folder), options) as soak:
        samples = soak.run(options.minutes * 60)
        failures = soak.failures()
    counted = [one for one in samples if one.at >= warm_up * 60]
    most_connections = 2 * KEEPALIVE * max(options.workers, 1)
    return report(counted, soak.done, failures, options.most, most_connections)


def report(
    counted: Sequence[Sample],
    done: dict[str, int],
    failures: Sequence[str],
    most: float,
    most_connections: int = 16,
) -> int:
    """Print the table; returns the exit status."""
    for name, number in sorted(done.items()):
        print(f"{number:>9} {name}")
    if len(counted) < 3:
        print("too few samples after the warm-up")
        return 1
    seconds = counted[-1].at - counted[0].at
    print(f"{len(counted)} samples of {seconds / 60:.1f} minutes after the warm-up")
    print(HEADER)
    judged = verdicts(counted, {"memory": most})
    for verdict in judged:
        print(verdict)
    for failure in failures:
        print(f"failed: {failure}")
    # They come and go with the traffic, within what the configuration keeps.
    connections = max(one.connections for one in counted)
    print(f"{connections} idle connections to upstreams at most ({most_connections})")
    is_bounded = connections <= most_connections
    is_held = not failures and is_bounded and all(verdict.is_held for verdict in judged)
    print("held" if is_held else "NOT HELD")
    return 0 if is_held else 1


if __name__ == "__main__":
    sys.exit(main())
