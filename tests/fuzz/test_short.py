"""A second of each fuzz run; `python -m tests.fuzz NAME --seconds 60` is the real thing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.fuzz import engine
from tests.fuzz.engine import run_randomly
from tests.fuzz.targets import TARGETS, Target

SECONDS, EXECUTIONS = 1.0, 2_000


@pytest.mark.parametrize("name", ["tls", "http", "http2", "proxy_protocol"])
def test_fuzzer_finds_nothing_in_one_second(name: str) -> None:
    command = [sys.executable, "-W", "error", "-m", "tests.fuzz", name, "--seconds", "1"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.splitlines()[-1] == "passed"
    assert not run.stderr


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.filterwarnings("ignore::passlib.exc.PasslibHashWarning")
def test_parser_has_its_properties_for_mutations_of_the_corpus(name: str) -> None:
    report = run_randomly(TARGETS[name], 1, seconds=SECONDS, executions=EXECUTIONS)
    assert report.finding is None, f"{report.finding.data!r}\n{report.finding.report}"
    assert report.executions >= len(TARGETS[name].seeds()) > 0


def test_findings_are_reported() -> None:
    def refuse(data: bytes) -> None:
        assert b"x" not in data

    seeds = Target("etags", refuse)
    report = run_randomly(seeds, 1, seconds=5)
    assert report.finding is not None
    assert b"x" in report.finding.data
    assert "AssertionError" in report.finding.report


def test_slow_parser_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SECONDS", -1)
    report = run_randomly(Target("etags", len), 1, seconds=5)
    assert report.finding is not None
    assert "TooSlowError" in report.finding.report
