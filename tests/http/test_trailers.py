"""Trailers, received in pieces of any size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.http.trailers import MalformedTrailersError, TrailerReader


@pytest.mark.parametrize(
    ("data", "trailers", "rest"),
    [
        (b"\r\n", [], b""),
        (b"A: b\r\n\r\n", [("A", "b")], b""),
        (b"A:b \r\nc-d:\r\n\r\nmore", [("A", "b"), ("c-d", "")], b"more"),
        (b"A: b\n\nx", [("A", "b")], b"x"),
    ],
)
def test_trailers_are_read(data: bytes, trailers: list[tuple[str, str]], rest: bytes) -> None:
    reader = TrailerReader(100)
    reader.feed(data)
    assert (reader.trailers, reader.done, reader.leftover) == (trailers, True, rest)


@pytest.mark.parametrize(
    ("data", "limit", "words"),
    [
        (b"A b: c\r\n\r\n", 100, 'upstream sent invalid trailer: "A\\x20..."'),
        (b"A: \0\r\n\r\n", 100, 'upstream sent invalid trailer: "A: \\x00..."'),
        (b"A: bcdefgh", 10, "upstream sent too big trailers"),
        (b"A: bcdefgh\r\n\r\n", 12, "upstream sent too big trailers"),
    ],
)
def test_malformed_trailers_are_rejected(data: bytes, limit: int, words: str) -> None:
    with pytest.raises(MalformedTrailersError) as bad:
        TrailerReader(limit).feed(data)
    assert str(bad.value) == words


NAMES = st.text("abcXYZ-", min_size=1, max_size=5)
VALUES = st.text("abc 123;=", max_size=8).map(str.strip)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=4), st.binary(max_size=5), st.data())
def test_result_is_independent_of_how_data_is_split(
    fields: list[tuple[str, str]], rest: bytes, data: st.DataObject
) -> None:
    whole = "".join(f"{name}: {value}\r\n" for name, value in fields).encode() + b"\r\n" + rest
    end = len(whole) - len(rest)
    cuts = sorted(data.draw(st.lists(st.integers(0, end - 1), max_size=4)))
    reader = TrailerReader(1000)
    for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        reader.feed(whole[start:stop])
    assert (reader.trailers, reader.done, reader.leftover) == (fields, True, rest)
