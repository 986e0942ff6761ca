"""sniproxy with counters: `python -m tests.benchmarks.counting SOCKET [--allocations] …`.

What follows is sniproxy's own command line. Whoever connects to the Unix socket SOCKET gets the
`Counts` so far, as JSON. Time is not among them: on a busy machine they are the same.
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


class Steps(trio.abc.Instrument):
    """Counts those of tasks, from when the proxy serves; with `watch_allocations` not before, since
    that makes everything slow."""

    def __init__(self, counts: Counts, allocations: bool) -> None:
        self._counts = counts
        self._allocations = allocations

    def before_run(self) -> None:
        if self._allocations:
            watch_allocations(self._counts)

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


def tell(listening: socket.socket, counts: Counts) -> None:
    while True:
        asking, _ = listening.accept()
        with asking:
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
    threading.Thread(target=tell, args=(listening, counts), daemon=True).start()
    watch_h11(counts)
    allocations = words[0] == "--allocations"
    trio.run = partial(trio.run, instruments=[Steps(counts, allocations)])  # type: ignore[assignment]
    return main(words[allocations:])


if __name__ == "__main__":
    sys.exit(serve(*sys.argv[1:]))
