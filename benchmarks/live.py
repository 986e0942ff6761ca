"""`python -m benchmarks --live [--quick] [--case a,c,f]`: what the live page costs.

sniproxy without the page, with it and no reader, and with one reader of its events take turns at
each case. The figures are the lowest CPU time of all rounds, since other load of the machine only
adds to it, and counted calls of sniproxy's functions. The exit status is 1 if the page costs more
than a twentieth unread.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from benchmarks.bounds import CALLS
from benchmarks.cases import CASES, Case
from benchmarks.discovery import openssl_version
from benchmarks.measure import Plan, Round, bench, free_port
from benchmarks.programs import Family, Place, Program, nginx_like
from benchmarks.wire import HOST

DEFAULT_CASES = "a,c,f"
MOST = 1.05
"""At most so many times the figure without the page."""
QUICK = Plan(rounds=7, warm=0.3, window=0.8, peer_rounds=7, memory_rounds=1)
THOROUGH = Plan(rounds=15, warm=0.5, window=2.0, peer_rounds=15, memory_rounds=1)
WITHOUT, UNREAD, READ = "without", "no reader", "one reader"


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    compared = programs(free_port())
    plan = QUICK if arguments.quick else THOROUGH
    print(f"CPU time: the lowest of {plan.rounds} rounds; × is the ratio to that without the page")
    too_dear = []
    with bench(plan) as stand:
        for case in arguments.case:
            rounds = stand.rounds(case, compared)
            if problem := problem_of(rounds):
                print(f"{case.letter} {case.title}: invalid: {problem}")
                too_dear.append(case.letter)
                continue
            figures = lowest(rounds)
            print(line(case, f"CPU µs a {case.kind.unit}", figures), flush=True)
            if figures[UNREAD] > figures[WITHOUT] * MOST:
                too_dear.append(case.letter)
    for case, figures in _counted(arguments.case):
        print(line(case, "calls of functions", figures), flush=True)
        if figures[UNREAD] > figures[WITHOUT] * MOST:
            too_dear.append(case.letter)
    if too_dear:
        print(f"more than {MOST} times, or invalid: {', '.join(dict.fromkeys(too_dear))}")
    return int(bool(too_dear))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks --live", description="the cost of the live page"
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--case", type=_cases, default=DEFAULT_CASES, metavar=DEFAULT_CASES)
    return parser


def _cases(text: str) -> list[Case]:
    unknown = [letter for letter in text.split(",") if letter not in CASES]
    if unknown:
        raise argparse.ArgumentTypeError(f"no case {unknown[0]}; there are {', '.join(CASES)}")
    return [CASES[letter] for letter in text.split(",")]


def programs(port: int) -> list[Program]:
    argv = (sys.executable, "-m", "sniproxy")
    with_page = nginx_like((*argv, f"--live={HOST}:{port}"))
    version = openssl_version()

    def reader(_: Place) -> contextlib.AbstractContextManager[object]:
        return _reader(port)

    return [
        Program(WITHOUT, version, Family.OURS, nginx_like(argv)),
        Program(UNREAD, version, Family.OURS, with_page),
        Program(READ, version, Family.OURS, with_page, beside=reader),
    ]


@contextlib.contextmanager
def _reader(port: int) -> Iterator[None]:
    """Read the events of the page in a thread, as a browser does, until the block ends."""
    with socket.create_connection((HOST, port)) as sock:
        head = f"GET /api/events HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n"
        sock.sendall(head.encode("ascii"))
        if not sock.recv(65536).startswith(b"HTTP/1.1 200 "):
            raise OSError("the live page sends no events")
        thread = threading.Thread(target=_read_all, args=(sock,))
        thread.start()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            thread.join()


def _read_all(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while sock.recv(1 << 20):
            pass


def problem_of(rounds: Sequence[Round]) -> str | None:
    """Why a figure is invalid; None if all are valid."""
    for measured in rounds:
        for name, measurement in measured.items():
            if measurement.invalid or measurement.cannot:
                return f"{name}: {measurement.invalid or measurement.cannot}"
    return None


def lowest(rounds: Sequence[Round]) -> dict[str, float]:
    """The lowest CPU time of each program."""
    return {
        name: min(one[name].figures["cpu"] for one in rounds) for name in (WITHOUT, UNREAD, READ)
    }


def line(case: Case, what: str, figures: Mapping[str, float]) -> str:
    """The figures of a case in one line, with their ratios to that without the page."""
    parts = (
        f"{name} {value:,.1f} (×{value / figures[WITHOUT]:.3f})" for name, value in figures.items()
    )
    return f"{case.letter} {case.title}, {what}: {', '.join(parts)}"


def _counted(cases: Sequence[Case]) -> Iterator[tuple[Case, dict[str, float]]]:
    """The calls for one exchange, without the page and with it unread."""
    from tests.benchmarks.guard import stand as counting_stand  # which imports much of this package

    with counting_stand() as plain:
        for case in cases:
            page = replace(plain, arguments=(f"--live={HOST}:{free_port()}",), _own={})
            counts = {
                one: where.measured(case.letter, CALLS)
                for one, where in ((WITHOUT, plain), (UNREAD, page))
            }
            yield case, counts
