"""The entries of the live page: a bounded number, of bounded size, the oldest lost first."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..portal import ChangeNotifier

MAX_ENTRIES = 2000
MAX_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class LiveEntry:
    """What was recorded of a request, or of a connection without one."""

    number: int
    """From 1; the order in which entries were added."""
    row: bytes
    """JSON of what the list shows, without secrets."""
    detail: bytes
    """JSON of all of it, with secrets."""

    @property
    def size(self) -> int:
        return len(self.row) + len(self.detail)


class Ring:
    """The last entries, by number."""

    def __init__(self, most: int = MAX_ENTRIES, most_bytes: int = MAX_BYTES) -> None:
        self.name = ""
        """Differs from that of any other ring: numbers of another one mean nothing here."""
        self.rename()
        self.last = 0
        """Number of the newest entry; 0 if there was none."""
        self.size = 0
        """Bytes of all entries."""
        self.changes = ChangeNotifier()
        self._most, self._most_bytes = most, most_bytes
        self._entries: dict[int, LiveEntry] = {}

    def rename(self) -> None:
        """Give the ring another name, after a fork that copied it."""
        self.name = secrets.token_hex(4)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, row: Mapping[str, Any], detail: Mapping[str, Any]) -> LiveEntry:
        """Add an entry; older ones are dropped if there are too many, or they are too large."""
        self.last += 1
        entry = LiveEntry(self.last, dump({"id": self.last, **row}), dump(detail))
        if entry.size > self._most_bytes:
            entry = LiveEntry(entry.number, entry.row, dump({}))
        self._entries[entry.number] = entry
        self.size += entry.size
        while len(self._entries) > self._most or self.size > self._most_bytes:
            self.size -= self._entries.pop(next(iter(self._entries))).size
        self.changes.notify()
        return entry

    def get(self, number: int) -> LiveEntry | None:
        """An entry; None if it was dropped, or never existed."""
        return self._entries.get(number)

    def after(self, number: int) -> Iterator[LiveEntry]:
        """The entries that follow `number`, the oldest first."""
        first = max(number + 1, self.first)
        return (self._entries[position] for position in range(first, self.last + 1))

    @property
    def first(self) -> int:
        """Number of the oldest entry; that of the next one, if there is none."""
        return next(iter(self._entries), self.last + 1)


def dump(value: object) -> bytes:
    """JSON in one line of ASCII characters."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")
