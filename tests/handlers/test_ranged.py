"""A part of a body that goes by."""

from __future__ import annotations

import trio
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.handlers.ranged import PartOf


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
def test_a_part_is_what_a_slice_is(pieces: list[bytes], start: int, length: int) -> None:
    whole = b"".join(pieces)
    body = Pieces(list(pieces))
    part = PartOf(body, start, start + length)

    async def read() -> bytes:
        read = b""
        while piece := await part.read():
            read += piece
        return read

    assert trio.run(read) == whole[start : start + length]
    assert not body.pieces
    part.discard()
    assert body.abandoned
