"""Server-sent events of the live page, for readers that are too slow."""

from __future__ import annotations

import json

import trio
import trio.testing

from sniproxy.live.events import EventStream
from sniproxy.live.ring import Ring


def parsed(data: bytes) -> list[tuple[str, object]]:
    events = []
    for block in data.decode("ascii").strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        events.append((fields["event"], json.loads(fields["data"])))
    return events


async def test_a_slow_reader_gets_the_number_of_lost_entries(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ring = Ring(most=3)
    stream = EventStream(ring, 0, lambda: None)
    assert parsed(await stream.read())[0][0] == "hello"
    ring.add({"n": 1}, {})
    assert [name for name, _ in parsed(await stream.read())] == ["rows"]
    for number in range(2, 11):
        ring.add({"n": number}, {})
    lost, rows = parsed(await stream.read())
    assert lost == ("lost", {"number": 6})
    assert rows == ("rows", [{"id": number, "n": number} for number in (8, 9, 10)])
