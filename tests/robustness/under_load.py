"""Run tests of starting and stopping on a busy machine: `python -m tests.robustness.under_load`.

SIGINT is ignored by the parent, as in the background jobs of a shell, both cores are busy, and four
tests run at once, in random order if pytest-randomly is installed; three times. Arguments are those
of pytest, in place of the tests that start, stop and interrupt processes.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack

ROUNDS = 3
TESTS = ("tests/cli", "tests/testing", "tests/test_teardown.py", "tests/test_in_thread.py")


def be_busy() -> None:
    """Use a core until killed."""
    while True:
        pass


def main(arguments: Sequence[str]) -> int:
    """Run the rounds until one fails; returns pytest's exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # child processes inherit it
    order = "randomly"
    if importlib.util.find_spec("pytest_randomly") is None:
        print("!!! NOT IN RANDOM ORDER (pip install pytest-randomly) !!!")
        order = "no:randomly"
    with ExitStack() as stack:
        for _ in range(os.cpu_count() or 1):
            busy = multiprocessing.Process(target=be_busy, daemon=True)
            busy.start()
            stack.callback(busy.kill)
        for number in range(1, ROUNDS + 1):
            print(f"round {number}", flush=True)
            command = [sys.executable, "-m", "pytest", "-q", "-n", "4", "-p", order]
            status = subprocess.run([*command, *(arguments or TESTS)]).returncode
            if status:
                return status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
