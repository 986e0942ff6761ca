"""Read log lines as people have them into records: nginx's message with time and level.

A line may have a prefix by docker, syslog, Kubernetes, journald, grep or a mail program; it may be
truncated at either end, wrapped, interrupted by another line, or be a JSON string.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from .log_fields import FIELD, head_of, is_phase, phase_of

MAX_ERROR_LINE = 65_536
"""Characters; longer lines are processed in pieces."""
MAX_JOINED = 8_192
MAX_PIECES = 40

_TIME = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ")
_TIME_LENGTH = len("2024/07/15 17:14:08 ")
_LEVEL = re.compile(
    r"\[(emerg|alert|crit|error|warn|notice|info|debug)\] ?(?:\d+#\d+:? ?)?(?:\*\d+ )?"
)
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_ACCESS = re.compile(r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:")
_MESSAGE_START = re.compile(
    r"[\s>*`-]*(?:\w*\] )?(?:\d+#\d+: )?(?:\*?\d+ )?"
    r"(?:SSL_\w+\(|upstream |peer closed|connect\(\)|recv\(\)|no live |no resolver |"
    r"cannot load |nginx: |host not found|client |js |\d{4}[-/]\d\d[-/]\d\d|\{)"
)
_MESSAGES = ("log", "message", "msg", "MESSAGE", "textPayload", "line")
"""The keys under which JSON loggers store the line."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A log record; `text` begins with the message."""

    text: str
    time: str | None = None
    """`2024/07/15 17:14:08`; None if the line lacks it."""
    level: str | None = None


class LogReader:
    """Turns physical lines into records: joins wrapped lines and splits interleaved ones.

    A line that may continue is pending until the next one arrives, or until `flush`. `score`
    rates a record; wrapped lines are joined in the way that scores highest.
    """

    def __init__(self, score: Callable[[LogRecord], int]) -> None:
        self._judge = score
        self._pending: LogRecord | None = None
        self._continuation: list[str] = []

    def feed(self, line: str) -> Iterator[LogRecord]:
        """Add a line (without its newline); yields the records that are complete now."""
        if line[4:5] == "/" and line[19:21] == " [" and self._pending is None:
            # Fast path for nearly every line of a log: no prefix, nothing pending.
            level = _LEVEL.match(line, 20)
            if level is not None and _TIME.match(line) and line.find(" [", level.end()) < 0:
                text = line[level.end() :]
                record = LogRecord(text, line[:19], level[1])
                if not may_continue(record):
                    yield record
                    return
                if '\\"' not in text:
                    self._pending = record
                    return
        for start in range(0, max(len(line), 1), MAX_ERROR_LINE):
            for record in split(line[start : start + MAX_ERROR_LINE]):
                yield from self._place(record)

    def flush(self) -> Iterator[LogRecord]:
        """Yield the pending records."""
        pending, pieces = self._pending, self._continuation
        self._pending, self._continuation = None, []
        if pending is None:
            return
        best = pending
        if pieces:
            separate_score = self._judge(pending) + (not is_cut(pending.text))
            joins = [(self._judge(join), join) for join in _joined(pending, pieces)]
            best_score = max(score for score, _ in joins)
            if best_score >= separate_score:
                best = next(join for score, join in joins if score == best_score)
        yield best
        if best is pending:
            for piece in pieces:
                yield LogRecord(piece)

    def _place(self, record: LogRecord) -> Iterator[LogRecord]:
        if self._pending is not None and not self._pending.text:
            # A line that was wrapped after its time or connection number.
            pending = self._pending
            record = replace(
                record, time=record.time or pending.time, level=record.level or pending.level
            )
            self._pending = None
        if self._continues(record):
            self._continuation.append(record.text)
            return
        yield from self.flush()
        if may_continue(record):
            self._pending = record
        else:
            yield record

    def _continues(self, record: LogRecord) -> bool:
        if self._pending is None or record.time is not None or record.level is not None:
            return False
        size = len(self._pending.text) + sum(map(len, self._continuation)) + len(record.text)
        return (
            size <= MAX_JOINED
            and len(self._continuation) < MAX_PIECES
            and not _MESSAGE_START.match(record.text)
        )


def records(text: str, score: Callable[[LogRecord], int]) -> Iterator[LogRecord]:
    """The records of a text of one or several lines."""
    reader = LogReader(score)
    # Not by `splitlines`, which would split at bytes of UTF-8 characters.
    for line in text.removesuffix("\n").split("\n"):
        yield from reader.feed(line.removesuffix("\r"))
    yield from reader.flush()


def split(line: str) -> Iterator[LogRecord]:
    """The records of a physical line: usually one, none if it cannot be nginx's."""
    line = plain(line)
    if not line.strip():
        return
    begins = [match for match in _LEVEL.finditer(line) if _starts_record(line, match)]
    first = _LEVEL.search(line)
    if first is None or (begins and begins[0].start() < first.start()):
        first = begins[0] if begins else None
    if first is None:
        if _TIME.fullmatch(line.strip() + " "):
            yield LogRecord("", line.strip())
        elif not _ACCESS.search(line):
            yield LogRecord(line)
        return
    starts = [first, *(match for match in begins if match.start() > first.start())]
    before = line[: _start(line, first)]
    if FIELD.search(before) or "SSL_" in before:
        # The rest of a line that another one interrupted.
        yield LogRecord(before.strip())
    ends = [_start(line, match) for match in starts[1:]] + [len(line)]
    for match, end in zip(starts, ends, strict=True):
        time = line[_start(line, match) : match.start()].strip() or None
        yield LogRecord(line[match.end() : end], time, match[1])


def plain(line: str) -> str:
    """Strip terminal escapes, and extract the line from JSON."""
    if "\x1b" in line:
        line = _ESCAPES.sub("", line)
    if '\\"' in line or line.lstrip()[:1] == "{":
        line = _extract_from_json(line)
    return line.replace("\t", " ").rstrip("\r\n")


def is_cut(text: str) -> bool:
    """Whether the text is truncated: after a space, inside quotes or parentheses."""
    return (
        text[-1:] in (" ", ",", "") or text.count('"') % 2 == 1 or text.count("(") > text.count(")")
    )


def may_continue(record: LogRecord) -> bool:
    """Whether the next line may be a continuation of this one."""
    text = record.text
    if ', host: "' in text:
        # The last field except for the rare `referrer`.
        return text[-1:] != '"' or text[-2:-1] == "\\" or text.count('"') % 2 == 1
    if ", client: " in text:
        return True
    # A message without fields is complete, or was wrapped before them.
    if record.level is not None or " while " in text or is_cut(text):
        return True
    return _MESSAGE_START.match(text) is not None


def completeness(text: str) -> int:
    """Score how many parts that nginx and OpenSSL write are present and complete."""
    phase = phase_of(head_of(text))
    parts = len(FIELD.findall(text)) + text.count("error:")
    parts += is_phase(phase) * (1 + ("upstream" in phase))
    return 2 * parts + (not is_cut(text))


def _joined(pending: LogRecord, pieces: list[str]) -> Iterator[LogRecord]:
    """The possible ways to join the pieces."""
    pieces = [pending.text, *pieces]
    yield replace(pending, text="".join(pieces))
    yield replace(pending, text=" ".join(piece.strip() for piece in pieces))


def _starts_record(line: str, level: re.Match[str]) -> bool:
    """Whether the level is preceded by a time, as at the beginning of a line."""
    return _TIME.fullmatch(line[max(level.start() - _TIME_LENGTH, 0) : level.start()]) is not None


def _start(line: str, level: re.Match[str]) -> int:
    return level.start() - (_TIME_LENGTH if _starts_record(line, level) else 0)


def _extract_from_json(line: str) -> str:
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
