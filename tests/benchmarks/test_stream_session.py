"""What a session of `stream {}` costs, counted: `python -m benchmarks --case stream` has times."""

from __future__ import annotations

import multiprocessing
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.measure import free_port
from benchmarks.streams import origin_server, serving
from tests.benchmarks.counting import PROFILE, ask

WARM, SESSIONS = 20, 40
BOUNDS = {"calls": 136, "task_steps": 5.6, "garbage": 0}
"""At most so many for a session by SNI that exchanges a byte; a tenth above what was counted."""
SYSTEM_CALLS = 30


@pytest.fixture(scope="module")
def origin() -> Iterator[int]:
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=origin_server, args=(port,))
    process.start()
    yield port
    process.kill()
    process.join()


def test_counts_of_a_session(origin: int, tmp_path: Path) -> None:
    path = str(tmp_path / "counts")
    command = (sys.executable, "-m", "tests.benchmarks.counting", path, PROFILE)
    with serving(command, origin) as served:
        for _ in range(WARM):
            served.open().close()
        before = ask(path)
        for _ in range(SESSIONS):
            served.open().close()
        after = ask(path)
    # Calls are counted anew since the first time.
    found = {"calls": after["calls"] / SESSIONS}
    for name in ("task_steps", "garbage"):
        found[name] = (after[name] - before[name]) / SESSIONS
    assert all(found[name] <= bound for name, bound in BOUNDS.items()), found


@pytest.mark.needs("strace")
def test_system_calls_of_a_session(origin: int, tmp_path: Path) -> None:
    report = tmp_path / "strace"
    command = ("strace", "-f", "-o", str(report), sys.executable, "-m", "sniproxy")
    with serving(command, origin) as served:
        for _ in range(WARM):
            served.open().close()
        served.signal(signal.SIGURG)
        for _ in range(SESSIONS):
            served.open().close()
        served.signal(signal.SIGURG)
        served.open().close()
    _, during, _ = report.read_text().split("--- SIGURG ")
    calls = re.findall(r"^\d+ +(\w+)\(", during, re.MULTILINE)
    assert len(calls) / SESSIONS <= SYSTEM_CALLS, sorted(calls)
