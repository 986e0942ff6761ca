"""Conversations step by step, for what depends on who speaks first.

Both neighbours of a proxy may have a script; where one waits for the other beside the wire,
they give each other cues.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import trio

from sniproxy.testing.wire import Channel


@dataclass(frozen=True, slots=True)
class Say:
    """Send these bytes."""

    text: str


@dataclass(frozen=True, slots=True)
class Hear:
    """Read until this has come."""

    text: str


@dataclass(frozen=True, slots=True)
class Cue:
    """Let the other one go on that waits for the cue."""

    name: str


@dataclass(frozen=True, slots=True)
class Await:
    """Wait for a cue of the other one."""

    name: str


Step = Say | Hear | Cue | Await


class Cues:
    """The cues of one scenario."""

    def __init__(self) -> None:
        self._events: defaultdict[str, trio.Event] = defaultdict(trio.Event)

    def give(self, name: str) -> None:
        self._events[name].set()

    async def wait(self, name: str) -> None:
        """Wait for a cue, which is used up by that."""
        await self._events[name].wait()
        del self._events[name]

    def clear(self) -> None:
        """Forget all; for the next scenario."""
        self._events.clear()


async def play(
    steps: Iterable[Step],
    channel: Channel,
    cues: Cues,
    heard: Callable[[bytes], None],
    first: bytes = b"",
) -> bytes:
    """Go through `steps`, or as far as the other side stays; what has come beyond them is left.

    `heard` is told of what was waited for, with all before it. `first` has come already.
    """
    pending = first
    for step in steps:
        match step:
            case Say(text):
                await channel.send(text.encode("latin-1"))
            case Hear(text):
                wanted = text.encode("latin-1")
                while wanted not in pending:
                    data = await channel.read()
                    if not data:
                        heard(pending)
                        return b""
                    pending += data
                end = pending.index(wanted) + len(wanted)
                heard(pending[:end])
                pending = pending[end:]
            case Cue(name):
                cues.give(name)
            case Await(name):
                await cues.wait(name)
    return pending
