"""One program's turn at one case: start it, warm it up, load it, check what was promised."""

from __future__ import annotations

import contextlib
import itertools
import math
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cases import CASES, IDLE_CONNECTIONS, MEMORY, START, Case, Mode
from benchmarks.certificates import write_certificates
from benchmarks.h2load import Load, run_h2load
from benchmarks.load import (
    Client,
    Generator,
    Tally,
    Task,
    load,
    patience,
    reason,
    running_generator,
)
from benchmarks.origin import Counts, Origin, running_origin
from benchmarks.programs import Family, Place, Program, ProgramError, Running, running
from benchmarks.wire import HOST, SOCKET_SECONDS, UnexpectedDataError

LIBRARIES = "trio, h11, OpenSSL.SSL, cryptography.x509"
"""What sniproxy cannot start without."""

MEMORY_SECONDS = 60
"""For a thousand connections one after the other."""

SETTLE_SECONDS = 0.03
"""What a proxy has left to do when the last client is content: closing connections."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often; seconds. Peers are there in the first `peer_rounds`; memory of idle
    connections, which hardly varies, is looked at in the first `memory_rounds`."""

    rounds: int
    warm: float
    window: float
    peer_rounds: int
    memory_rounds: int
    processes: int = 4


QUICK = Plan(rounds=3, warm=0.2, window=0.6, peer_rounds=1, memory_rounds=1)
THOROUGH = Plan(rounds=7, warm=1.0, window=4.0, peer_rounds=7, memory_rounds=3)


@dataclass(frozen=True, slots=True)
class Measurement:
    """The figures by the keys of the case's columns, or why there are none: they would not be what
    the case promises, or the program cannot do the case."""

    figures: Mapping[str, float]
    invalid: str | None = None
    cannot: str | None = None


Round = Mapping[str, Measurement]
"""A turn for each program that takes part, by its name."""


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that stands around the programs while they are measured."""

    plan: Plan
    directory: Path
    port: int
    origin: Origin
    generator: Generator
    _numbers: Iterator[int]

    def rounds(self, case: Case, programs: Sequence[Program]) -> list[Round]:
        """All rounds of a case."""
        number = self.plan.memory_rounds if case.kind is MEMORY else self.plan.rounds
        return [self._round(case, programs, index) for index in range(number)]

    def _round(self, case: Case, programs: Sequence[Program], number: int) -> Round:
        """In each round another program begins, so that over the rounds nobody is always the one
        that follows another."""
        with_peers = number < self.plan.peer_rounds
        part = [p for p in programs if with_peers or p.family is not Family.PEER]
        first = number % len(part)
        return {program.name: self.turn(case, program) for program in part[first:] + part[:first]}

    def turn(self, case: Case, program: Program) -> Measurement:
        """Starts `program` for this turn alone, configured like all others."""
        if case.letter in program.cannot:
            return Measurement({}, cannot=program.cannot[case.letter])
        directory = self.directory / f"turn{next(self._numbers)}"
        place = Place(directory, self.port, self.origin.port, self.directory)
        began = time.perf_counter()
        try:
            with running(program, case, place) as proxy:
                measure = _MEASURES.get(case.kind, _exchanges)
                if case.streams is not None:
                    measure = _streams
                figures = measure(self, case, proxy, began)
                complaint = proxy.complaint()
        except (ProgramError, UnexpectedDataError, OSError) as error:
            return Measurement({}, reason(error))
        return Measurement({}, complaint) if complaint else Measurement(figures)


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
        generator = stack.enter_context(
            running_generator(
                max(
                    plan.processes,
                    *(case.clients or 1 for case in CASES.values() if case.streams is None),
                )
            )
        )
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
    processes = 1 if case.alone else case.clients or plan.processes
    settings = (case.client, case.size, plan.warm, plan.window, proxy.cipher, case.gzip)
    task = Task(processes, bench.port, *settings)
    before: list[tuple[float, Counts]] = []

    def look() -> None:
        time.sleep(SETTLE_SECONDS)
        before.append((proxy.cpu_seconds(), bench.origin.counts()))

    tally, seconds = bench.generator.run(task, look)
    time.sleep(SETTLE_SECONDS)
    (cpu_before, counts_before), cpu = before[0], proxy.cpu_seconds()
    memory = proxy.memory_kib()
    seen = bench.origin.counts() - counts_before
    if broken := broken_promise(case, tally, seen, processes):
        raise UnexpectedDataError(proxy.complaint() or broken)
    units = tally.exchanges * case.units
    return {
        "rate": units / seconds,
        "cpu": (cpu - cpu_before) / units * 1e6,
        "p50": percentile(tally.latencies, 50) * 1e3,
        "p99": percentile(tally.latencies, 99) * 1e3,
        "memory": memory / 1024,
    }


def _memory(bench: Bench, case: Case, proxy: Running, began: float) -> dict[str, float]:
    """What a thousand connections cost that were each answered once and now idle."""
    warm = load(
        Client(bench.port, Mode.FULL, case.size, proxy.cipher, gzip=case.gzip), bench.plan.warm
    )
    if warm.failure:
        raise UnexpectedDataError(warm.failure)
    before = proxy.memory_kib()
    tally = Tally()
    with contextlib.ExitStack() as stack, patience(MEMORY_SECONDS):
        for _ in range(IDLE_CONNECTIONS):
            client = Client(bench.port, case.client, case.size, proxy.cipher, gzip=case.gzip)
            stack.callback(client.close)
            client.exchange(tally)
        time.sleep(SETTLE_SECONDS)
        after = proxy.memory_kib()
    return {"memory": (after - before) / IDLE_CONNECTIONS}


def _start(bench: Bench, case: Case, proxy: Running, began: float) -> dict[str, float]:
    """From the start of the process to the first answer, handshake included; and what of it is not
    the import of the libraries (a Python alone, with those that sniproxy stands on)."""
    with patience(SOCKET_SECONDS):
        Client(bench.port, case.client, case.size, proxy.cipher, gzip=case.gzip).exchange(Tally())
    start = time.perf_counter() - began
    imports = _bare_imports() if proxy.is_ours else 0.0
    return {"start": start * 1e3, "own": (start - imports) * 1e3}


def _bare_imports() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {LIBRARIES}"], check=True)
    return time.perf_counter() - began


def _streams(bench: Bench, case: Case, proxy: Running, began: float) -> dict[str, float]:
    """Rate, CPU time and latency under h2load. Its connections are part of what is measured, and
    of requests that are under way at the end the proxy may have done a part."""
    assert case.streams is not None
    assert case.clients is not None
    generator, plan = Load(case.clients, case.streams), bench.plan
    run_h2load(generator, bench.port, case.size, max(plan.warm, 1.0))
    time.sleep(SETTLE_SECONDS)
    cpu, counts, started = proxy.cpu_seconds(), bench.origin.counts(), time.perf_counter()
    latencies = run_h2load(generator, bench.port, case.size, max(plan.window, 1.0))
    seconds = time.perf_counter() - started
    time.sleep(SETTLE_SECONDS)
    used, seen = proxy.cpu_seconds() - cpu, bench.origin.counts() - counts
    if complaint := proxy.complaint():
        raise UnexpectedDataError(complaint)
    most = generator.connections * generator.streams
    if not 0 <= seen.answers - len(latencies) <= 2 * most:
        raise UnexpectedDataError(
            f"the origin answered {seen.answers} requests, the client {len(latencies)}"
        )
    # Others may open more connections than there are requests at a time, but not one for each.
    if seen.full > (most if proxy.is_ours else seen.answers // 4) or seen.resumed:
        raise UnexpectedDataError(f"{seen.full} new connections to the origin")
    return {
        "rate": len(latencies) / seconds,
        "cpu": used / seen.answers * 1e6,
        "p50": percentile(latencies, 50) * 1e3,
        "p99": percentile(latencies, 99) * 1e3,
        "memory": proxy.memory_kib() / 1024,
    }


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
    answers = 0 if case.upstream in (Mode.NONE, Mode.CACHED) else exchanges
    if seen.answers != answers:
        return f"the origin answered {seen.answers} requests, not {answers}"
    return _handshakes("upstream", case.upstream, seen.full, seen.resumed, exchanges, processes)


_PROMISED = {  # (full, resumed) handshakes an exchange
    Mode.NONE: (0, 0),
    Mode.CACHED: (0, 0),
    Mode.FULL: (1, 0),
    Mode.RESUMED: (0, 1),
    Mode.KEEPALIVE: (0, 0),
}


def _handshakes(
    side: str, mode: Mode, full: int, resumed: int, exchanges: int, slack: int
) -> str | None:
    """Compares the handshakes of one side with what `mode` promises; up to `slack` may be
    full ones where sessions or connections are used again."""
    expected = tuple(times * exchanges for times in _PROMISED[mode])
    if mode in (Mode.RESUMED, Mode.KEEPALIVE) and full <= slack:
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
