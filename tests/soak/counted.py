"""sniproxy, with the number of its trio tasks in a file: `python -m tests.soak.counted …`.

Every process that runs a loop writes `tasks.PID` into the folder that COUNTS names; the options
are sniproxy's.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import trio

from sniproxy.cli import main

COUNTS = "SOAK_TASK_COUNTS"
"""The variable of the environment."""


class TaskCounter(trio.abc.Instrument):
    """Writes the number of tasks that live into a file, whenever it changes."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self._number = 0

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self._change(1)

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        self._change(-1)

    def _change(self, by: int) -> None:
        self._number += by
        os.pwrite(self._file, b"%010d" % self._number, 0)


def _run(run: object, *args: object, **options: object) -> object:
    counter = TaskCounter(Path(os.environ[COUNTS], f"tasks.{os.getpid()}"))
    assert callable(run)
    return run(*args, instruments=[counter], **options)


if __name__ == "__main__":
    trio.run = partial(_run, trio.run)  # type: ignore[assignment]
    sys.exit(main(sys.argv[1:]))
