"""What a request costs, counted: `python -m tests.benchmarks.guard` prints `BOUNDS` anew.

Times are noise on a busy machine, counts are not: they are the same to the first decimal each time.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.cases import CASES, nginx_conf
from benchmarks.certificates import write_certificates
from benchmarks.measure import free_port
from benchmarks.programs import Program, running
from tests.benchmarks.counting import ask
from tests.benchmarks.pacing import Pace, PacedClient, paced_origin


@dataclass(frozen=True, slots=True)
class Bound:
    """How much of what one request may take, in `a` and `c` with the connection that it has for
    itself. Counts are `SYSTEM_CALLS` and the fields of `counting.Counts`."""

    case: str
    count: str
    measured: float
    bound: float
    """At most `MARGIN` above what was measured."""


SYSTEM_CALLS = "system_calls"
ALLOCATIONS = "allocations"

MARGIN = 1.1
PYTHON = (3, 11)
"""Where allocations were measured: another one takes memory in other portions."""

BOUNDS = (
    Bound("a", "system_calls", 45.1, 49.6),
    Bound("a", "task_steps", 5.0, 5.5),
    Bound("a", "h11_events", 0.0, 0.0),
    Bound("a", "allocations", 1028.2, 1131.0),
    Bound("a", "garbage", 32.0, 35.2),
    Bound("c", "system_calls", 89.1, 98.0),
    Bound("c", "task_steps", 9.0, 9.9),
    Bound("c", "h11_events", 0.0, 0.0),
    Bound("c", "allocations", 1811.9, 1993.0),
    Bound("c", "garbage", 40.0, 44.0),
    Bound("f", "system_calls", 15.0, 16.5),
    Bound("f", "task_steps", 2.0, 2.2),
    Bound("f", "h11_events", 0.0, 0.0),
    Bound("f", "allocations", 782.4, 860.6),
    Bound("f", "garbage", 26.0, 28.6),
)

WARM = 20
"""Exchanges before the counting begins: caches fill, modules are imported late."""
EXCHANGES = {SYSTEM_CALLS: 50, ALLOCATIONS: 10}
"""That are counted, where each of them is slow."""
MANY = 100


@dataclass(frozen=True, slots=True)
class Stand:
    """What is around the proxies whose work is counted."""

    directory: Path
    origin_port: int
    pace: Pace
    _own: dict[tuple[str, bool], Mapping[str, float]] = field(default_factory=dict)

    def measured(self, case: str, count: str) -> float:
        """For one request, to the first decimal."""
        if count == SYSTEM_CALLS:
            return round(self.system_calls(case).total() / EXCHANGES[count], 1)
        key = (case, count == ALLOCATIONS)
        if key not in self._own:
            self._own[key] = self._own_counts(*key)
        return round(self._own[key][count], 1)

    def system_calls(self, case: str) -> Counter[str]:
        """Those of `EXCHANGES` by name; strace looks on."""
        told = self.directory / "strace"
        argv = ("strace", "-f", "-o", str(told), sys.executable, "-m", "sniproxy")

        def mark(pid: int) -> None:
            # A signal that does nothing is a line in what strace tells.
            os.kill(pid, signal.SIGURG)

        def end(pid: int) -> None:
            # strace itself would not hear of it.
            os.kill(pid, signal.SIGTERM)

        self._run(case, argv, EXCHANGES[SYSTEM_CALLS], mark, end)
        parts = told.read_text().split("--- SIGURG ")
        assert len(parts) == 3, f"{len(parts) - 1} marks"
        return Counter(re.findall(r"^\d+ +(\w+)\(", parts[1], re.MULTILINE))

    def _own_counts(self, case: str, allocations: bool) -> Mapping[str, float]:
        """What the proxy counts itself, for one exchange."""
        path = str(self.directory / "counts")
        options = ("--allocations",) if allocations else ()
        argv = (sys.executable, "-m", "tests.benchmarks.counting", path, *options)
        exchanges = EXCHANGES[ALLOCATIONS] if allocations else MANY
        seen: list[Mapping[str, int]] = []
        self._run(case, argv, exchanges, lambda _: seen.append(ask(path)), lambda _: None)
        os.unlink(path)
        before, after = seen
        return {name: (after[name] - before[name]) / exchanges for name in after}

    def _run(
        self,
        letter: str,
        argv: tuple[str, ...],
        exchanges: int,
        mark: Callable[[int], None],
        end: Callable[[int], None],
    ) -> None:
        """Calls `mark` before and behind so many exchanges, `end` at last, with the id of the
        proxy's process."""
        case, port = CASES[letter], free_port()
        text = nginx_conf(case, port, self.origin_port, self.directory)
        with (
            tempfile.TemporaryDirectory(dir=self.directory) as name,
            running(Program("sniproxy", "", argv), text, Path(name) / "proxy", port),
            contextlib.closing(PacedClient(case, port, self.pace)) as client,
        ):
            client.exchange()
            pid = int((Path(name) / "proxy" / "proxy.pid").read_text())
            with self.pace.of(pid):
                for _ in range(WARM):
                    client.exchange()
                self.pace.wait()
                mark(pid)
                for _ in range(exchanges):
                    client.exchange()
                self.pace.wait()
                mark(pid)
            end(pid)


@contextlib.contextmanager
def stand() -> Iterator[Stand]:
    with tempfile.TemporaryDirectory(prefix="guard-") as name:
        write_certificates(Path(name))
        pace = Pace()
        with paced_origin(Path(name), pace) as port:
            yield Stand(Path(name), port, pace)


def highest(measured: float) -> float:
    """The highest bound that is allowed."""
    return math.floor(measured * MARGIN * 10) / 10


def main() -> None:
    with stand() as counting:
        for row in BOUNDS:
            now = counting.measured(row.case, row.count)
            print(f'    Bound("{row.case}", "{row.count}", {now}, {highest(now)}),', flush=True)
        for case in dict.fromkeys(row.case for row in BOUNDS):
            calls = counting.system_calls(case).most_common()
            names = (f"{number / EXCHANGES[SYSTEM_CALLS]:.1f} {name}" for name, number in calls)
            print(f"system calls in {case}: {', '.join(names)}", flush=True)


if __name__ == "__main__":
    main()
