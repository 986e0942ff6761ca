"""One program's turn at one case: start it, warm it up, load it, check what was promised."""

from __future__ import annotations

import contextlib
import itertools
import math
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cases import IDLE_CONNECTIONS, MEMORY, START, Case, Mode, nginx_conf
from benchmarks.certificates import write_certificates
from benchmarks.load import Client, Generator, Tally, Task, load, reason, running_generator
from benchmarks.origin import Counts, Origin, running_origin
from benchmarks.programs import Broken, Program, Running, running
from benchmarks.wire import HOST, Unexpected

SETTLE_SECONDS = 0.03
"""What a proxy has left to do when the last client is content: closing connections."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often; seconds."""

    rounds: int
    warm: float
    window: float
    processes: int = 4


QUICK = Plan(rounds=5, warm=0.4, window=1.5)
THOROUGH = Plan(rounds=7, warm=1.0, window=4.0)


@dataclass(frozen=True, slots=True)
class Turn:
    """The figures by the keys of the case's columns, or why there are none."""

    figures: Mapping[str, float]
    invalid: str | None = None


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that stands around the programs while they are measured."""

    plan: Plan
    directory: Path
    port: int
    origin: Origin
    generator: Generator
    _numbers: Iterator[int]

    def round_(self, case: Case, programs: Sequence[Program], first: int) -> list[Turn]:
        """A turn for each of `programs`, in their order; the one at index `first` begins,
        so that over the rounds nobody is always the one that follows another."""
        turns = {}
        for step in range(len(programs)):
            index = (first + step) % len(programs)
            turns[index] = self.turn(case, programs[index])
        return [turns[index] for index in range(len(programs))]

    def turn(self, case: Case, program: Program) -> Turn:
        """Starts `program` for this turn alone, under the file that all of them get."""
        text = nginx_conf(case, self.port, self.origin.port, self.directory)
        directory = self.directory / f"turn{next(self._numbers)}"
        began = time.perf_counter()
        try:
            with running(program, text, directory, self.port) as proxy:
                figures = _MEASURES.get(case.kind, _exchanges)(self, case, proxy, began)
                complaint = proxy.complaint()
        except (Broken, Unexpected, OSError) as error:
            return Turn({}, reason(error))
        return Turn({}, complaint) if complaint else Turn(figures)


@contextlib.contextmanager
def bench(plan: Plan) -> Iterator[Bench]:
    """Makes certificates, starts origin and generator; all is gone after the block."""
    with (
        tempfile.TemporaryDirectory(prefix="benchmarks-") as name,
        contextlib.ExitStack() as stack,
    ):
        directory = Path(name)
        write_certificates(directory)
        origin = stack.enter_context(running_origin(directory))
        generator = stack.enter_context(running_generator(plan.processes))
        yield Bench(plan, directory, free_port(), origin, generator, itertools.count())


def free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port


def _exchanges(bench: Bench, case: Case, proxy: Running, began: float) -> dict[str, float]:
    """Rate, CPU time and latency. Nothing is under way when the window begins and ends, so
    time and exchanges belong to each other exactly."""
    plan = bench.plan
    processes = 1 if case.alone else plan.processes
    task = Task(processes, bench.port, case.client, case.size, plan.warm, plan.window)
    before: list[tuple[float, Counts]] = []

    def look() -> None:
        time.sleep(SETTLE_SECONDS)
        before.append((proxy.cpu_seconds(), bench.origin.counts()))

    tally, seconds = bench.generator.run(task, look)
    time.sleep(SETTLE_SECONDS)
    (cpu_before, counts_before), cpu = before[0], proxy.cpu_seconds()
    seen = bench.origin.counts() - counts_before
    if broken := broken_promise(case, tally, seen, processes):
        raise Unexpected(proxy.complaint() or broken)
    units = tally.exchanges * case.units
    return {
        "rate": units / seconds,
        "cpu": (cpu - cpu_before) / units * 1e6,
        "p50": percentile(tally.latencies, 50) * 1e3,
        "p99": percentile(tally.latencies, 99) * 1e3,
    }


def _memory(bench: Bench, case: Case, proxy: Running, began: float) -> dict[str, float]:
    """What a thousand connections cost that were each answered once and now idle."""
    load(Client(bench.port, Mode.FULL, case.size), bench.plan.warm)
    before = proxy.memory_kib()
    tally = Tally()
    with contextlib.ExitStack() as stack:
        for _ in range(IDLE_CONNECTIONS):
            client = Client(bench.port, case.client, case.size)
            stack.callback(client.close)
            client.exchange(tally)
        time.sleep(SETTLE_SECONDS)
        after = proxy.memory_kib()
    return {"memory": (after - before) / IDLE_CONNECTIONS}


def _start(bench: Bench, case: Case, proxy: Running, began: float) -> dict[str, float]:
    """From the start of the process to the first answer, handshake included."""
    Client(bench.port, case.client, case.size).exchange(Tally())
    return {"start": (time.perf_counter() - began) * 1e3}


_MEASURES: Mapping[object, Callable[[Bench, Case, Running, float], dict[str, float]]] = {
    MEMORY: _memory,
    START: _start,
}


def broken_promise(case: Case, tally: Tally, seen: Counts, processes: int) -> str | None:
    """What in a window was not as the case says, None if all was.

    A window may open one kept connection for each process that had none while warming up,
    and make one session for each that got none.
    """
    if tally.failure:
        return tally.failure
    exchanges = tally.exchanges
    if not exchanges:
        return "no exchange in the window"
    client = _handshakes("client", case.client, tally.full, tally.resumed, exchanges, 0)
    if client:
        return client
    if seen.unlike:
        return f"{seen.unlike} handshakes with the origin had other settings"
    answers = 0 if case.upstream is Mode.NONE else exchanges
    if seen.answers != answers:
        return f"the origin answered {seen.answers} requests, not {answers}"
    return _handshakes("upstream", case.upstream, seen.full, seen.resumed, exchanges, processes)


_PROMISED = {  # (full, resumed) handshakes an exchange
    Mode.NONE: (0, 0),
    Mode.FULL: (1, 0),
    Mode.RESUMED: (0, 1),
    Mode.KEPT: (0, 0),
}


def _handshakes(
    side: str, mode: Mode, full: int, resumed: int, exchanges: int, slack: int
) -> str | None:
    """Compares the handshakes of one side with what `mode` promises; up to `slack` may be
    full ones where sessions or connections are used again."""
    expected = tuple(times * exchanges for times in _PROMISED[mode])
    if mode in (Mode.RESUMED, Mode.KEPT) and full <= slack:
        expected = (full, max(expected[1] - full, 0))
    if (full, resumed) == expected:
        return None
    return (
        f"{side}: {full} full and {resumed} resumed handshakes in {exchanges} exchanges,"
        f" not {expected[0]} and {expected[1]}"
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of `values` that at least `percent` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]
