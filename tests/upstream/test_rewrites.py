"""Rewriting of redirects and cookies: rules, and properties of all rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.config.directives.proxy_rewrites import CookieFlags, Replacement
from sniproxy.template import literal
from sniproxy.upstream.header_rewrite import (
    CookieRules,
    rewritten_cookie,
    rewritten_redirect,
    rewritten_refresh,
)
from sniproxy.variables import lookup
from tests.configured import make_context, request, servers


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path


def rewritten(directory: Path, directives: str, value: str, *, field: str) -> str | None:
    text = f"server {{ location / {{ proxy_pass http://h:81; {directives} }} }}"
    server = servers(directory, text)[0]
    proxy = server.default_location.locations[0].proxy
    of = make_context(request("/x?a=b", host="front.test"), server)
    if field == "cookie":
        rules = CookieRules(
            tuple(rule for rule in proxy.proxy_cookie_domain if rule),
            tuple(rule for rule in proxy.proxy_cookie_path if rule),
            tuple(rule for rule in proxy.proxy_cookie_flags if rule),
        )
        return rewritten_cookie(rules, value, lookup(of), of.set_captures)
    rewrite = {"location": rewritten_redirect, "refresh": rewritten_refresh}[field]
    redirects = [rule for rule in proxy.proxy_redirect if rule]
    return rewrite(redirects, value, lookup(of), of.set_captures)


@pytest.mark.parametrize(
    ("directives", "value", "new"),
    [
        ("proxy_redirect off;", "http://h:81/x", None),
        ("proxy_redirect /a /b;", "/ab/a", "/bb/a"),
        ("proxy_redirect /a /b;", "http://h/a", None),
        ("proxy_redirect /a /b;", "http://h:81/a", None),
        ("proxy_redirect /a /b; proxy_redirect default;", "http://h:81/a", "/a"),
        ("proxy_redirect /a /b; proxy_redirect / /c;", "/a", "/b"),
        ("proxy_redirect /a /b; proxy_redirect / /c/;", "/x", "/c/x"),
        ("proxy_redirect http://$host/ /$arg_a/;", "http://front.test/x", "/b/x"),
        (r"proxy_redirect ~^http://([a-z]+)/(.*)$ /$1?$2;", "http://up/x", "/up?x"),
        (r"proxy_redirect ~^http://(?<name>[a-z]+) /$name;", "http://up/x", "/up"),
        (r"proxy_redirect ~UP /;", "http://up/x", None),
        (r"proxy_redirect ~*UP /;", "http://up/x", "/"),
    ],
)
def test_redirects(directory: Path, directives: str, value: str, new: str | None) -> None:
    assert rewritten(directory, directives, value, field="location") == new


@pytest.mark.parametrize(
    ("value", "new"),
    [
        ("0; url=http://h:81/x", "0; url=/x"),
        ("0;URL=http://h:81/", "0;URL=/"),
        ("0; url=/x; url=http://h:81/x", None),
        ("5", None),
        ("http://h:81/x", None),
    ],
)
def test_refreshes(directory: Path, value: str, new: str | None) -> None:
    assert rewritten(directory, "", value, field="refresh") == new


@pytest.mark.parametrize(
    ("directives", "value", "new"),
    [
        ("proxy_cookie_domain a.test b.test;", "n=v; domain=A.test", "n=v; domain=b.test"),
        ("proxy_cookie_domain a.test b.test;", "n=v;Domain=.a.test;x", "n=v; Domain=.b.test; x"),
        ("proxy_cookie_domain .a.test .b.test;", "n=v; domain=a.test", "n=v; domain=b.test"),
        ("proxy_cookie_domain a.test b.test;", "n=v; domain=x.a.test", None),
        ("proxy_cookie_domain a.test b.test;", "n=v; domain", None),
        ("proxy_cookie_domain a.test b.test;", "domain=a.test; path=/", None),
        (
            r"proxy_cookie_domain ~\.?([a-z]+)\.test$ $1.new;",
            "n=v; domain=.A.test",
            "n=v; domain=A.new",
        ),
        ("proxy_cookie_path / /new/;", "n=v; path=/a", "n=v; path=/new/a"),
        ("proxy_cookie_path /b /new;", "n=v; path=/a", None),
        ("proxy_cookie_path ~*^/A(.*) /$1$host;", "n=v; path=/a/c", "n=v; path=//cfront.test"),
        ("proxy_cookie_path / /x;", "n; path=/a", None),
        ("proxy_cookie_flags ~ secure;", "n=v", "n=v; Secure"),
        ("proxy_cookie_flags N httponly samesite=strict;", "n=v", "n=v; HttpOnly; SameSite=Strict"),
        ("proxy_cookie_flags other secure;", "n=v", None),
        ("proxy_cookie_flags n nosecure nohttponly;", "n=v; Secure; a; httponly", "n=v; a"),
        ("proxy_cookie_flags n nosamesite;", "n=v ;SameSite=Lax", "n=v"),
        ("proxy_cookie_flags n samesite=lax;", "n=v; samesite=none; x", "n=v; SameSite=Lax; x"),
        ("proxy_cookie_flags n samesite=lax;", "n=v; samesite=lax", "n=v; samesite=lax"),
        ("proxy_cookie_flags n secure;", "n=v;secure", "n=v; secure"),
        ("proxy_cookie_flags n $arg_none;", "n=v", None),
        ("proxy_cookie_flags n bogus;", "n=v", None),
        ("proxy_cookie_flags m secure; proxy_cookie_flags n httponly;", "n=v", "n=v; HttpOnly"),
        ("proxy_cookie_domain off; proxy_cookie_path off;", "n=v; path=/", None),
    ],
)
def test_cookies(directory: Path, directives: str, value: str, new: str | None) -> None:
    assert rewritten(directory, directives, value, field="cookie") == new


TEXT = st.text(st.characters(codec="latin-1", exclude_characters=";="), max_size=8)


@given(st.lists(st.tuples(TEXT, st.none() | TEXT), min_size=1, max_size=5), TEXT)
def test_only_what_the_rules_name_changes(
    attributes: list[tuple[str, str | None]], path: str
) -> None:
    rules = CookieRules(
        paths=(Replacement(literal("/"), literal("/new/")),),
        flags=(CookieFlags(literal("never there "), (literal("secure"),)),),
    )
    text = ";".join(name if value is None else f"{name}={value}" for name, value in attributes)
    value = f"name={text};path=/{path}"
    new = rewritten_cookie(rules, value, lambda name: "", lambda match: None)
    assert new is not None
    before = [part.strip(" ") for part in value.split(";")]
    after = new.split("; ")
    assert len(after) == len(before)
    assert after[-1] == f"path=/new/{path}".strip(" ")


@given(TEXT)
def test_a_cookie_without_rules_stays(value: str) -> None:
    assert rewritten_cookie(CookieRules(), f"a={value}", lambda name: "", print) is None
