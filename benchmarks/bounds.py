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

WORDS = {
    SYSTEM_CALLS: "system calls",
    TASK_STEPS: "steps of tasks: how often trio lets one run until its next wait",
    H11_EVENTS: "events that h11 is given or gives out",
    ALLOCATIONS: "blocks of memory that Python takes and keeps beyond one instruction",
    GARBAGE: "objects that only the cyclic collector can free",
}

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
    """Before the work on speed."""
    measured: float
    bound: float
    """At most `MARGIN` above what was measured."""


BOUNDS = (
    Bound("a", "system_calls", 45.1, 43.0, 47.3),
    Bound("a", "task_steps", 5.0, 5.0, 5.5),
    Bound("a", "h11_events", 0.0, 0.0, 0.0),
    Bound("a", "allocations", 1028.2, 746.6, 821.2),
    Bound("a", "garbage", 32.0, 0.0, 0.0),
    Bound("c", "system_calls", 89.1, 83.0, 91.3),
    Bound("c", "task_steps", 9.0, 8.0, 8.8),
    Bound("c", "h11_events", 0.0, 0.0, 0.0),
    Bound("c", "allocations", 1811.9, 1246.3, 1370.9),
    Bound("c", "garbage", 40.0, 0.0, 0.0),
    Bound("f", "system_calls", 15.0, 15.0, 16.5),
    Bound("f", "task_steps", 2.0, 2.0, 2.2),
    Bound("f", "h11_events", 0.0, 0.0, 0.0),
    Bound("f", "allocations", 782.4, 545.1, 599.6),
    Bound("f", "garbage", 26.0, 0.0, 0.0),
)
