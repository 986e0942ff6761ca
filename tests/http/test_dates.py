"""Parsing and formatting of HTTP dates."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.http.dates import http_date, parse_http_date

MOMENT = 784111777  # the example of RFC 9110
FORMS = (
    "%a, %d %b %Y %H:%M:%S GMT",
    "%A, %d-%b-%y %H:%M:%S GMT",
    "%a %b %d %H:%M:%S %Y",
)


def test_http_date() -> None:
    assert http_date(MOMENT) == "Sun, 06 Nov 1994 08:49:37 GMT"


@given(st.integers(0, int(2**31 * 1.4)), st.sampled_from(FORMS))
def test_all_three_forms_are_parsed(moment: int, form: str) -> None:
    assert parse_http_date(time.strftime(form, time.gmtime(moment))) == moment


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37",
        ",06 Nov 1994 08:49:37",
        "whatever,  06 Nov 1994 08:49:37 and more",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov 06 08:49:37 1994 and more",
        "Sun  Nxx 06 08:49:37 1994",
    ],
)
def test_weekday_and_trailing_text_are_ignored(text: str) -> None:
    assert parse_http_date(text) == MOMENT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "Sun, 06 Nov 1994",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:60 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 1994 08:49:37 GMT",
        "Sun, 29 Feb 1900 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun Nov 006 08:49:37 1994",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, \xb9\xb9 Nov 1994 08:49:37 GMT",
    ],
)
def test_invalid_dates_are_none(text: str) -> None:
    assert parse_http_date(text) is None


def test_two_digit_years() -> None:
    for year, full in (("69", 2069), ("70", 1970)):
        moment = parse_http_date(f"Sunday, 06-Nov-{year} 08:49:37 GMT")
        assert time.gmtime(moment).tm_year == full


@given(st.text(st.characters(max_codepoint=255), max_size=40))
def test_any_text_is_a_date_or_none(text: str) -> None:
    parse_http_date(text)


@given(st.integers(0, 2**31), st.sampled_from(FORMS), st.integers(0, 40), st.integers(0, 255))
def test_any_date_like_text_is_a_date_or_none(
    moment: int, form: str, position: int, byte: int
) -> None:
    text = time.strftime(form, time.gmtime(moment))
    parse_http_date(text[:position] + chr(byte) + text[position + 1 :])
