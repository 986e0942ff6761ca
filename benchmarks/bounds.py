"""What one request takes, counted and bounded: the table that `tests/benchmarks` holds sniproxy to.

`python -m tests.benchmarks.guard` counts, and prints the rows anew.
"""

from __future__ import annotations

from dataclasses import dataclass

SYSTEM_CALLS = "system_calls"
TASK_STEPS = "task_steps"
H11_EVENTS = "h11_events"
ALLOCATIONS = "allocations"
GARBAGE = "garbage"
CALLS = "calls"
FUNCTIONS = "functions"
FILES = "files"
PACKAGE_CHANGES = "package_changes"
DEPTH = "depth"
INSTRUCTIONS = "instructions"

WORDS = {
    SYSTEM_CALLS: "system calls",
    TASK_STEPS: "steps of tasks: how often trio lets one run until its next wait",
    H11_EVENTS: "events that h11 is given or gives out",
    ALLOCATIONS: "blocks of memory that Python takes and keeps beyond one instruction",
    GARBAGE: "objects that only the cyclic collector can free",
    CALLS: "calls of sniproxy's functions; a coroutine that is resumed counts as called again",
    FUNCTIONS: "functions of sniproxy that are called",
    FILES: "files that they are in",
    PACKAGE_CHANGES: "calls from one package of sniproxy into another",
    DEPTH: "coroutines of sniproxy on the stack at once, at most",
    INSTRUCTIONS: "instructions of the interpreter by callgrind, in thousands",
}

PROFILED = (CALLS, FUNCTIONS, FILES, PACKAGE_CHANGES, DEPTH)
"""Counted by a profile function."""

MARGIN = 1.1
"""How far above the measured value a bound may be."""

PYTHON = (3, 11)
"""Where allocations were measured: another one takes memory in other portions."""


@dataclass(frozen=True, slots=True)
class Bound:
    """How much of what one request may take, in `a` and `c` with the connection that it has for
    itself."""

    case: str
    count: str
    before: float
    """Before the request path was re-cut, for `h2` before its decoding was."""
    measured: float
    bound: float
    """At most `MARGIN` above what was measured."""


BOUNDS = (
    Bound("a", "system_calls", 43.0, 43.0, 47.3),
    Bound("a", "task_steps", 5.0, 5.0, 5.5),
    Bound("a", "h11_events", 0.0, 0.0, 0.0),
    Bound("a", "allocations", 746.6, 609.1, 670.0),
    Bound("a", "garbage", 0.0, 0.0, 0.0),
    Bound("a", "calls", 220.0, 141.0, 155.1),
    Bound("a", "functions", 161.0, 108.0, 118.8),
    Bound("a", "files", 41.0, 32.0, 35.2),
    Bound("a", "package_changes", 94.0, 77.0, 84.7),
    Bound("a", "depth", 12.0, 7.0, 7.7),
    Bound("a", "instructions", 755.9, 649.1, 714.0),
    Bound("c", "system_calls", 83.0, 82.0, 90.2),
    Bound("c", "task_steps", 8.0, 8.0, 8.8),
    Bound("c", "h11_events", 0.0, 0.0, 0.0),
    Bound("c", "allocations", 1246.0, 977.3, 1075.0),
    Bound("c", "garbage", 0.0, 0.0, 0.0),
    Bound("c", "calls", 390.9, 222.0, 244.2),
    Bound("c", "functions", 226.0, 132.0, 145.2),
    Bound("c", "files", 51.0, 30.0, 33.0),
    Bound("c", "package_changes", 165.1, 124.0, 136.4),
    Bound("c", "depth", 21.0, 10.0, 11.0),
    Bound("c", "instructions", 1271.6, 1054.8, 1160.2),
    Bound("e", "system_calls", 53.0, 52.0, 57.2),
    Bound("e", "task_steps", 6.0, 6.0, 6.6),
    Bound("e", "h11_events", 0.0, 0.0, 0.0),
    Bound("e", "allocations", 1049.6, 800.6, 880.6),
    Bound("e", "garbage", 0.0, 0.0, 0.0),
    Bound("e", "calls", 314.0, 177.0, 194.7),
    Bound("e", "functions", 222.0, 131.0, 144.1),
    Bound("e", "files", 49.0, 30.0, 33.0),
    Bound("e", "package_changes", 129.1, 94.0, 103.4),
    Bound("e", "depth", 19.0, 10.0, 11.0),
    Bound("e", "instructions", 1060.5, 862.4, 948.6),
    Bound("f", "system_calls", 15.0, 13.0, 14.3),
    Bound("f", "task_steps", 2.0, 2.0, 2.2),
    Bound("f", "h11_events", 0.0, 0.0, 0.0),
    Bound("f", "allocations", 546.2, 322.7, 354.9),
    Bound("f", "garbage", 0.0, 0.0, 0.0),
    Bound("f", "calls", 216.1, 93.0, 102.3),
    Bound("f", "functions", 168.0, 73.0, 80.3),
    Bound("f", "files", 44.0, 25.0, 27.5),
    Bound("f", "package_changes", 81.0, 48.0, 52.8),
    Bound("f", "depth", 19.0, 10.0, 11.0),
    Bound("f", "instructions", 568.1, 371.0, 408.1),
    Bound("h2", "system_calls", 16.0, 16.0, 17.6),
    Bound("h2", "task_steps", 4.0, 4.0, 4.4),
    Bound("h2", "allocations", 1299.2, 1061.3, 1167.4),
    Bound("h2", "garbage", 24.0, 0.0, 0.0),
    Bound("h2", "calls", 189.2, 190.2, 209.2),
    Bound("h2", "functions", 147.0, 152.0, 167.2),
    Bound("h2", "files", 33.0, 33.0, 36.3),
    Bound("h2", "package_changes", 63.0, 65.0, 71.5),
    Bound("h2", "depth", 11.0, 11.0, 12.1),
    Bound("h2", "instructions", 1405.0, 1116.4, 1228.0),
)
