"""Lines as people have them → records: the part that nginx wrote, with time and level.

Before it may stand whatever docker, syslog, kubernetes, journald, grep or a mail have put there;
the line may be cut at either end, wrapped, have another one in its middle, or be JSON's string.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from .fields import FIELD, head_of, is_phase, phase_of

LONGEST = 65_536
"""Characters of one line that are looked at at once; a longer one is looked at in pieces."""
LONGEST_JOINED = 8_192
MOST_PIECES = 40

_TIME = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ")
_TIME_LENGTH = len("2024/07/15 17:14:08 ")
_LEVEL = re.compile(
    r"\[(emerg|alert|crit|error|warn|notice|info|debug)\] ?(?:\d+#\d+:? ?)?(?:\*\d+ )?"
)
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_ACCESS = re.compile(r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:")
_BEGINNING = re.compile(
    r"[\s>*`-]*(?:\w*\] )?(?:\d+#\d+: )?(?:\*?\d+ )?"
    r"(?:SSL_\w+\(|upstream |peer closed|connect\(\)|recv\(\)|no live |no resolver |"
    r"cannot load |nginx: |host not found|client |js |\d{4}[-/]\d\d[-/]\d\d|\{)"
)
_MESSAGES = ("log", "message", "msg", "MESSAGE", "textPayload", "line")
"""Where loggers that write JSON keep the line."""


@dataclass(frozen=True, slots=True)
class Record:
    """What nginx wrote: `text` begins with the message."""

    text: str
    time: str | None = None
    """`2024/07/15 17:14:08`; None where the line has none any more."""
    level: str | None = None


class Reader:
    """Physical lines in, records out: puts wrapped lines together and takes others apart.

    A line that may go on in the next one is held back until that has come; `flush` ends the
    waiting. `judge` says how much sense a text makes, so that pieces are put together as they
    make the most.
    """

    def __init__(self, judge: Callable[[Record], int]) -> None:
        self._judge = judge
        self._held: Record | None = None
        self._more: list[str] = []

    def feed(self, line: str) -> Iterator[Record]:
        """The records that are complete now; `line` is without its line feed."""
        if line[4:5] == "/" and line[19:21] == " [" and self._held is None:
            # The way of nearly every line of a log: nothing before it, nothing held back.
            level = _LEVEL.match(line, 20)
            if level is not None and _TIME.match(line) and line.find(" [", level.end()) < 0:
                text = line[level.end() :]
                record = Record(text, line[:19], level[1])
                if not may_go_on(record):
                    yield record
                    return
                if '\\"' not in text:
                    self._held = record
                    return
        for start in range(0, max(len(line), 1), LONGEST):
            for record in split(line[start : start + LONGEST]):
                yield from self._place(record)

    def flush(self) -> Iterator[Record]:
        """What was held back."""
        held, more = self._held, self._more
        self._held, self._more = None, []
        if held is None:
            return
        best = held
        if more:
            least = self._judge(held) + (not is_cut(held.text))
            ways = [(self._judge(way), way) for way in _joined(held, more)]
            most = max(sense for sense, _ in ways)
            if most >= least:
                best = next(way for sense, way in ways if sense == most)
        yield best
        if best is held:
            for piece in more:
                yield Record(piece)

    def _place(self, record: Record) -> Iterator[Record]:
        if self._held is not None and not self._held.text:
            # A line that was wrapped behind its time or number.
            held = self._held
            record = replace(
                record, time=record.time or held.time, level=record.level or held.level
            )
            self._held = None
        if self._goes_on(record):
            self._more.append(record.text)
            return
        yield from self.flush()
        if may_go_on(record):
            self._held = record
        else:
            yield record

    def _goes_on(self, record: Record) -> bool:
        if self._held is None or record.time is not None or record.level is not None:
            return False
        size = len(self._held.text) + sum(map(len, self._more)) + len(record.text)
        return (
            size <= LONGEST_JOINED
            and len(self._more) < MOST_PIECES
            and not _BEGINNING.match(record.text)
        )


def records(text: str, judge: Callable[[Record], int]) -> Iterator[Record]:
    """The records of one text: a line, or several of which some were wrapped."""
    reader = Reader(judge)
    # Not by `splitlines`, for which a byte of a UTF-8 letter may end a line.
    for line in text.removesuffix("\n").split("\n"):
        yield from reader.feed(line.removesuffix("\r"))
    yield from reader.flush()


def split(line: str) -> Iterator[Record]:
    """The records of one physical line: usually one, none if it cannot be nginx's."""
    line = plain(line)
    if not line.strip():
        return
    begins = [match for match in _LEVEL.finditer(line) if _begins_record(line, match)]
    first = _LEVEL.search(line)
    if first is None or (begins and begins[0].start() < first.start()):
        first = begins[0] if begins else None
    if first is None:
        if _TIME.fullmatch(line.strip() + " "):
            yield Record("", line.strip())
        elif not _ACCESS.search(line):
            yield Record(line)
        return
    starts = [first, *(match for match in begins if match.start() > first.start())]
    before = line[: _start(line, first)]
    if FIELD.search(before) or "SSL_" in before:
        # The other half of a line that was written into.
        yield Record(before.strip())
    ends = [_start(line, match) for match in starts[1:]] + [len(line)]
    for match, end in zip(starts, ends, strict=True):
        time = line[_start(line, match) : match.start()].strip() or None
        yield Record(line[match.end() : end], time, match[1])


def plain(line: str) -> str:
    """`line` without terminal escapes, and out of JSON if it is in it."""
    if "\x1b" in line:
        line = _ESCAPES.sub("", line)
    if '\\"' in line or line.lstrip()[:1] == "{":
        line = _out_of_json(line)
    return line.replace("\t", " ").rstrip("\r\n")


def is_cut(text: str) -> bool:
    """Whether the text breaks off: behind a blank, inside quotes or brackets."""
    return (
        text[-1:] in (" ", ",", "") or text.count('"') % 2 == 1 or text.count("(") > text.count(")")
    )


def may_go_on(record: Record) -> bool:
    """Whether the next line may belong to this one."""
    text = record.text
    if ', host: "' in text:
        # The last field but one, and that one is rare.
        return text[-1:] != '"' or text[-2:-1] == "\\" or text.count('"') % 2 == 1
    if ", client: " in text:
        return True
    # A message without fields is a whole one, or was wrapped before them.
    if record.level is not None or " while " in text or is_cut(text):
        return True
    return _BEGINNING.match(text) is not None


def completeness(text: str) -> int:
    """How many of the parts that nginx and OpenSSL write are there, whole."""
    phase = phase_of(head_of(text))
    parts = len(FIELD.findall(text)) + text.count("error:")
    parts += is_phase(phase) * (1 + ("upstream" in phase))
    return 2 * parts + (not is_cut(text))


def _joined(held: Record, more: list[str]) -> Iterator[Record]:
    """The ways in which the pieces may belong together."""
    pieces = [held.text, *more]
    yield replace(held, text="".join(pieces))
    yield replace(held, text=" ".join(piece.strip() for piece in pieces))


def _begins_record(line: str, level: re.Match[str]) -> bool:
    """Whether time and level stand there, as at the beginning of a line."""
    return _TIME.fullmatch(line[max(level.start() - _TIME_LENGTH, 0) : level.start()]) is not None


def _start(line: str, level: re.Match[str]) -> int:
    return level.start() - (_TIME_LENGTH if _begins_record(line, level) else 0)


def _out_of_json(line: str) -> str:
    start = line.find("{")
    if start >= 0:
        try:
            entry = json.JSONDecoder().raw_decode(line, start)[0]
        except (ValueError, RecursionError):
            entry = None
        if isinstance(entry, dict):
            for key in _MESSAGES:
                if isinstance(text := entry.get(key), str):
                    return text.encode("utf-8", "replace").decode("latin-1").rstrip("\n")
    return line.replace('\\"', '"')
