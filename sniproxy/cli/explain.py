"""`sniproxy explain [FILE|-]`: explain the lines of an error log, and how to fix their causes.

A file is read completely, then its groups of lines are printed, the most frequent first. From a
pipe or a terminal (`tail -f error.log | sniproxy explain`) each group is printed when its first
line arrives, and a summary at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import stat
import sys
from collections.abc import Iterator, Sequence

from ..explain.groups import NO_LIVE_UPSTREAMS, ErrorGroup, ErrorGroups
from ..explain.render import render_text, summary, to_dict
from .parsers import command_parser

CHUNK = 1 << 18
MAX_ERROR_LINE = 1 << 16
"""Bytes; a longer line is split."""
IDLE_FLUSH = 0.5
"""Seconds without input after which a line that may continue is taken as complete."""
EXPLAINED, UNRECOGNIZED, UNREADABLE = 0, 1, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", default="-", help="an error log; - is standard input")
    parser.add_argument("--json", action="store_true", help="print the groups of lines as JSON")
    parser.epilog = (
        "exit status: 0 a line was explained, 1 none was recognized, 2 unreadable file or usage"
    )


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status.

    It is 0 if a line was explained, 1 if none was recognized, 2 if the file cannot be read.
    """
    options = command_parser("explain").parse_args(arguments)
    try:
        number = 0 if options.file == "-" else os.open(options.file, os.O_RDONLY)
    except OSError as error:
        print(f"sniproxy: {options.file}: {error.strerror}", file=sys.stderr)
        return UNREADABLE
    try:
        return _explain(number, as_json=options.json)
    except BrokenPipeError:
        # The reader has closed the pipe; without this, Python reports an error at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXPLAINED
    except OSError as error:
        print(f"sniproxy: {options.file}: {error.strerror}", file=sys.stderr)
        return UNREADABLE
    finally:
        if number:
            os.close(number)


def _explain(number: int, *, as_json: bool) -> int:
    is_file = stat.S_ISREG(os.fstat(number).st_mode)
    live = not is_file and not as_json
    groups = ErrorGroups()
    progress = FileProgress(os.fstat(number).st_size if is_file else 0)
    if os.isatty(number):
        print("Paste lines of an error log, then Ctrl-D.", file=sys.stderr)
    try:
        for lines, size in read_lines(number, interactive=not is_file):
            new = [group for line in lines for group in groups.feed(line)]
            if not size:
                new += groups.flush()
            progress.show(size, groups)
            if live:
                _print_groups(new)
    except KeyboardInterrupt:
        pass
    last = groups.flush()
    progress.clear()
    if as_json:
        print(json.dumps([to_dict(group) for group in _by_count(groups)], indent=2))
    elif live:
        _print_groups(last)
        if groups.explained > 1:
            print("=== Summary\n" + "\n".join(map(summary, _by_count(groups))))
    else:
        _print_groups(_by_count(groups))
    sys.stdout.flush()
    if groups.unknown or not groups.explained:
        explained = f"{groups.explained} explained in {len(groups)} groups"
        print(f"{groups.lines} lines: {explained}, {groups.unknown} unrecognized.", file=sys.stderr)
    return EXPLAINED if groups.explained else UNRECOGNIZED


def _print_groups(groups: Sequence[ErrorGroup]) -> None:
    for group in groups:
        print(render_text(group), flush=True)


def _by_count(groups: ErrorGroups) -> list[ErrorGroup]:
    """By number of lines, descending; secondary errors last."""
    return sorted(
        groups, key=lambda group: (group.signature.name == NO_LIVE_UPSTREAMS, -group.count)
    )


def read_lines(number: int, *, interactive: bool) -> Iterator[tuple[list[str], int]]:
    """Iterate over the lines of a file descriptor as they arrive, with the bytes read for them.

    If `interactive`, `([], 0)` or a last incomplete line with 0 marks a pause in the input.
    Memory is bounded, whatever the input.
    """
    rest = b""
    while True:
        if (
            interactive
            and os.name == "posix"
            and not select.select([number], [], [], IDLE_FLUSH)[0]
        ):
            lines, rest = ([rest.decode("latin-1")] if rest else []), b""
            yield lines, 0
            select.select([number], [], [])
        data = os.read(number, CHUNK)
        if not data:
            break
        *complete, rest = (rest + data).split(b"\n")
        if len(rest) > MAX_ERROR_LINE:
            complete.append(rest)
            rest = b""
        yield [line.decode("latin-1") for line in complete], len(data)
    if rest:
        yield [rest.decode("latin-1")], len(rest)


def _is_readable(number: int, timeout: float) -> bool:
    return bool(select.select([number], [], [], timeout)[0])


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
