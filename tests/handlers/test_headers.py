"""`expires`, and replacing header fields."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.config.directives.headers import Expires, ExpiresBase, ExpiresError, parse_expires
from sniproxy.handlers.added_headers import expiry, next_local_time, replaced
from sniproxy.http.dates import http_date

NOW = 1_750_000_000


@pytest.mark.parametrize(
    ("text", "modified", "expires"),
    [
        ("epoch", False, Expires(ExpiresBase.EPOCH)),
        ("max", False, Expires(ExpiresBase.MAX)),
        ("off", False, Expires(ExpiresBase.OFF)),
        ("0", False, Expires(ExpiresBase.NOW)),
        ("1h 30m", False, Expires(ExpiresBase.NOW, 5400)),
        ("+1y", False, Expires(ExpiresBase.NOW, 31_536_000)),
        ("-1", False, Expires(ExpiresBase.NOW, -1)),
        ("@15h", False, Expires(ExpiresBase.MIDNIGHT, 54000)),
        ("@24h", False, Expires(ExpiresBase.MIDNIGHT, 86400)),
        ("1d", True, Expires(ExpiresBase.MODIFIED, 86400)),
        ("-1d", True, Expires(ExpiresBase.MODIFIED, -86400)),
    ],
)
def test_parse_expires(text: str, modified: bool, expires: Expires) -> None:
    assert parse_expires(text, modified=modified) == expires


@pytest.mark.parametrize(
    ("text", "modified"),
    [("", False), ("x", False), ("@25h", False), ("@1h", True), ("max", True), ("+", False)],
)
def test_invalid_expires_is_an_error(text: str, modified: bool) -> None:
    with pytest.raises(ExpiresError):
        parse_expires(text, modified=modified)


@pytest.mark.parametrize(
    ("expires", "modified", "at", "control"),
    [
        (Expires(ExpiresBase.NOW, 60), None, NOW + 60, "max-age=60"),
        (Expires(ExpiresBase.NOW, 60), NOW - 9, NOW + 60, "max-age=60"),
        (Expires(ExpiresBase.NOW), None, NOW, "max-age=0"),
        (Expires(ExpiresBase.NOW, -60), None, NOW - 60, "no-cache"),
        (Expires(ExpiresBase.MODIFIED, 60), NOW - 9, NOW + 51, "max-age=51"),
        (Expires(ExpiresBase.MODIFIED, 60), NOW - 90, NOW - 30, "no-cache"),
        (Expires(ExpiresBase.MODIFIED, 60), None, NOW + 60, "max-age=60"),
        (Expires(ExpiresBase.MODIFIED), NOW - 9, NOW, "max-age=0"),
    ],
)
def test_expires_sets_cache_control(
    expires: Expires, modified: int | None, at: int, control: str
) -> None:
    assert expiry(expires, NOW, modified) == (http_date(at), control)


def test_negative_expires_disables_caching() -> None:
    later = expiry(Expires(ExpiresBase.MODIFIED, -60), NOW, NOW + 900, negative=True)
    assert later == (http_date(NOW + 840), "no-cache")


@given(st.integers(0, 86400), st.integers(1_000_000_000, 2_000_000_000))
def test_time_of_day_is_within_the_next_day(seconds: int, now: int) -> None:
    at = next_local_time(seconds, now)
    assert now < at <= now + 25 * 3600
    local = time.localtime(at)
    passed = (local.tm_hour * 60 + local.tm_min) * 60 + local.tm_sec
    assert passed == seconds % 86400


HEADERS = st.lists(
    st.tuples(st.sampled_from(["A", "a", "B"]), st.sampled_from(["1", "2"])), max_size=4
)


@given(HEADERS, st.sampled_from(["", "new"]))
def test_field_replaces_the_first_of_the_same_name(
    headers: list[tuple[str, str]], value: str
) -> None:
    changed = replaced(headers, "a", value)
    others = [field for field in changed if field[0] == "B"]
    assert others == [field for field in headers if field[0] == "B"]
    known = any(name in "Aa" for name, _ in headers)
    grown = (1 if value else 0) - (1 if known else 0)
    assert len(changed) == len(headers) + grown
    assert (("a", "new") in changed) == bool(value)
