"""Server-sent events: the rows of new entries, in the order in which they were added."""

from __future__ import annotations

from collections.abc import Callable

import trio

from .ring import Ring, dump

PAUSE = 0.1
"""Seconds between two events at least: what comes meanwhile is in one event."""
PING = 15.0
"""Seconds after which a comment is sent, so that a browser that has gone is noticed."""
MOST_ROWS = 250
"""Rows of one event."""


class EventStream:
    """The body of a response of server-sent events. A slow reader misses entries that the ring has
    dropped, and is informed of their number."""

    def __init__(self, ring: Ring, after: int, on_end: Callable[[], None]) -> None:
        self._ring = ring
        self._position = after
        self._on_end: Callable[[], None] | None = on_end
        self._has_begun = False

    async def read(self) -> bytes:
        """The next events."""
        ring = self._ring
        if not self._has_begun:
            self._has_begun = True
            return event("hello", dump({"ring": ring.name, "last": ring.last}))
        if self._position >= ring.last:
            with trio.move_on_after(PING):
                await ring.changes.until(lambda: ring.last > self._position)
        await trio.sleep(PAUSE)
        if self._position >= ring.last:
            return b": still here\n\n"
        data = b""
        lost = max(ring.first - self._position - 1, 0)
        if lost:
            data = event("lost", dump({"number": lost}))
            self._position += lost
        rows = []
        for entry in ring.after(self._position):
            rows.append(entry.row)
            self._position = entry.number
            if len(rows) == MOST_ROWS:
                break
        return data + event("rows", b"[" + b",".join(rows) + b"]", self._position)

    def discard(self) -> None:
        """The browser has gone."""
        if self._on_end is not None:
            self._on_end()
            self._on_end = None


def event(name: str, data: bytes, number: int | None = None) -> bytes:
    """One event; `data` has no line breaks."""
    identifier = b"" if number is None else b"id: %d\n" % number
    return b"event: %s\n%sdata: %s\n\n" % (name.encode("ascii"), identifier, data)
