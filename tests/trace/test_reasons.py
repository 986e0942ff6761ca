"""Reasons for the selection of servers and locations."""

from __future__ import annotations

from pathlib import Path

import pytest

from sniproxy.config.model import Server
from sniproxy.routing import Locations, ServerNames
from sniproxy.trace import reasons
from tests.configured import locations, servers

NAMES = ("default.test", "exact.test *.star.test .dotted.test tail.*", "~^re", '""')
ADDRESS = "127.0.0.1:443"


def named(folder: Path, names: tuple[str, ...]) -> tuple[Server, ...]:
    return servers(folder, " ".join(f"server {{ server_name {name}; }}" for name in names))


@pytest.mark.parametrize(
    ("host", "name", "why"),
    [
        ("exact.test", "exact.test", 'by Host: exact name "exact.test"'),
        ("a.star.test", "exact.test", "by Host: wildcard *.star.test"),
        ("dotted.test", "exact.test", 'by Host: exact name "dotted.test"'),
        ("a.dotted.test", "exact.test", "by Host: wildcard .dotted.test"),
        ("tail.x", "exact.test", "by Host: wildcard tail.*"),
        ("re.test", "~^re", "by Host: regular expression ~^re"),
        ("default.test", "default.test", 'by Host: exact name "default.test"'),
        (
            "other",
            "default.test",
            f"default server of {ADDRESS}: no other has other among its names",
        ),
        ("", "(no name)", 'no Host: matches server_name ""'),
    ],
)
def test_servers(host: str, name: str, why: str, tmp_path: Path) -> None:
    made = named(tmp_path, NAMES)
    choice = reasons.server(ServerNames(made, made[0]), host, "Host", ADDRESS)
    assert (choice.name, choice.why) == (name, why)


@pytest.mark.parametrize(
    ("names", "host", "why"),
    [
        (("a.test",), "b.test", f"the only server of {ADDRESS}"),
        (("a.test", "b.test"), "", f"default server of {ADDRESS}: no SNI"),
    ],
)
def test_where_nothing_chooses(names: tuple[str, ...], host: str, why: str, tmp_path: Path) -> None:
    made = named(tmp_path, names)
    assert reasons.server(ServerNames(made, made[0]), host, "SNI", ADDRESS).why == why


LOCATIONS = """
    location = /exact { }
    location / { }
    location /app/ { location ~ \\.php$ { } location /app/deep/ { } location /app/v { } }
    location ^~ /static/ { }
    location ~ \\.gif$ { }
    location ~ \\.b { location ~ \\.c$ { } }
    location ~* \\.JPG$ { }
    location /slash/ { proxy_pass http://127.0.0.1:1; }
"""
NONE_MATCHES = "longest prefix, no regular expression beside it matches"


@pytest.mark.parametrize(
    ("path", "location", "why", "passed"),
    [
        ("/exact", "= /exact", "exact", ()),
        ("/x", "/", NONE_MATCHES, ()),
        ("/app/x.php", "~ \\.php$", "first regular expression that matches; inside /app/", ()),
        ("/app/deep/x", "/app/deep/", f"{NONE_MATCHES}; inside /app/", ()),
        (
            "/app/deep/x.php", "~ \\.php$",
            "first regular expression that matches; inside /app/", ("/app/deep/",),
        ),
        ("/static/a.gif", "^~ /static/", "longest prefix, and ^~ asks no regular expression", ()),
        ("/app/a.gif", "~ \\.gif$", "first regular expression that matches", ("/app/",)),
        ("/a.jpg", "~* \\.JPG$", "first regular expression that matches, in any case", ("/",)),
        (
            "/a.b.c", "~ \\.c$", "first regular expression that matches; inside ~ \\.b", ("/",),
        ),
        ("/slash", "/slash/", "its name is the path with a trailing slash: redirect", ()),
    ],
)  # fmt: skip
def test_locations(
    path: str, location: str, why: str, passed: tuple[str, ...], tmp_path: Path
) -> None:
    found = reasons.located(path, Locations(locations(tmp_path, LOCATIONS)).explain(path))
    assert (found.location, found.why, found.passed_over) == (location, why, passed)


def test_no_location(tmp_path: Path) -> None:
    made = Locations(locations(tmp_path, "location /b { }"))
    found = reasons.located("/a", made.explain("/a"))
    assert (found.location, found.why) == ("(server)", "no location matches")


def test_ten_thousand_nested_locations(tmp_path: Path) -> None:
    deep = 10_000
    nested = "location / { " * deep + "}" * deep
    found = reasons.located("/a", Locations(locations(tmp_path, nested)).explain("/a"))
    assert (found.location, found.why) == ("/", "longest prefix; inside /")
