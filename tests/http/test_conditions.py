"""Entity tags. Comparison with nginx: the conformance table `conditions`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.http.conditions import etag_matches


@pytest.mark.parametrize(
    ("listed", "etag", "weak", "matches"),
    [
        ("*", None, False, True),
        ("*", '"a"', True, True),
        ('"a"', None, True, False),
        ('"a"', '"a"', False, True),
        ('"a"', '"b"', False, False),
        ('"b", "a"', '"a"', False, True),
        ('"b" ,\t ,, "a" , "c"', '"a"', False, True),
        ('"a"x', '"a"', False, False),
        ('"a"x, "a"', '"a"', False, True),
        ('W/"a"', '"a"', False, False),
        ('W/"a"', '"a"', True, True),
        ('"a"', 'W/"a"', True, True),
        ('"a"', 'W/"a"', False, False),
        ('"b", W/"a"', 'W/"a"', True, True),
        ("", '"a"', True, False),
        ("**", '"a"', True, False),
    ],
)
def test_etag_matches(listed: str, etag: str | None, weak: bool, matches: bool) -> None:
    assert etag_matches(listed, etag, weak=weak) is matches


@given(st.text('Ww/"a, \t*', max_size=20), st.booleans())
def test_any_list_of_etags_is_read_to_its_end(listed: str, weak: bool) -> None:
    etag_matches(listed, '"a"', weak=weak)
