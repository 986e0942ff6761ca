"""What a request costs, counted: `python -m tests.benchmarks.guard` prints the bounds anew.

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

from benchmarks.bounds import (
    ALLOCATIONS,
    BOUNDS,
    CALLS,
    DEPTH,
    FILES,
    FUNCTIONS,
    INSTRUCTIONS,
    MARGIN,
    PACKAGE_CHANGES,
    PROFILED,
    SYSTEM_CALLS,
)
from benchmarks.cases import CASES
from benchmarks.certificates import write_certificates
from benchmarks.discovery import sniproxy
from benchmarks.measure import free_port
from benchmarks.programs import START_SECONDS, Place, running
from tests.benchmarks import callgrind, counting
from tests.benchmarks.counting import ask
from tests.benchmarks.pacing import Pace, PacedClient, paced_origin

WARM = 20
"""Exchanges before the counting begins: caches fill, modules are imported late."""
EXCHANGES = {SYSTEM_CALLS: 50, ALLOCATIONS: 10, CALLS: 20, INSTRUCTIONS: 40}
"""Exchanges that are counted, where each of them is slow."""
VALGRIND_START_SECONDS = 180
_OPTIONS = {ALLOCATIONS: counting.ALLOCATIONS, CALLS: counting.PROFILE}
"""Of `tests.benchmarks.counting`."""
MANY = 100


@dataclass(frozen=True, slots=True)
class Stand:
    """What is around the proxies whose work is counted."""

    directory: Path
    origin_port: int
    pace: Pace
    arguments: tuple[str, ...] = ()
    """Further arguments of sniproxy."""
    _own: dict[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)

    def measured(self, case: str, count: str) -> float:
        """For one request, to the first decimal."""
        if count == SYSTEM_CALLS:
            return round(self.system_calls(case).total() / EXCHANGES[count], 1)
        if count == INSTRUCTIONS:
            return round(self.instructions(case) / EXCHANGES[count] / 1000, 1)
        group = CALLS if count in PROFILED else ALLOCATIONS if count == ALLOCATIONS else ""
        if (case, group) not in self._own:
            self._own[case, group] = self._own_counts(case, group)
        return round(self._own[case, group][count], 1)

    def instructions(self, case: str) -> int:
        """Those of `EXCHANGES` in the interpreter itself; callgrind counts them."""
        output = self.directory / "callgrind.out"
        argv = (*callgrind.command(output), sys.executable, "-m", "sniproxy")
        dumps: list[set[Path]] = []

        def mark(pid: int) -> None:
            callgrind.dump(pid)
            dumps.append(set(self.directory.glob(f"{output.name}*")))

        def end(pid: int) -> None:
            os.kill(pid, signal.SIGTERM)

        self._run(case, argv, EXCHANGES[INSTRUCTIONS], mark, end, VALGRIND_START_SECONDS)
        before, after = dumps
        total = sum(callgrind.interpreter_cost(file) for file in after - before)
        for file in self.directory.glob(f"{output.name}*"):
            file.unlink()
        return total

    def system_calls(self, case: str) -> Counter[str]:
        """Those of `EXCHANGES` by name; strace looks on."""
        reports = self.directory / "strace"
        argv = ("strace", "-f", "-o", str(reports), sys.executable, "-m", "sniproxy")

        def mark(pid: int) -> None:
            # A signal that does nothing is a line in what strace tells.
            os.kill(pid, signal.SIGURG)

        def end(pid: int) -> None:
            # strace itself would not hear of it.
            os.kill(pid, signal.SIGTERM)

        self._run(case, argv, EXCHANGES[SYSTEM_CALLS], mark, end)
        parts = reports.read_text().split("--- SIGURG ")
        assert len(parts) == 3, f"{len(parts) - 1} marks"
        return Counter(re.findall(r"^\d+ +(\w+)\(", parts[1], re.MULTILINE))

    def _own_counts(self, case: str, group: str) -> Mapping[str, float]:
        """What the proxy counts itself, for one exchange."""
        path = str(self.directory / "counts")
        options = (_OPTIONS[group],) if group else ()
        argv = (sys.executable, "-m", "tests.benchmarks.counting", path, *options)
        argv += self.arguments
        exchanges = EXCHANGES.get(group, MANY)
        seen: list[Mapping[str, int]] = []
        self._run(case, argv, exchanges, lambda _: seen.append(ask(path)), lambda _: None)
        os.unlink(path)
        before, after = seen
        if group == CALLS:
            # Counted anew since the mark before.
            whole = {name: float(after[name]) for name in (FUNCTIONS, FILES, DEPTH)}
            return whole | {n: after[n] / exchanges for n in (CALLS, PACKAGE_CHANGES)}
        return {name: (after[name] - before[name]) / exchanges for name in after}

    def _run(
        self,
        letter: str,
        argv: tuple[str, ...],
        exchanges: int,
        mark: Callable[[int], None],
        end: Callable[[int], None],
        start_seconds: float = START_SECONDS,
    ) -> None:
        """Calls `mark` before and behind so many exchanges, `end` at last, with the id of the
        proxy's process."""
        case = CASES[letter]
        with (
            tempfile.TemporaryDirectory(dir=self.directory) as name,
            contextlib.ExitStack() as stack,
        ):
            directory = Path(name) / "proxy"
            place = Place(directory, free_port(), self.origin_port, self.directory)
            stack.enter_context(running(sniproxy(argv), case, place, start_seconds))
            client = PacedClient(case, place.port, self.pace)
            stack.callback(client.close)
            client.exchange()
            pid = int((directory / "proxy.pid").read_text())
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
    with stand() as stand_:
        for row in BOUNDS:
            now = stand_.measured(row.case, row.count)
            print(
                f'    Bound("{row.case}", "{row.count}", {row.before}, {now}, {highest(now)}),',
                flush=True,
            )
        for case in dict.fromkeys(row.case for row in BOUNDS):
            calls = stand_.system_calls(case).most_common()
            names = (f"{number / EXCHANGES[SYSTEM_CALLS]:.1f} {name}" for name, number in calls)
            print(f"system calls in {case}: {', '.join(names)}", flush=True)


if __name__ == "__main__":
    main()
