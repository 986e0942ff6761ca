"""Text for terminals: escaping of untrusted text, and columns (pure)."""

from __future__ import annotations

import contextlib
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
