"""A second of each fuzz run; `python -m tests.fuzz.NAME --seconds 60` is the real thing."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("name", ["tls", "http", "http2", "proxy_protocol"])
def test_fuzzer_finds_nothing_in_one_second(name: str) -> None:
    command = [sys.executable, "-W", "error", "-m", f"tests.fuzz.{name}", "--seconds", "1"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.splitlines()[-1] == "passed"
    assert not run.stderr
