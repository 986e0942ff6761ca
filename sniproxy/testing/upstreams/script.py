"""Scripts: connections driven step by step, where the order of events matters.

The client and the upstream of a proxy may both have a script. Where one has to wait for the
other without data being sent, they synchronize by named signals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import trio

from sniproxy.testing.streams import ByteStream


@dataclass(frozen=True, slots=True)
class Send:
    """Send these bytes."""

    text: str


@dataclass(frozen=True, slots=True)
class Expect:
    """Read until this text has been received."""

    text: str


@dataclass(frozen=True, slots=True)
class Signal:
    """Set a signal that the other script waits for."""

    name: str


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Wait for a signal that the other script sets."""

    name: str


Step = Send | Expect | Signal | WaitFor


class Signals:
    """Named events that the scripts of one scenario share."""

    def __init__(self) -> None:
        self._events: defaultdict[str, trio.Event] = defaultdict(trio.Event)

    def set(self, name: str) -> None:
        self._events[name].set()

    async def wait(self, name: str) -> None:
        """Wait until a signal is set, then reset it."""
        await self._events[name].wait()
        del self._events[name]

    def clear(self) -> None:
        """Reset all signals."""
        self._events.clear()


async def run_script(
    steps: Iterable[Step],
    channel: ByteStream,
    signals: Signals,
    received: Callable[[bytes], None],
    first: bytes = b"",
) -> bytes:
    """Run `steps` until they are done or the other side closes; return the unused bytes received.

    `received` is called with the bytes that each `Expect` consumes. `first` are bytes that were
    read from the channel before.
    """
    pending = first
    for step in steps:
        match step:
            case Send(text):
                await channel.send(text.encode("latin-1"))
            case Expect(text):
                wanted = text.encode("latin-1")
                while wanted not in pending:
                    data = await channel.read()
                    if not data:
                        received(pending)
                        return b""
                    pending += data
                end = pending.index(wanted) + len(wanted)
                received(pending[:end])
                pending = pending[end:]
            case Signal(name):
                signals.set(name)
            case WaitFor(name):
                await signals.wait(name)
    return pending
