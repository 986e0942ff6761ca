"""Who may ask the live page."""

from __future__ import annotations

import pytest

from sniproxy.live.request_check import allowed_hosts, has_token, refusal
from sniproxy.models import Header, RequestHead

HOSTS = allowed_hosts("127.0.0.1", 4040)


def head(*fields: Header, path: str = "/api/requests", args: str = "") -> RequestHead:
    return RequestHead(f"GET {path} HTTP/1.1", "GET", path, path, args, 11, fields, "")


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ([("Host", "127.0.0.1:4040")], False),
        ([("Host", "localhost:4040")], False),
        ([("host", "LOCALHOST:4040")], False),
        ([("Host", "[::1]:4040")], False),
        ([("Host", "127.0.0.1")], True),
        ([("Host", "evil.test:4040")], True),
        ([("Host", "127.0.0.1:4040.evil.test")], True),
        ([], True),
        ([("Host", "127.0.0.1:4040"), ("Origin", "http://127.0.0.1:4040")], False),
        ([("Host", "127.0.0.1:4040"), ("Origin", "http://evil.test")], True),
        ([("Host", "127.0.0.1:4040"), ("Origin", "null")], True),
        ([("Host", "127.0.0.1:4040"), ("Origin", "http://127.0.0.1:4041")], True),
        ([("Host", "127.0.0.1:4040"), ("Sec-Fetch-Site", "cross-site")], True),
        ([("Host", "127.0.0.1:4040"), ("Sec-Fetch-Site", "same-site")], True),
        ([("Host", "127.0.0.1:4040"), ("Sec-Fetch-Site", "same-origin")], False),
        ([("Host", "127.0.0.1:4040"), ("Sec-Fetch-Site", "none")], False),
    ],
)
def test_requests_of_other_sites_are_refused(fields: list[Header], refused: bool) -> None:
    assert bool(refusal(head(*fields), HOSTS)) is refused


def test_the_address_that_was_connected_to_is_a_host() -> None:
    hosts = allowed_hosts("192.0.2.7", 4040)
    assert not refusal(head(("Host", "192.0.2.7:4040")), hosts)
    assert refusal(head(("Host", "192.0.2.8:4040")), hosts)


def test_a_link_to_the_page_may_be_followed() -> None:
    fields = [("Host", "127.0.0.1:4040"), ("Sec-Fetch-Site", "cross-site")]
    assert not refusal(head(*fields, path="/"), HOSTS)


@pytest.mark.parametrize(
    ("fields", "args", "in_query", "valid"),
    [
        ([("X-Live-Token", "abc")], "", False, True),
        ([("X-Live-Token", "abd")], "", False, False),
        ([("X-Live-Token", "\xff")], "", False, False),
        ([], "token=abc", True, True),
        ([], "token=abc", False, False),
        ([], "token=", True, False),
        ([], "", True, False),
    ],
)
def test_token(fields: list[Header], args: str, in_query: bool, valid: bool) -> None:
    assert has_token(head(*fields, args=args), "abc", in_query=in_query) is valid
