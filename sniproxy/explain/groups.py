"""Count explained lines by cause, upstream and name, in constant memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .catalog import Cause, Signature, catalog
from .log_fields import UPSTREAM
from .log_reader import LogReader, LogRecord
from .matcher import Explainer, Explanation
from .modules import STREAM, cause_in_module, text_in_module

MAX_GROUPS = 256
"""With more groups, further lines are grouped by their causes only."""
MAX_EXAMPLE = 2_048
MAX_NAME = 256
MAX_UNKNOWN = 100


@dataclass(slots=True, eq=False)
class ErrorGroup:
    """Log lines with the same meaning, upstream and name."""

    side: str
    signature: Signature
    upstream: str
    """`https://203.0.113.240:443`; "" if the lines name none, or if `merged`."""
    address: str
    """The upstream's host:port."""
    name: str
    server: str
    line: str
    """The first of the lines, without time and level."""
    merged: bool = False
    """Whether it covers several upstreams or names, because there were too many groups."""
    count: int = 0
    first: str | None = None
    """The earliest time; None if no line has one."""
    last: str | None = None
    preceded_by: list[ErrorGroup] = field(default_factory=list)
    """For a secondary error: earlier groups that probably led to it."""
    known: Mapping[str, str] = field(default_factory=dict)
    """Values of placeholders that are known from elsewhere than the lines."""

    @property
    def scheme(self) -> str:
        """The scheme of the upstream, `STREAM` for one of `stream {}`.

        It is "" for another side, or if the lines name no upstream.
        """
        if self.side != UPSTREAM or not self.upstream:
            return ""
        scheme, separator, _ = self.upstream.partition("://")
        return scheme if separator else STREAM

    @property
    def causes(self) -> tuple[Cause, ...]:
        """The causes, with the directives of the upstream's module."""
        return tuple([cause_in_module(cause, self.scheme) for cause in self.signature.causes])

    @property
    def meaning(self) -> str:
        return text_in_module(self.signature.meaning, self.scheme)

    @property
    def distinguish(self) -> str:
        return text_in_module(self.signature.distinguish, self.scheme)

    @classmethod
    def of(cls, explanation: Explanation) -> ErrorGroup:
        """The group of a single line."""
        group = empty_group(explanation)
        group.add(explanation.record.time)
        return group

    def add(self, time: str | None) -> None:
        self.count += 1
        if time is not None:
            if self.first is None or time < self.first:
                self.first = time
            if self.last is None or time > self.last:
                self.last = time


def empty_group(explanation: Explanation) -> ErrorGroup:
    """A new group for this line, with a count of 0."""
    upstream = explanation.upstream
    return ErrorGroup(
        side=explanation.side,
        signature=explanation.signature,
        upstream=str(upstream)[:MAX_NAME] if upstream else "",
        address=upstream.address[:MAX_NAME] if upstream else "",
        name=explanation.name[:MAX_NAME],
        server=explanation.server[:MAX_NAME],
        line=explanation.record.text[:MAX_EXAMPLE],
    )


class ErrorGroups:
    """Groups the lines that it is fed; iterates over the groups in order of first appearance."""

    def __init__(self) -> None:
        self.lines = 0
        """The number of physical lines."""
        self.explained = 0
        self.unknown = 0
        """The number of records that match no signature."""
        self.unknown_lines: list[str] = []
        """The first of these, without time and level."""
        self._groups: dict[tuple[object, ...], ErrorGroup] = {}
        self._explainer = Explainer(catalog())
        self._reader = LogReader(self._explainer.score)

    def __iter__(self) -> Iterator[ErrorGroup]:
        return iter(self._groups.values())

    def __len__(self) -> int:
        return len(self._groups)

    def feed(self, line: str) -> list[ErrorGroup]:
        """Add a line (latin-1, without its newline); returns the groups that it created."""
        self.lines += 1
        new = []
        for record in self._reader.feed(line):
            if (group := self._add(record)) is not None:
                new.append(group)
        return new

    def flush(self) -> list[ErrorGroup]:
        """Add the pending lines; returns the groups that they created."""
        added = (self._add(record) for record in self._reader.flush())
        return [group for group in added if group is not None]

    def _add(self, record: LogRecord) -> ErrorGroup | None:
        explanation = self._explainer.explain(record)
        if explanation is None:
            self.unknown += 1
            if len(self.unknown_lines) < MAX_UNKNOWN:
                self.unknown_lines.append(record.text[:MAX_EXAMPLE])
            return None
        self.explained += 1
        signature, upstream = explanation.signature, explanation.upstream
        kind = (signature.name, explanation.side)
        key: tuple[object, ...] = (*kind, upstream, explanation.name[:MAX_NAME])
        group = self._groups.get(key)
        if group is not None:
            group.add(record.time)
            return None
        merged = len(self._groups) >= MAX_GROUPS
        if merged:
            key = kind
            if (group := self._groups.get(key)) is not None:
                group.add(record.time)
                return None
        group = self._groups[key] = self._new_group(explanation, merged)
        group.add(record.time)
        return group

    def _new_group(self, explanation: Explanation, merged: bool) -> ErrorGroup:
        group = empty_group(explanation)
        if merged:
            group.upstream = group.address = group.name = ""
            group.merged = True
        if group.signature.name == NO_LIVE_UPSTREAMS:
            group.preceded_by = self._recent_failures(group)
        return group

    def _recent_failures(self, consequence: ErrorGroup) -> list[ErrorGroup]:
        """The last failures of upstreams so far, preferably those of the same server."""
        failed = [
            group
            for group in self
            if group.side == UPSTREAM
            and group.signature.name not in (NO_LIVE_UPSTREAMS, "buffered")
        ]
        same = [group for group in failed if group.server == consequence.server]
        return (same or failed)[-3:]


NO_LIVE_UPSTREAMS = "no-live-upstreams"
"""Name of the signature of secondary errors: all servers were already marked failed."""
