"""Parsing of numbers, sizes and times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.config.directives.slots import parse_offset, parse_size, parse_time
from sniproxy.config.numbers import parse_number


@pytest.mark.parametrize(
    ("text", "seconds", "whole"),
    [
        ("1", 1, 1), ("1s", 1, 1), ("1ms", 0.001, None), ("1m", 60, 60), ("1h 30m", 5400, 5400),
        ("1h30m", 5400, 5400), ("1y", None, 31_536_000), ("1M", None, 2_592_000),
        ("1w1d", 691_200, 691_200), ("1d1w", None, None), ("1m1m", None, None), ("1m 30", 90, 90),
        ("1 30", 31, 31), ("1 1m", None, None), ("", None, None), ("s", None, None),
        ("-1", None, None), ("1x", None, None), ("1.5s", None, None), (" 1", 1, 1),
        ("1s1ms", 1.001, None), ("1ms1s", None, None), ("9223372036854775807", None, None),
        ("99999999999999999999", None, None), ("1  ", 1, 1), ("1s ", 1, 1),
    ],
)  # fmt: skip
def test_parse_time(text: str, seconds: float | None, whole: float | None) -> None:
    assert parse_time(text) == seconds
    if text != "9223372036854775807":
        assert parse_time(text, whole_seconds=True) == whole


@pytest.mark.parametrize(
    ("text", "size", "offset"),
    [
        ("0", 0, 0), ("10", 10, 10), ("1k", 1024, 1024), ("1K", 1024, 1024),
        ("2m", 2 * 1024**2, 2 * 1024**2), ("1g", None, 1024**3), ("1G", None, 1024**3),
        ("", None, None), ("k", None, None), ("1kk", None, None), ("-1", None, None),
        ("9223372036854775807", 2**63 - 1, 2**63 - 1), ("9223372036854775808", None, None),
        ("9223372036854775807k", None, None), ("9223372036854775807g", None, None),
        ("\xb2", None, None),
    ],
)  # fmt: skip
def test_parse_size_and_offset(text: str, size: int | None, offset: int | None) -> None:
    assert parse_size(text) == size
    assert parse_offset(text) == offset


@given(st.text(st.characters(max_codepoint=255)))
def test_any_text_parses_or_is_none(text: str) -> None:
    for value in (parse_number(text), parse_size(text), parse_offset(text), parse_time(text)):
        assert value is None or value >= 0


@given(st.integers(0, 2**40), st.sampled_from(["", "k", "m"]))
def test_size_is_number_times_unit(number: int, unit: str) -> None:
    assert parse_size(f"{number}{unit}") == number * {"": 1, "k": 1024, "m": 1024**2}[unit]


@given(*[st.integers(0, 1000)] * 4)
def test_time_is_the_sum_of_its_parts(days: int, hours: int, minutes: int, seconds: int) -> None:
    expected = days * 86400 + hours * 3600 + minutes * 60 + seconds
    assert parse_time(f"{days}d {hours}h {minutes}m {seconds}s") == expected
    assert parse_time(f"{days}d{hours}h{minutes}m{seconds}", whole_seconds=True) == expected
