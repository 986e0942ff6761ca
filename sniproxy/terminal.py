"""Text for terminals: escaping of untrusted text, and columns (pure)."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Iterator, Sequence


def escape_control(text: str, *, keep: str = "") -> str:
    r"""Escape the characters that a terminal would interpret, except those in `keep`.

    Text with one character per byte (latin-1), as logs and configurations are read here, is
    decoded as UTF-8 if it is that. Control characters become `\x1B`, other characters that
    Unicode calls non-printable (bidirectional controls, for instance) `\u202E`.
    """
    with contextlib.suppress(UnicodeError):
        text = text.encode("latin-1").decode("utf-8")
    return "".join(char if char.isprintable() or char in keep else _escape(char) for char in text)


def _escape(char: str) -> str:
    return f"\\x{ord(char):02X}" if ord(char) < 256 else f"\\u{ord(char):04X}"


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lay out rows of equally many cells, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Rows below their headings, or, where `width` is too narrow for that, a record for each row.

    So no cell is broken or cut.
    """
    lines = list(columns([headings, *rows]))
    if max(map(len, lines)) <= width:
        yield from lines
        return
    for number, row in enumerate(rows):
        if number:
            yield ""
        yield from record(headings, row, width)


def record(headings: Sequence[str], row: Sequence[str], width: int) -> Iterator[str]:
    """One row of a table as lines `HEADING  cell`."""
    indent = max(map(len, headings)) + 2
    for heading, cell in zip(headings, row, strict=True):
        yield from wrap(cell, width, heading.ljust(indent), " " * indent)


def wrap(text: str, width: int, first: str = "", rest: str | None = None) -> list[str]:
    """The lines of a paragraph: `first` begins the first line, `rest` (default: blanks) the others.

    Words are not broken: an address or a path that is longer than a line stays in one piece.
    """
    lines = textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=" " * len(first) if rest is None else rest,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return lines or [first.rstrip()]
