"""What a target is, and what several of them need."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parent.parent / "corpus"


@dataclass(frozen=True, slots=True)
class Target:
    """A parser with its properties."""

    name: str
    """Also the name of its folder in `corpus/`."""
    check: Callable[[bytes], object]

    def seeds(self) -> list[bytes]:
        """The inputs of the corpus, in the order of their names."""
        return [path.read_bytes() for path in sorted((CORPUS / self.name).iterdir())]


def in_pieces(data: bytes) -> list[bytes]:
    """`data` in one to five pieces; the same ones for the same data."""
    if len(data) < 2:
        return [data]
    chance = random.Random(zlib.crc32(data))
    cuts = sorted({chance.randrange(1, len(data)) for _ in range(chance.randint(1, 4))})
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def prefixes(data: bytes) -> Iterable[bytes]:
    """What has arrived after each of the pieces."""
    received = b""
    for piece in in_pieces(data):
        received += piece
        yield received


def outcome(run: Callable[[], object], *errors: type[Exception]) -> object:
    """The result of `run`, or the type and text of an error that it may raise."""
    try:
        return run()
    except errors as error:
        return type(error).__name__, str(error)
