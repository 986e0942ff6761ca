"""Normalizing and escaping of URIs: comparison with nginx, and properties."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sniproxy.http.uri import (
    URIError,
    escape_args,
    escape_html,
    escape_uri,
    escape_uri_component,
    escape_uri_in_html,
    normalise,
    split_target,
    unescape,
)
from tests.http.oracle import Nginx, ScriptedUpstream
from tests.http.requests import get

TARGETS = [
    "/",
    "/a/b.c",
    "//",
    "///a///b///",
    "/./",
    "/.",
    "/..",
    "/../",
    "/a/.",
    "/a/..",
    "/a/../",
    "/a/../..",
    "/a/./b/../c",
    "/a//../b",
    "/a/.b/..c/...",
    "/a/...?/../x",
    "/.//a",
    "/a..",
    "/a./b",
    "/%2e",
    "/%2E%2e/",
    "/a/%2e./b",
    "/a/.%2e",
    "/%2f%2F/a",
    "/a%2f..%2fb",
    "/%41%7e%e4",
    "/%25",
    "/%2541",
    "/%25%34%31",
    "/%3f?%3f",
    "/%3F/../a",
    "/%23#x",
    "/.%23",
    "/..%3f",
    "/%",
    "/%4",
    "/%4g",
    "/%g4",
    "/%?a",
    "/%4?a",
    "/%#a",
    "/%00",
    "/a?%00",
    "/a?%",
    "/a?b?c",
    "/a?b#c?d",
    "/a#b",
    "/a?",
    "/?",
    "/a+b",
    "/a%2bb%20c",
    "/%0a%0d",
    "/a/.?b",
    "/a/..?b",
    "/a/..#b",
    "/a/.#b",
]


def rendered(target: str, merge_slashes: bool) -> str:
    path, args = split_target(target)
    try:
        return f"{normalise(path, merge_slashes)}|{args}"
    except URIError:
        return "refused"


def nginx_rendered(nginx: Nginx, target: str) -> str:
    answer = nginx.ask(get(target=target))
    if answer.status == 400:
        return "refused"
    return "|".join(answer.body.decode("latin-1").split("|")[2:4])


@pytest.mark.nginx
@pytest.mark.parametrize("target", TARGETS)
def test_nginx_normalises_the_same(nginx: Nginx, unmerged: Nginx, target: str) -> None:
    assert rendered(target, True) == nginx_rendered(nginx, target)
    assert rendered(target, False) == nginx_rendered(unmerged, target)


PIECES = ["/", ".", "..", "a", "%2e", "%2F", "%25", "%3f", "%", "%4", "?", "#", "+", "\xe4"]


@pytest.mark.nginx
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=12))
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_nginx_normalises_anything_the_same(
    nginx: Nginx, unmerged: Nginx, pieces: list[str]
) -> None:
    target = "/" + "".join(pieces)
    assert rendered(target, True) == nginx_rendered(nginx, target)
    assert rendered(target, False) == nginx_rendered(unmerged, target)


@pytest.mark.nginx
def test_nginx_escapes_the_same(nginx: Nginx, upstream: ScriptedUpstream) -> None:
    upstream.script = b"HTTP/1.0 204 No Content\r\n\r\n"
    for byte in range(1, 256):
        nginx.ask(get(target=f"/replaced/a%{byte:02x}b"))
        sent = upstream.seen.decode("latin-1").split(" ", 2)[1]
        assert sent == "/with/" + escape_uri(f"a{chr(byte)}b")


@pytest.mark.nginx
def test_nginx_escapes_query_values_the_same(nginx: Nginx) -> None:
    for byte in range(1, 256):
        if chr(byte) not in "\n./":  # a dot in a regular expression, and path segments
            answer = nginx.ask(get(target=f"/args/a%{byte:02x}b"))
            rendered_args = answer.body.decode("latin-1").split("|")[3]
            assert rendered_args == "value=" + escape_args(f"a{chr(byte)}b")


# Properties

BYTES = st.text(st.characters(max_codepoint=255))


@given(BYTES)
def test_unescape_reverses_escape(text: str) -> None:
    for escape in (escape_uri, escape_args, escape_uri_component, escape_uri_in_html):
        assert unescape(escape(text)) == text


@given(BYTES.filter(lambda text: "\0" not in text))
def test_normalising_is_idempotent_except_for_escaped_percent_signs(text: str) -> None:
    path, _ = split_target("/" + text)
    try:
        normal = normalise(path)
    except URIError:
        return
    assert normal.startswith("/")
    assert normalise(escape_uri(normal)) == normal
    if "%" not in normal:
        assert normalise(normal) == normal


@given(BYTES)
def test_escaped_component_has_no_reserved_characters(text: str) -> None:
    left = escape_uri_component(text).replace("%", "")
    assert all(character.isalnum() or character in "-._~" for character in left)
    assert left.isascii()


@pytest.mark.parametrize(
    ("text", "decoded"),
    [("a%41", "aA"), ("%4", ""), ("%", ""), ("%g1", "g1"), ("%%41", "%41"), ("%4g1", "1")],
)
def test_unescape_is_lenient(text: str, decoded: str) -> None:
    assert unescape(text) == decoded


def test_escape_html() -> None:
    assert escape_html('<a b="c">&') == "&lt;a b=&quot;c&quot;&gt;&amp;"
