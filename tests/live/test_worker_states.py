"""The states that workers send to the one that serves the live page."""

from __future__ import annotations

import trio
import trio.testing

from sniproxy.live.worker_states import VALID_FOR, WorkerState, WorkerStates


def state(index: int, process: int) -> WorkerState:
    return WorkerState(index, process, is_ending=False, upstreams=[])


def test_the_last_state_of_each_process_is_present_until_it_is_too_old() -> None:
    now = 0.0
    states = WorkerStates(lambda: now)
    states.add(state(2, 12))
    now = VALID_FOR
    states.add(state(1, 11))
    states.add(state(1, 10))
    assert [one.process for one in states.present()] == [10, 11, 12]
    now += 0.1
    assert [one.process for one in states.present()] == [10, 11]


async def test_states_of_all_workers_are_waited_for() -> None:
    states = WorkerStates()
    async with trio.open_nursery() as nursery:
        found: list[WorkerState] = []

        async def wait() -> None:
            found.extend(await states.of([1, 2], 60.0))

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        states.add(state(1, 11))
        await trio.testing.wait_all_tasks_blocked()
        assert found == []
        states.add(state(2, 12))
    assert found == [state(1, 11), state(2, 12)]


async def test_a_worker_that_does_not_answer_is_left_out() -> None:
    states = WorkerStates()
    states.add(state(1, 11))
    assert await states.of([1, 2], 0.0) == [state(1, 11)]
