"""Secrets are masked by field name, and their values everywhere."""

from __future__ import annotations

import pytest

from sniproxy.models import Header
from sniproxy.trace.masking import MASK, is_secret_variable, masked, masked_fields, secrets
from sniproxy.trace.steps import Choice, Head


def test_fields_by_their_names() -> None:
    fields = (("COOKIE", "a"), ("Set-Cookie", ""), ("Authorization", "Basic x"), ("Host", "a"))
    assert masked_fields((*fields, ("Proxy-Authorization", "x"))) == (
        ("COOKIE", MASK), ("Set-Cookie", MASK), ("Authorization", MASK), ("Host", "a"),
        ("Proxy-Authorization", MASK),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("http_cookie", True),
        ("http_authorization", True),
        ("http_proxy_authorization", True),
        ("cookie_session", True),
        ("upstream_cookie_session", True),
        ("upstream_http_set_cookie", True),
        ("sent_http_set_cookie", True),
        ("http_host", False),
        ("host", False),
        ("cookie", False),
    ],
)
def test_variables_by_their_names(name: str, secret: bool) -> None:
    assert is_secret_variable(name) is secret


@pytest.mark.parametrize(
    ("field", "found"),
    [
        (("Authorization", "Bearer 0123456789"), {"Bearer 0123456789", "0123456789"}),
        (("Authorization", "0123456789"), {"0123456789"}),
        (("Cookie", "a=secret1; b=secret2"), {"a=secret1; b=secret2", "secret1", "secret2"}),
        (("Cookie", "a=b"), set()),  # too short to be distinguished from other text
        (("Set-Cookie", "a=secret; Path=/"), {"a=secret; Path=/", "secret"}),
        (("Host", "front.test"), set()),
    ],
)
def test_values_to_be_masked(field: Header, found: set[str]) -> None:
    assert set(secrets([field])) == found


def test_values_wherever_they_stand() -> None:
    head = Head("GET /?t=secret1 HTTP/1.1", (("X", "a secret1 b"), ("Y", "0")))
    assert masked(head, secrets([("Cookie", "a=secret1")])) == Head(
        f"GET /?t={MASK} HTTP/1.1", (("X", f"a {MASK} b"), ("Y", "0"))
    )
    assert masked(head, ()) is head
    assert masked(Choice("a", "b", "c"), ("d",)) == Choice("a", "b", "c")
