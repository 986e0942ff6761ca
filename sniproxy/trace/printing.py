"""Print traces, each in one write, with characters that the stream can encode."""

from __future__ import annotations

import contextlib
import sys
from typing import TextIO

from .render import lines
from .steps import Trace


def print_tree(trace: Trace, stream: TextIO | None = None) -> None:
    """Write the tree, followed by a blank line."""
    stream = stream or sys.stdout
    print_text("\n".join([*lines(trace, stream.encoding), ""]), stream)


def print_text(text: str, stream: TextIO | None = None) -> None:
    """Write `text` and a line end; ignore a stream that was closed by its reader."""
    stream = stream or sys.stdout
    encoding = stream.encoding or "ascii"
    with contextlib.suppress(OSError, ValueError):
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        stream.flush()
