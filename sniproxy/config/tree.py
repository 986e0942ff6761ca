"""What both readers of configuration yield: statements in file order, ends of blocks between them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where a statement ends: nginx names the line that the reader has come to."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Statement:
    """`name arg …;` or, with `opens_block`, `name arg … {`."""

    name: str
    args: tuple[str, ...]
    place: Place
    opens_block: bool = False
    start: int = 0
    """Offset of the first byte of the name in its file."""
    end: int = 0
    """Offset behind the `;` or `{`."""


@dataclass(frozen=True, slots=True)
class BlockEnd:
    """`}`."""

    place: Place
    start: int = 0


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The end of a file, where nginx may miss a `}`."""

    place: Place


Item = Statement | BlockEnd | FileEnd
