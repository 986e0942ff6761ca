"""Ranges cut out of a streamed body."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sniproxy.handlers.force_ranges import RangeBody


class Pieces:
    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self.abandoned = False

    async def read(self) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    def discard(self) -> None:
        self.abandoned = True


@given(
    st.lists(st.binary(min_size=1, max_size=6), max_size=6), st.integers(0, 40), st.integers(0, 40)
)
async def test_part_of_a_body_equals_the_slice(
    pieces: list[bytes], start: int, length: int
) -> None:
    whole = b"".join(pieces)
    body = Pieces(list(pieces))
    part = RangeBody(body, start, start + length)

    read = b""
    while piece := await part.read():
        read += piece
    assert read == whole[start : start + length]
    assert not body.pieces
    part.discard()
    assert body.abandoned
