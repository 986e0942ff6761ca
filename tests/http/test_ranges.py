"""The Range field. Comparison with nginx: the conformance table `conditions`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.http.ranges import Part, RangeNotSatisfiableError, RangeRules, multipart, parse_ranges

RULES = RangeRules(2**31 - 1, reject_inefficient=True)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("0-0", [(0, 1)]),
        ("0-", [(0, 100)]),
        ("-1", [(99, 100)]),
        ("-200", [(0, 100)]),
        ("98-200", [(98, 100)]),
        ("  5  -  6  ", [(5, 7)]),
        ("0-1 , 3-4", [(0, 2), (3, 5)]),
        ("0-1,200-300,-0,5-4", [(0, 2)]),
        ("000000000000000000000000000001-2", [(1, 3)]),
        ("0-99,0-0", []),
        ("0-9223372036854775807", [(0, 100)]),
    ],
)
def test_requested_ranges(text: str, parts: list[Part]) -> None:
    assert list(parse_ranges(text, 100, RULES)) == parts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "-",
        "1",
        "1-x",
        "0-1,",
        ",0-1",
        "0-1;",
        "- 1",
        "100-",
        "-0",
        "5-4",
        "0-1,x",
        "0-9223372036854775808",
        "9" * 5000 + "-",
        "\xb2-",
    ],
)
def test_invalid_ranges_are_not_satisfiable(text: str) -> None:
    with pytest.raises(RangeNotSatisfiableError):
        parse_ranges(text, 100, RULES)


def test_empty_body_has_no_ranges() -> None:
    assert parse_ranges("0-", 0, RULES) == ()
    assert parse_ranges("-5", 0, RULES) == ()


def test_more_than_max_ranges_are_ignored() -> None:
    assert len(parse_ranges("0-0,2-2", 100, RangeRules(2, reject_inefficient=False))) == 2
    assert parse_ranges("0-0,2-2,4-4,x", 100, RangeRules(2, reject_inefficient=False)) == ()


def test_inefficient_ranges_are_ignored() -> None:
    text = ",".join(["0-0"] * 20)
    assert parse_ranges(text, 100, RULES) == ()
    assert len(parse_ranges(text, 100, RangeRules(100, reject_inefficient=False))) == 20


@given(st.text("0123456789-, ", max_size=30), st.integers(0, 50))
def test_ranges_are_within_the_body(text: str, length: int) -> None:
    try:
        parts = parse_ranges(text, length, RULES)
    except RangeNotSatisfiableError:
        return
    assert all(0 <= start < end <= length for start, end in parts)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(10, 20)), min_size=2, max_size=5))
def test_multipart_length_is_correct(parts: list[Part]) -> None:
    data = bytes(range(20))
    whole = multipart(tuple(parts), 20, "a/b")
    text = b"".join(
        piece if isinstance(piece, bytes) else data[piece[0] : piece[1]] for piece in whole.pieces
    )
    assert len(text) == whole.length
    boundary = whole.content_type.partition("boundary=")[2].encode()
    sections = text.split(b"\r\n--" + boundary)
    assert sections[0] == b""
    assert sections[-1] == b"--\r\n"
    for section, (start, end) in zip(sections[1:-1], parts, strict=True):
        head, _, body = section.partition(b"\r\n\r\n")
        assert f"Content-Range: bytes {start}-{end - 1}/20".encode() in head
        assert body == data[start:end]
