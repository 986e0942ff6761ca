"""The states of upstreams in the workers: the last one of each, while they send them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from typing import Any

import trio

from ..portal import ChangeNotifier

VALID_FOR = 2.0
"""Seconds after which the state of a worker that sends no more is dropped."""


@dataclass(frozen=True, slots=True)
class WorkerState:
    """The upstreams of one worker, as it sees them."""

    index: int
    """Number of the worker, from 0."""
    process: int
    is_ending: bool
    """Whether it only finishes what it has begun, after a reload."""
    upstreams: list[dict[str, Any]]

    def value(self) -> dict[str, Any]:
        return asdict(self)


class WorkerStates:
    """The states that other workers have sent."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._states: dict[int, tuple[float, WorkerState]] = {}
        self._changes = ChangeNotifier()

    def add(self, state: WorkerState) -> None:
        """Note what a worker has sent."""
        self._states[state.process] = self._clock(), state
        self._changes.notify()

    def present(self) -> list[WorkerState]:
        """The states of all workers that still send them, in the order of the workers."""
        now = self._clock()
        self._states = {
            process: found for process, found in self._states.items() if now - found[0] <= VALID_FOR
        }
        states = [state for _, state in self._states.values()]
        return sorted(states, key=lambda one: (one.index, one.process))

    async def of(self, indices: Collection[int], patience: float) -> list[WorkerState]:
        """The states once there is one of each of these workers, or after `patience` seconds."""
        wanted = set(indices)

        def complete() -> bool:
            return wanted <= {one.index for one in self.present()}

        with trio.move_on_after(patience):
            await self._changes.until(complete)
        return self.present()
