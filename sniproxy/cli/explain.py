"""`sniproxy explain [FILE|LINE|-]…`: explain lines of error logs, and how to fix their causes.

A file is read completely, then its groups of lines are printed, the most frequent first. From a
pipe or a terminal (`tail -f error.log | sniproxy explain`) each group is printed when its first
line arrives, and a summary at the end.
"""

from __future__ import annotations

import argparse
import errno
import gzip
import json
import os
import queue
import stat
import sys
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..explain.groups import NO_LIVE_UPSTREAMS, ErrorGroup, ErrorGroups
from ..explain.render import render_text, summary, to_dict
from ..system import O_BINARY
from ..terminal import escape_control
from .output import fit, print_styled, width
from .parsers import add_form, command_parser

CHUNK = 1 << 18
MAX_ERROR_LINE = 1 << 16
"""Bytes; a longer line is split."""
IDLE_FLUSH = 0.5
"""Seconds without input after which a line that may continue is taken as complete."""
EXPLAINED, UNRECOGNIZED, UNREADABLE = 0, 1, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="*",
        default=["-"],
        metavar="FILE",
        help="error logs, also *.gz; - is standard input (the default); or a line of a log",
    )
    parser.add_argument("--json", action="store_true", help="print the groups of lines as JSON")
    parser.add_argument("--brief", action="store_true", help="print one line for each group")
    parser.add_argument(
        "--unknown", action="store_true", help="print the lines that are not recognized too"
    )
    add_form(parser)
    parser.epilog = (
        "exit status: 0 a line was explained, 1 none was recognized (or the output cannot be "
        "written), 2 unreadable file or usage, 130 interrupted"
    )


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status.

    It is 0 if a line was explained, 1 if none was recognized, 2 if the file cannot be read.
    """
    options = command_parser("explain").parse_args(arguments)
    output = Output(options.json, options.brief, options.unknown, options.form)
    groups = ErrorGroups()
    for place in options.files:
        try:
            _read(place, groups, output)
        except BrokenPipeError:
            raise
        except (OSError, EOFError, zlib.error) as error:
            if isinstance(error, OSError) and error.filename is None and error.errno is not None:
                raise  # of the output
            reason = getattr(error, "strerror", None) or str(error)
            print(f"sniproxy: {place}: {reason}", file=sys.stderr)
            return UNREADABLE
        except KeyboardInterrupt:
            break  # what was read is explained
    return output.finish(groups)


def _read(place: str, groups: ErrorGroups, output: Output) -> None:
    """Feed the lines of a file, of standard input, or of the argument itself to `groups`."""
    if place == "-":
        _read_descriptor(0, groups, output)
    elif not os.path.exists(place) and " " in place.strip():
        output.show([group for line in place.split("\n") for group in groups.feed(_latin1(line))])
        output.show(groups.flush())
    elif place.endswith(".gz"):
        with gzip.open(place) as file:
            while data := file.readline(MAX_ERROR_LINE):
                output.show(groups.feed(data.rstrip(b"\n").decode("latin-1")))
        output.show(groups.flush())
    else:
        number = os.open(place, os.O_RDONLY | O_BINARY)
        try:
            if stat.S_ISDIR(os.fstat(number).st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), place)
            _read_descriptor(number, groups, output)
        finally:
            os.close(number)


def _latin1(text: str) -> str:
    """An argument as lines are read: one character a byte."""
    return os.fsencode(text).decode("latin-1")


def _read_descriptor(number: int, groups: ErrorGroups, output: Output) -> None:
    try:
        is_file = stat.S_ISREG(os.fstat(number).st_mode)
    except OSError as error:  # standard input is closed
        raise OSError(error.errno, error.strerror, "input") from None
    output.live = output.live or not is_file
    progress = FileProgress(os.fstat(number).st_size if is_file else 0)
    if os.isatty(number):
        print("Paste lines of an error log, then Ctrl-D.", file=sys.stderr)
    try:
        for lines, size in read_lines(number, interactive=not is_file):
            new = [group for line in lines for group in groups.feed(line)]
            if not size:
                new += groups.flush()
            progress.show(size, groups)
            output.show(new)
    finally:
        progress.clear()
    output.show(groups.flush())


@dataclass(slots=True)
class Output:
    """Prints groups: each when its first line arrives if the input is `live`, else at the end."""

    as_json: bool
    brief: bool
    unknown: bool
    form: str
    live: bool = False

    def show(self, new: Sequence[ErrorGroup]) -> None:
        if self.live and not (self.as_json or self.brief):
            self._print(new)

    def finish(self, groups: ErrorGroups) -> int:
        """Print the rest; returns the exit status."""
        self.show(groups.flush())
        if self.as_json:
            print(json.dumps([to_dict(group, self.form) for group in _by_count(groups)], indent=2))
        elif self.brief:
            for group in _by_count(groups):
                print("\n".join(fit(summary(group))))
        elif not self.live:
            self._print(_by_count(groups))
        elif groups.explained > 1:
            print("=== Summary")
            for group in _by_count(groups):
                print("\n".join(fit(summary(group))))
        sys.stdout.flush()
        if self.unknown:
            for line in groups.unknown_lines:
                print(f"unrecognized: {escape_control(line)}", file=sys.stderr)
        if groups.unknown or not groups.explained:
            explained = f"{groups.explained} explained in {len(groups)} groups"
            print(
                f"{groups.lines} lines: {explained}, {groups.unknown} unrecognized.",
                file=sys.stderr,
            )
        return EXPLAINED if groups.explained else UNRECOGNIZED

    def _print(self, groups: Sequence[ErrorGroup]) -> None:
        for group in groups:
            print_styled(render_text(group, width(), self.form), _style)


def _style(line: str) -> str:
    """The colour of a line of an explanation."""
    for start, style in _STYLES.items():
        if line.startswith(start):
            return style
    return ""


_STYLES = {
    "===": "bold",
    "    | ": "dim",
    "    |   ": "dim",
    "     ! ": "red",
    "     # ": "cyan",
    "     #   ": "cyan",
    "       ": "green",
}
"""By the beginning of a line; directives are the lines that stand furthest in."""


def _by_count(groups: ErrorGroups) -> list[ErrorGroup]:
    """By number of lines, descending; secondary errors last."""
    return sorted(
        groups, key=lambda group: (group.signature.name == NO_LIVE_UPSTREAMS, -group.count)
    )


def read_lines(number: int, *, interactive: bool) -> Iterator[tuple[list[str], int]]:
    """Iterate over the lines of a file descriptor as they arrive, with the bytes read for them.

    If `interactive`, `([], 0)` or a last incomplete line with 0 marks a pause in the input.
    Memory is bounded, whatever the input. Raises OSError.
    """
    rest = b""
    for data in _chunks_as_they_come(number) if interactive else _chunks(number):
        if data is None:
            lines, rest = ([rest.decode("latin-1")] if rest else []), b""
            yield lines, 0
            continue
        *complete, rest = (rest + data).split(b"\n")
        if len(rest) > MAX_ERROR_LINE:
            complete.append(rest)
            rest = b""
        yield [line.decode("latin-1") for line in complete], len(data)
    if rest:
        yield [rest.decode("latin-1")], len(rest)


def _chunks(number: int) -> Iterator[bytes]:
    """Iterate over the data of a file descriptor. Raises OSError."""
    try:
        while data := os.read(number, CHUNK):
            yield data
    except OSError as error:
        # With a name, which tells it from failures of the output.
        raise OSError(error.errno, error.strerror, "input") from None


def _chunks_as_they_come(number: int) -> Iterator[bytes | None]:
    """As `_chunks`, with a None for each pause, of at least `IDLE_FLUSH` seconds.

    A thread reads, since Windows has no select() for pipes.
    """
    arrived: queue.Queue[bytes | OSError] = queue.Queue(2)

    def read() -> None:
        try:
            for data in _chunks(number):
                arrived.put(data)
        except OSError as error:
            arrived.put(error)
        else:
            arrived.put(b"")

    threading.Thread(target=read, daemon=True).start()
    pauses = False
    while True:
        try:
            data = arrived.get(timeout=IDLE_FLUSH)
        except queue.Empty:
            if not pauses:
                yield None
            pauses = True
            continue
        pauses = False
        if isinstance(data, OSError):
            raise data
        if not data:
            return
        yield data


class FileProgress:
    """Shows how much of a file has been read, if stderr is a terminal."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._done = 0
        self._escape = -1
        self._on = bool(size) and sys.stderr.isatty()

    def show(self, size: int, groups: ErrorGroups) -> None:
        if not self._on:
            return
        self._done += size
        percent = min(100, self._done * 100 // self._size)
        if percent != self._escape:
            self._escape = percent
            text = f"\r{percent:3} %  {groups.lines} lines, {len(groups)} groups"
            print(text, end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._escape >= 0:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
