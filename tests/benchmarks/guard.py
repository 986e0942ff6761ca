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

from benchmarks.bounds import ALLOCATIONS, BOUNDS, MARGIN, SYSTEM_CALLS
from benchmarks.cases import CASES
from benchmarks.certificates import write_certificates
from benchmarks.discovery import sniproxy
from benchmarks.measure import free_port
from benchmarks.programs import Place, running
from tests.benchmarks.counting import ask
from tests.benchmarks.pacing import Pace, PacedClient, paced_origin

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
        case = CASES[letter]
        with (
            tempfile.TemporaryDirectory(dir=self.directory) as name,
            contextlib.ExitStack() as stack,
        ):
            directory = Path(name) / "proxy"
            place = Place(directory, free_port(), self.origin_port, self.directory)
            stack.enter_context(running(sniproxy(argv), case, place))
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
    with stand() as counting:
        for row in BOUNDS:
            now = counting.measured(row.case, row.count)
            print(
                f'    Bound("{row.case}", "{row.count}", {row.before}, {now}, {highest(now)}),',
                flush=True,
            )
        for case in dict.fromkeys(row.case for row in BOUNDS):
            calls = counting.system_calls(case).most_common()
            names = (f"{number / EXCHANGES[SYSTEM_CALLS]:.1f} {name}" for name, number in calls)
            print(f"system calls in {case}: {', '.join(names)}", flush=True)


if __name__ == "__main__":
    main()
