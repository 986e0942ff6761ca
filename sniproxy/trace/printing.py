"""A trace on a stream: whole, in one write, in characters that the stream has."""

from __future__ import annotations

import contextlib
import sys
from typing import TextIO

from .render import lines
from .steps import Trace


def print_tree(trace: Trace, stream: TextIO | None = None) -> None:
    """Write the tree and a blank line behind it."""
    stream = stream or sys.stdout
    print_text("\n".join([*lines(trace, stream.encoding), ""]), stream)


def print_text(text: str, stream: TextIO | None = None) -> None:
    """Write `text` and its line end; a stream that nobody reads any more is passed over."""
    stream = stream or sys.stdout
    encoding = stream.encoding or "ascii"
    with contextlib.suppress(OSError, ValueError):
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        stream.flush()
