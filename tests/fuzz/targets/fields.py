"""Values of header fields, and URIs."""

from __future__ import annotations

from functools import partial

from sniproxy.cache.validity import validity_of
from sniproxy.cache.vary import variant_of
from sniproxy.handlers.auth_basic import find_user, is_slow, verify_password
from sniproxy.http import conditions, dates, ranges, uri
from sniproxy.http.content_type import media_type, split_content_type
from sniproxy.upstream.header_rewrite import CookieRules, rewritten_cookie
from sniproxy.variables.core import basic_credentials, find_cookie
from sniproxy.variables.secure_link import decode_base64url
from sniproxy.variables.userid import decode_identifier
from tests.fuzz.targets.target import Target, outcome

LENGTH = 1000


def cookies(data: bytes) -> None:
    """A cookie of a client, and one of an upstream."""
    text = data.decode("latin-1")
    found = find_cookie([("Cookie", text)], "a")
    assert found is None or found[0] in text
    decode_identifier(text)
    assert rewritten_cookie(CookieRules(), text, lambda name: None, lambda match: None) is None


def byte_ranges(data: bytes) -> None:
    """Parts lie in the body, and a multipart response has the length that it announces."""
    rules = ranges.RangeRules(10, reject_inefficient=True)
    try:
        parts = ranges.parse_ranges(data.decode("latin-1"), LENGTH, rules)
    except ranges.RangeNotSatisfiableError:
        return
    assert len(parts) <= 10
    assert all(0 <= start < end <= LENGTH for start, end in parts)
    if len(parts) > 1:
        assert ranges.multipart(parts, LENGTH, "text/plain").length > 0


def http_dates(data: bytes) -> None:
    """What is written for a date that was read is read as the same date."""
    seconds = dates.parse_http_date(data.decode("latin-1"))
    if seconds is not None and 0 <= seconds < 253402300800:
        assert dates.parse_http_date(dates.http_date(seconds)) == seconds


def basic_auth(data: bytes) -> None:
    """A password file after the first line, which is the Authorization of a client."""
    field, _, file = data.partition(b"\n")
    credentials = basic_credentials(field.decode("latin-1"))
    user, password = credentials or ("a", "b")
    assert user
    stored = find_user(file, user.encode("latin-1"))
    if stored is not None and not is_slow(stored):
        verify_password(password.encode("latin-1"), stored)


def slow_passwords(data: bytes) -> None:
    """The same for hashes that take time, unless they ask for more rounds than a test may take."""
    if b"rounds=" not in data and data[:4] not in (b"$2a$", b"$2b$", b"$2y$") and data[:1] != b"_":
        verify_password(b"password", data.partition(b"\n")[0])


def uris(data: bytes) -> None:
    """A normal path has no dots, and no slashes in a row."""
    text = data.decode("latin-1")
    for merge_slashes in (True, False):
        normal = outcome(partial(uri.normalise, "/" + text, merge_slashes), uri.URIError)
        if isinstance(normal, str):
            assert normal.startswith("/")
            assert not {".", ".."} & set(normal.split("/"))
            assert not merge_slashes or "//" not in normal
    uri.split_target(text)
    uri.unescape(text)
    outcome(lambda: uri.internal_target(text), uri.URIError)
    assert "<" not in uri.escape_html(text)


def cache_fields(data: bytes) -> None:
    """Lines `Name: value` of an upstream's response."""
    headers = []
    for line in data.decode("latin-1").split("\n"):
        name, _, value = line.partition(":")
        headers.append((name, value.strip()))
    validity = validity_of(headers, (), 1_700_000_000)
    assert validity.updating >= 0
    assert validity.error >= 0
    assert len(variant_of(bytes(16), validity.vary, headers)) == 16


def etags(data: bytes) -> None:
    listed, _, etag = data.decode("latin-1").rpartition("\n")
    for weak in (True, False):
        conditions.etag_matches(listed, etag or None, weak=weak)
    media_type(listed)
    split_content_type(listed)
    decode_base64url(listed)


TARGETS = (
    Target("cookies", cookies),
    Target("ranges", byte_ranges),
    Target("dates", http_dates),
    Target("basic_auth", basic_auth),
    Target("slow_passwords", slow_passwords),
    Target("uris", uris),
    Target("cache_fields", cache_fields),
    Target("etags", etags),
)
