"""Print traces, each in one write, with characters that the stream can encode."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TextIO

from ..terminal import wrap
from .render import lines
from .selection import TraceTest
from .short_line import short_line
from .steps import Trace

_BRANCHES = re.compile(r"(?:│  |   |\|  |├─ |└─ |\|- |`- )*")
"""What begins a line of the tree, in either of its character sets."""
_CONTINUED = str.maketrans({"├": "│", "└": " ", "─": " ", "`": " ", "-": " "})


def print_tree(trace: Trace, stream: TextIO | None = None, width: int | None = None) -> None:
    """Write the tree, followed by a blank line; lines wider than `width` are wrapped."""
    stream = stream or sys.stdout
    tree = lines(trace, stream.encoding)
    if width is not None:
        tree = [part for line in tree for part in _wrapped(line, width)]
    print_text("\n".join([*tree, ""]), stream)


def print_while_serving(trace: Trace) -> None:
    """As `print_tree`, for a server: it goes on when standard output is closed."""
    with contextlib.suppress(OSError, ValueError):
        print_tree(trace)


def print_selected(is_selected: TraceTest, *, short: bool) -> Callable[[Trace], None]:
    """A function that prints the traces that are selected: as a tree, or as one line.

    Lines have colours on a terminal, unless NO_COLOR is set.
    """
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def show(trace: Trace) -> None:
        if not is_selected(trace):
            return
        if not short:
            print_while_serving(trace)
            return
        now = datetime.now()
        clock = f"{now:%H:%M:%S}.{now.microsecond // 1000:03d}"
        with contextlib.suppress(OSError, ValueError):
            print_text(short_line(trace, clock, colour=colour))

    return show


def print_text(text: str, stream: TextIO | None = None) -> None:
    """Write `text` and a line end."""
    stream = stream or sys.stdout
    encoding = stream.encoding or "ascii"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def _wrapped(line: str, width: int) -> Iterator[str]:
    """The line; if it is too wide, in several that continue the branches of the tree."""
    if len(line) <= width:
        yield line
        return
    branches = _BRANCHES.match(line)
    first = branches[0] if branches is not None else ""
    yield from wrap(line[len(first) :], width, first, first.translate(_CONTINUED) + "  ")
