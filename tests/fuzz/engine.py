"""Run a target: with random mutations of its corpus, or guided by coverage.

Guidance is that of libFuzzer through atheris, which instruments the bytecode of sniproxy; it is no
part of the test extra (`pip install atheris`). libFuzzer ends its process, so it runs in another.
"""

from __future__ import annotations

import importlib.util
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.mutation import spoilt
from tests.fuzz.targets.target import CORPUS, Target

LONGEST = 4096
"""Bytes of an input."""
SECONDS, SECONDS_PER_BYTE = 0.2, 0.0002
"""CPU time that an input may take: far more than any needs, and far less than what grows with the
square of its length."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An input that violates a property."""

    data: bytes
    report: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a run has done."""

    name: str
    executions: int
    seconds: float
    coverage: int | None = None
    """Edges that were reached; None if the run was not guided."""
    finding: Finding | None = None


class TooSlowError(Exception):
    """An input takes too much time."""


def check(target: Target, data: bytes) -> None:
    """Check the properties of a target for an input, and its time. Raises whatever is wrong."""
    limit = SECONDS + SECONDS_PER_BYTE * len(data)
    started = time.thread_time()
    target.check(data)
    if time.thread_time() - started > limit:
        # Once more: a garbage collection or a first import may have been part of it.
        started = time.thread_time()
        target.check(data)
        if (taken := time.thread_time() - started) > limit:
            raise TooSlowError(f"{taken:.2f} s for {len(data)} bytes")


def run_randomly(target: Target, seed: int, *, seconds: float, executions: int = 1 << 62) -> Report:
    """Check the corpus, and mutations of it until time or executions are over."""
    chance = random.Random(f"{target.name} {seed}")
    seeds = target.seeds()
    started = time.monotonic()
    done = 0
    while done < len(seeds) or (done < executions and time.monotonic() - started < seconds):
        data = seeds[done] if done < len(seeds) else mutated(seeds, chance)
        done += 1
        if (finding := _finding(target, data)) is not None:
            return Report(target.name, done, time.monotonic() - started, finding=finding)
    return Report(target.name, done, time.monotonic() - started)


def mutated(seeds: list[bytes], chance: random.Random) -> bytes:
    """A mutation of one of the seeds, or of the beginning of one and the end of another."""
    data = chance.choice(seeds)
    if chance.random() < 0.2:
        other = chance.choice(seeds)
        data = data[: chance.randint(0, len(data))] + other[chance.randint(0, len(other)) :]
    return spoilt(data, chance)[:LONGEST]


def _finding(target: Target, data: bytes) -> Finding | None:
    try:
        check(target, data)
    except Exception:
        return Finding(data, traceback.format_exc())
    return None


def can_be_guided() -> bool:
    """Whether atheris is installed."""
    return importlib.util.find_spec("atheris") is not None


_DONE = re.compile(r"#(\d+)\s+(?:DONE|INITED|NEW|pulse|REDUCE|RELOAD)\s+cov: (\d+)")


def run_guided(target: Target, seed: int, *, seconds: float) -> Report:
    """Let libFuzzer run in a process of its own, beginning with the corpus."""
    with tempfile.TemporaryDirectory() as folder:
        found, crashes = Path(folder, "found"), Path(folder, "crashes")
        found.mkdir()
        crashes.mkdir()
        command = [
            *(sys.executable, "-m", "tests.fuzz.guided", target.name, str(found)),
            *(str(CORPUS / target.name), f"-max_total_time={max(1, round(seconds))}"),
            *(f"-seed={seed % (1 << 32) or 1}", f"-max_len={LONGEST}", "-rss_limit_mb=2048"),
            f"-artifact_prefix={crashes}/",
        ]
        started = time.monotonic()
        run = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        taken = time.monotonic() - started
        numbers = _DONE.findall(run.stderr)
        executions, coverage = map(int, numbers[-1]) if numbers else (0, 0)
        finding = None
        if run.returncode:
            inputs = [path.read_bytes() for path in crashes.iterdir()]
            finding = Finding(inputs[0] if inputs else b"", _report(run.stdout + run.stderr))
        if (folder_of_inputs := os.environ.get("FUZZ_FOUND")) is not None:
            _copy(found, Path(folder_of_inputs, target.name))
        return Report(target.name, executions, taken, coverage, finding)


def _copy(found: Path, folder: Path) -> None:
    """Copy the inputs that have reached something new."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in found.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())


def _report(output: str) -> str:
    """The traceback in the output of libFuzzer."""
    title = "=== Uncaught Python exception: ==="
    start = output.find(title)
    end = output.find("==", start + len(title))
    return output[start : end if end > 0 else None] if start >= 0 else output[-3000:]
