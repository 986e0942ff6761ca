"""Explanations counted: by cause, upstream and name, in constant memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .catalogue import Cause, Sign, catalogue
from .explaining import Explainer, Explanation
from .fields import UPSTREAM
from .records import Reader, Record

MOST_GROUPS = 256
"""Beyond so many groups, lines are counted by their causes alone."""
LONGEST_EXAMPLE = 2_048
LONGEST_NAME = 256


@dataclass(slots=True, eq=False)
class Group:
    """Lines that mean the same, about the same upstream and name."""

    side: str
    sign: Sign
    upstream: str
    """`https://203.0.113.240:443`; "" if the lines name none, or several are counted as one."""
    address: str
    """Its host:port."""
    name: str
    server: str
    line: str
    """The first of the lines, from the message on."""
    merged: bool = False
    """Several upstreams or names, which were too many to be told apart."""
    count: int = 0
    first: str | None = None
    """Earliest time; None where no line has one."""
    last: str | None = None
    after: list[Group] = field(default_factory=list)
    """What a line that is a consequence is likely a consequence of: groups met before it."""

    @property
    def causes(self) -> tuple[Cause, ...]:
        return self.sign.causes

    @classmethod
    def of(cls, explanation: Explanation) -> Group:
        """The group of one line (as `told` and `as_value` take it)."""
        group = group_of(explanation)
        group.add(explanation.record.time)
        return group

    def add(self, time: str | None) -> None:
        self.count += 1
        if time is not None:
            if self.first is None or time < self.first:
                self.first = time
            if self.last is None or time > self.last:
                self.last = time


def group_of(explanation: Explanation) -> Group:
    """A group that is to hold this line, and still counts none."""
    upstream = explanation.upstream
    return Group(
        side=explanation.side,
        sign=explanation.sign,
        upstream=str(upstream)[:LONGEST_NAME] if upstream else "",
        address=upstream.address[:LONGEST_NAME] if upstream else "",
        name=explanation.name[:LONGEST_NAME],
        server=explanation.server[:LONGEST_NAME],
        line=explanation.record.text[:LONGEST_EXAMPLE],
    )


class Groups:
    """Feed it lines; it keeps the groups in the order in which they were first met."""

    def __init__(self) -> None:
        self.lines = 0
        """Physical lines."""
        self.explained = 0
        self.unknown = 0
        """Records that no sign fits."""
        self._groups: dict[tuple[object, ...], Group] = {}
        self._explainer = Explainer(catalogue())
        self._reader = Reader(self._explainer.judge)

    def __iter__(self) -> Iterator[Group]:
        return iter(self._groups.values())

    def __len__(self) -> int:
        return len(self._groups)

    def feed(self, line: str) -> list[Group]:
        """Take a line (latin-1, without its line feed); the groups that are new with it."""
        self.lines += 1
        new = []
        for record in self._reader.feed(line):
            if (group := self._add(record)) is not None:
                new.append(group)
        return new

    def flush(self) -> list[Group]:
        """Take what was held back; the groups that are new with it."""
        added = (self._add(record) for record in self._reader.flush())
        return [group for group in added if group is not None]

    def _add(self, record: Record) -> Group | None:
        explanation = self._explainer.explain(record)
        if explanation is None:
            self.unknown += 1
            return None
        self.explained += 1
        sign, upstream = explanation.sign, explanation.upstream
        kind = (sign.name, explanation.side)
        key: tuple[object, ...] = (*kind, upstream, explanation.name[:LONGEST_NAME])
        group = self._groups.get(key)
        if group is not None:
            group.add(record.time)
            return None
        merged = len(self._groups) >= MOST_GROUPS
        if merged:
            key = kind
            if (group := self._groups.get(key)) is not None:
                group.add(record.time)
                return None
        group = self._groups[key] = self._made(explanation, merged)
        group.add(record.time)
        return group

    def _made(self, explanation: Explanation, merged: bool) -> Group:
        group = group_of(explanation)
        if merged:
            group.upstream = group.address = group.name = ""
            group.merged = True
        if group.sign.name == CONSEQUENCE:
            group.after = self._before(group)
        return group

    def _before(self, consequence: Group) -> list[Group]:
        """The failures of upstreams met so far, those of the same server if there are any."""
        failed = [
            group
            for group in self
            if group.side == UPSTREAM and group.sign.name not in (CONSEQUENCE, "buffered")
        ]
        same = [group for group in failed if group.server == consequence.server]
        return (same or failed)[-3:]


CONSEQUENCE = "no-live-upstreams"
"""The sign of lines that are a consequence of those before them."""
