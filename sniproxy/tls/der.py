"""A minimal DER reader for certificates and sessions.

Source: X.690, definite lengths only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

INTEGER, OBJECT, UTC_TIME = 0x02, 0x06, 0x17
"""Tags."""


class DERError(ValueError):
    """The data is not DER, or is truncated."""


@dataclass(frozen=True, slots=True)
class Field:
    """A tag-length-value field."""

    tag: int
    content: bytes
    encoded: bytes
    """The complete field: tag, length and content."""

    def __iter__(self) -> Iterator[Field]:
        """The fields inside the content. Raises `DERError`."""
        return fields(self.content)


def fields(data: bytes) -> Iterator[Field]:
    """Iterate over the fields of `data`. Raises `DERError`."""
    position = 0
    while position < len(data):
        start, end = _content(data, position)
        if end > len(data):
            raise DERError("a field runs past its end")
        yield Field(data[position], data[start:end], data[position:end])
        position = end


def first(data: bytes) -> Field:
    """The first field of `data`. Raises `DERError`."""
    for field in fields(data):
        return field
    raise DERError("nothing is there")


def object_name(content: bytes) -> str:
    """The dotted form of an OBJECT IDENTIFIER."""
    arcs = []
    arc = 0
    for byte in content:
        arc = arc << 7 | byte & 0x7F
        if not byte & 0x80:
            arcs.append(arc)
            arc = 0
    if not arcs:
        raise DERError("an object without numbers")
    root = min(arcs[0] // 40, 2)
    return ".".join(str(arc) for arc in (root, arcs[0] - 40 * root, *arcs[1:]))


def _content(data: bytes, position: int) -> tuple[int, int]:
    """Start and end of the content of the field at `position`."""
    if data[position] & 0x1F == 0x1F or position + 2 > len(data):
        raise DERError("a tag of more than one byte, or no length")
    length = data[position + 1]
    start = position + 2
    if length & 0x80:
        size = length & 0x7F
        if not 0 < size <= 4 or start + size > len(data):
            raise DERError("a length that is none")
        length = int.from_bytes(data[start : start + size])
        start += size
    return start, start + length
