"""Masks of secrets in the JSON of entries."""

from __future__ import annotations

import pytest

from sniproxy.live.secret_values import (
    mask_configuration,
    mask_query,
    with_secrets,
    without_secrets,
)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("/", "/"),
        ("/?page=2", "/?page=2"),
        ("/?token=abc", "/?token=(masked)"),
        ("/?a=1&API_KEY=abc&b=2", "/?a=1&API_KEY=(masked)&b=2"),
        ("GET /?password=x%20y HTTP/1.1", "GET /?password=(masked) HTTP/1.1"),
        ('request: "GET /?sig=abc HTTP/1.1", host', 'request: "GET /?sig=(masked) HTTP/1.1", host'),
        ("token=abc&a=1", "token=(masked)&a=1"),
        ("/?token=&a=1", "/?token=&a=1"),
        ("/?monkey=1&mytoken=2", "/?monkey=1&mytoken=2"),
        ("https://a.test/cb?code=1#x", "https://a.test/cb?code=(masked)#x"),
    ],
)
def test_secret_parameters_of_a_query_are_masked(text: str, masked: str) -> None:
    assert mask_query(text) == masked


DETAIL = {
    "trace": {
        "request": {"line": "GET /?key=1 HTTP/1.1", "fields": [["Cookie", "(masked)"]]},
        "error_log": ["line with ?key=1"],
    },
    "hidden": [
        [["trace", "request", "fields", 0], ["Cookie", "a=secret"]],
        [["trace", "answer", "head", "fields", 7], ["Set-Cookie", "a=secret"]],
    ],
}


def test_nothing_that_is_hidden_leaves_without_being_revealed() -> None:
    public = without_secrets(DETAIL)
    assert "secret" not in str(public)
    assert public["trace"]["request"]["line"] == "GET /?key=(masked) HTTP/1.1"
    assert public["trace"]["error_log"] == ["line with ?key=(masked)"]
    assert public["masked"] is True


def test_hidden_values_are_put_in_their_place() -> None:
    revealed = with_secrets(DETAIL)
    assert revealed["trace"]["request"]["fields"] == [["Cookie", "a=secret"]]
    assert revealed["trace"]["request"]["line"] == "GET /?key=1 HTTP/1.1"
    assert "hidden" not in revealed


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("proxy_set_header Authorization $http_authorization;",) * 2,
        ('proxy_set_header Authorization "$auth";',) * 2,
        ("proxy_hide_header Set-Cookie;",) * 2,
        ("proxy_cookie_path / /app/;",) * 2,
        (
            'proxy_set_header Authorization "Basic YTpi";',
            "proxy_set_header Authorization (masked);",
        ),
        ("proxy_set_header Cookie a=b;", "proxy_set_header Cookie (masked);"),
        ('Authorization = "Bearer abc"', "Authorization = (masked)"),
        ("more_set_headers 'Set-Cookie: a=b';", "more_set_headers 'Set-Cookie: (masked)';"),
        (
            'proxy_ssl_certificate_key "data:-----BEGIN EC PRIVATE KEY-----\nMHc\n'
            '-----END EC PRIVATE KEY-----";\nlisten 80;',
            'proxy_ssl_certificate_key "data:(masked)\n\n";\nlisten 80;',
        ),
        ("-----BEGIN PRIVATE KEY-----\nMHc", "(masked)\n"),
    ],
)
def test_credentials_and_keys_of_a_configuration_are_masked(text: str, masked: str) -> None:
    assert mask_configuration(text) == masked
