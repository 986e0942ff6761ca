"""sniproxy with counters: `python -m tests.benchmarks.counting SOCKET [OPTION] …`.

A program that connects to the Unix socket SOCKET gets the `Counts` so far, as JSON. With
`--allocations` blocks of memory are counted, with `--profile` calls of sniproxy's functions (since
the connection before). What follows is sniproxy's own command line. Time is not counted: on a busy
machine the counts are the same.
"""

from __future__ import annotations

import gc
import json
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from types import FrameType
from typing import Any

import h11
import trio

from sniproxy.cli import main
from tests.benchmarks.request_path import Calls

ALLOCATIONS, PROFILE = "--allocations", "--profile"


@dataclass(slots=True)
class Counts:
    """All since the start."""

    task_steps: int = 0
    """How often trio let a task run until its next wait."""
    h11_events: int = 0
    """Events that h11 was given or gave out."""
    allocations: int = 0
    """Blocks of memory that Python took: those that outlived the instruction (of the byte code)
    which took them, since what is given back at once cannot be seen from Python."""
    garbage: int = 0
    """Objects that only the cyclic collector can free."""
    calls: int = 0
    functions: int = 0
    files: int = 0
    package_changes: int = 0
    depth: int = 0


class Steps(trio.abc.Instrument):
    """Counts those of tasks, from when the proxy serves; with `watch_allocations` not before, since
    that makes everything slow."""

    def __init__(self, counts: Counts, option: str) -> None:
        self._counts = counts
        self._option = option
        self.calls = Calls()

    def before_run(self) -> None:
        if self._option == ALLOCATIONS:
            watch_allocations(self._counts)
        elif self._option == PROFILE:
            sys.setprofile(self._note)

    def _note(self, frame: FrameType, event: str, arg: object) -> None:
        self.calls.note(frame, event, arg)

    def take_calls(self) -> None:
        """Move what was profiled since the last time into the counts."""
        calls, self.calls = self.calls, Calls()
        counts = self._counts
        counts.calls, counts.package_changes = calls.calls, calls.package_changes
        counts.functions, counts.files = len(calls.functions), len(calls.files)
        counts.depth = calls.depth

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._counts.task_steps += 1


def watch_h11(counts: Counts) -> None:
    def counted(method: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object) -> object:
            counts.h11_events += 1
            return method(*args)

        return call

    for name in ("next_event", "send_with_data_passthrough"):  # `send` calls the latter
        setattr(h11.Connection, name, counted(getattr(h11.Connection, name)))


def watch_allocations(counts: Counts) -> None:
    """Look at the number of blocks behind each instruction of this thread."""
    before = sys.getallocatedblocks()

    def look(frame: FrameType, event: str, arg: object) -> Callable[..., Any]:
        nonlocal before
        now = sys.getallocatedblocks()
        if now > before:
            counts.allocations += now - before
        before = now
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return look

    sys.settrace(look)


def report(listening: socket.socket, counts: Counts, steps: Steps) -> None:
    while True:
        asking, _ = listening.accept()
        with asking:
            steps.take_calls()
            counts.garbage += gc.collect()
            asking.sendall(json.dumps(asdict(counts)).encode())


def ask(path: str) -> Mapping[str, int]:
    """The fields of the `Counts` of the program whose SOCKET is `path`."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(path)
        counts: Mapping[str, int] = json.loads(asking.recv(4096))
        return counts


def serve(path: str, *words: str) -> int:
    counts = Counts()
    gc.disable()  # what has to be collected is counted, by `tell`
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
    option = words[0] if words[0] in (ALLOCATIONS, PROFILE) else ""
    steps = Steps(counts, option)
    threading.Thread(target=report, args=(listening, counts, steps), daemon=True).start()
    watch_h11(counts)
    trio.run = partial(trio.run, instruments=[steps])  # type: ignore[assignment]
    return main(words[bool(option) :])


if __name__ == "__main__":
    sys.exit(serve(*sys.argv[1:]))
