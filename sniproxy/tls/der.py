"""As much of DER as certificates and sessions need: fields, one inside the other (pure).

Source: X.690, definite lengths only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

INTEGER, OBJECT, UTC_TIME = 0x02, 0x06, 0x17
"""Tags."""


class DERError(ValueError):
    """The bytes are no DER, or end too early."""


@dataclass(frozen=True, slots=True)
class Field:
    """A tag with its content."""

    tag: int
    content: bytes
    encoded: bytes
    """Tag, length and content."""

    def __iter__(self) -> Iterator[Field]:
        """The fields inside. Raises NotDER."""
        return fields(self.content)


def fields(data: bytes) -> Iterator[Field]:
    """The fields of `data`, one after the other. Raises NotDER."""
    position = 0
    while position < len(data):
        start, end = _content(data, position)
        if end > len(data):
            raise DERError("a field runs past its end")
        yield Field(data[position], data[start:end], data[position:end])
        position = end


def first(data: bytes) -> Field:
    """The first field of `data`. Raises NotDER."""
    for field in fields(data):
        return field
    raise DERError("nothing is there")


def object_name(content: bytes) -> str:
    """The dotted numbers of an OBJECT IDENTIFIER."""
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
    """Where the content of the field at `position` starts and ends."""
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
