"""`more_set_headers`, `more_clear_headers`, and those for requests, beside nginx."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from sniproxy import ConfigError, parse
from tests.handlers.filter_pair import compare, get

LOCATIONS = """
    more_set_headers "X-Outer: outer";
    location /set/ { more_set_headers "X-A: a" "x-b: $arg_v" 'Set-Cookie: c'; UPSTREAM }
    location /own { more_set_headers "X-A: a" "Server: mine" "Date: now"; add_header X-C c;
        return 200 ok; }
    location /no-colon/ { more_set_headers "X-A a b" "X-B::: c " " X-Foo: d"; UPSTREAM }
    location /clear/ { more_clear_headers X-A "Server" Content-Type etag; UPSTREAM }
    location /clear-own { more_clear_headers Server Date Content-Type; return 200 ok; }
    location /wild/ { more_clear_headers "X-*"; UPSTREAM }
    location /wild-set/ { more_set_headers "X-*: w"; UPSTREAM }
    location /builtin/ { more_set_headers "Cache-Control: no-store" "Expires: 0"
        "Last-Modified: never" "Content-Encoding: br" "Refresh: 1" "WWW-Authenticate: x"; UPSTREAM }
    location /builtin-clear/ { more_clear_headers Expires Last-Modified Content-Encoding
        Location Content-Length WWW-Authenticate Accept-Ranges; UPSTREAM }
    location /control-clear/ { more_clear_headers Cache-Control; UPSTREAM }
    location /type/ { more_set_headers "Content-Type: text/css"; UPSTREAM }
    location /type-charset/ { charset utf-8; charset_types text/css;
        more_set_headers "Content-Type: text/css"; UPSTREAM }
    location /type-with/ { more_set_headers "Content-Type: text/css; charset=a"; UPSTREAM }
    location /types/ { more_set_headers -t "text/html text/css;text/xml" "X-A: a"; UPSTREAM }
    location /status/ { more_set_headers -s "404 500" -s 200 "X-A: a"; UPSTREAM }
    location /both/ { more_set_headers -t text/html -s 404 "X-A: a"; UPSTREAM }
    location /append/ { more_set_headers -a "X-A: b" "X-B: $arg_v"; UPSTREAM }
    location /order/ { more_set_headers "X-A: 1"; more_clear_headers X-A;
        more_set_headers "X-A: 2"; add_header X-A 3; add_header X-Sent $sent_http_x_a; UPSTREAM }
    location /location/ { more_set_headers "Location: $arg_v"; UPSTREAM }
    location /redirect { more_set_headers "Location: /y"; return 302 /x; }
    location /redirect-away { more_set_headers "LOCATION: http://y/"; return 302 /x; }
    location /redirect-clear { more_clear_headers Location; return 302 /x; }
    location /redirect-wild { more_clear_headers "Loc*"; return 302 /x; }
    location /404 { more_set_headers -s 404 "X-A: a"; return 404; }
    location /if/ { more_set_headers "X-A: a"; UPSTREAM
        if ($arg_z) { more_set_headers "X-B: b"; } }
    location /file/ { alias html/; more_set_headers "X-A: $sent_http_etag" "ETag: e"; }
    location /file-clear/ { alias html/; more_clear_headers ETag Last-Modified Accept-Ranges; }
    location /file-time/ { alias html/; more_set_headers "Last-Modified: t" "Expires: e";
        expires 1h; }
    location /in/ { more_set_input_headers "X-A: a" "User-Agent: me" "X-V: $arg_v"; UPSTREAM }
    location /in-clear/ { more_clear_input_headers X-A User-Agent Cookie; UPSTREAM }
    location /in-wild/ { more_clear_input_headers "X-*"; UPSTREAM }
    location /in-wild-set/ { more_set_input_headers "X-*: w"; UPSTREAM }
    location /in-replace/ { more_set_input_headers -r "X-A: r" "X-B: r"; UPSTREAM }
    location /in-type/ { more_set_input_headers -t "text/plain text/css" "X-A: t"; UPSTREAM }
    location /in-host/ { more_set_input_headers "Host: $arg_v"; add_header X-Host $host;
        proxy_set_header Host $host; UPSTREAM }
    location /in-length/ { more_clear_input_headers Content-Length; UPSTREAM }
    location /in-close/ { more_set_input_headers "Connection: close"; UPSTREAM }
    location /in-cookie/ { more_set_input_headers "Cookie: a=b" "X-Forwarded-For: f";
        add_header X-Cookie $cookie_a; UPSTREAM }
    location /in-rewrite/ { set $a $http_x_a; more_set_input_headers "X-A: new";
        add_header X-Before $a; UPSTREAM }
    location /in-range/ { alias html/; more_clear_input_headers Range If-None-Match; }
"""
FIELDS = (
    *("", "X-A: 1", "X-A: 1|x-a: 2|X-B: 3", "Cache-Control: a|Cache-Control: b", "Expires: x"),
    *("Location: /z", "Location: http://z/", "Content-Encoding: gzip", 'ETag: "e"', "Server: s"),
    *("Last-Modified: l", "WWW-Authenticate: a|WWW-Authenticate: b", "Set-Cookie: 1|Set-Cookie: 2"),
    *("Refresh: 3", "Accept-Ranges: bytes"),
)
PLACES = (
    *("set", "no-colon", "clear", "wild", "wild-set", "builtin", "builtin-clear", "control-clear"),
    *("type", "type-charset", "type-with", "types", "status", "both", "append", "order"),
    *("location", "if"),
)
OWN = (
    *("/own", "/clear-own", "/redirect", "/redirect-away", "/redirect-clear", "/redirect-wild"),
    *("/404", "/nosuch", "/file/a.html", "/file-clear/a.html", "/file-time/a.html"),
)


def requests() -> Iterator[bytes]:
    for place in PLACES:
        for field in FIELDS:
            yield get(f"/{place}/?h={quote(field)}")
        for value in ("v", "", "/v", "http://v/"):
            yield get(f"/{place}/?v={quote(value)}")
            yield get(f"/{place}/?v={quote(value)}&s=302&h=Location:%20/z")
        for kind in ("text/html; charset=x", "text/css", "TEXT/HTML", "text/xml", ""):
            yield get(f"/{place}/?t={quote(kind)}")
        for status in (204, 301, 404, 500):
            yield get(f"/{place}/?s={status}&b=")
        yield get(f"/{place}/?z=1", method="HEAD")
        yield get(f"/{place}/?z=1", version="1.0")
    for target in OWN:
        yield get(target)
        yield get(target, method="HEAD")
        yield get(target, "Range: bytes=0-2")
        yield get(target, "If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT")
    sent = ("X-A: 1", "User-Agent: u", "Cookie: a=1", "x-a: 2", "X-B: 3", "Cookie: b=2", "X_A: 4",
            "X-Forwarded-For: 1", "X-Forwarded-For: 2", "X-V: v")  # fmt: skip
    for place in ("in", "in-clear", "in-wild", "in-wild-set", "in-replace", "in-type", "in-close",
                  "in-cookie", "in-rewrite"):  # fmt: skip
        yield get(f"/{place}/echo")
        yield get(f"/{place}/echo?v=w", *sent)
        yield get(f"/{place}/echo", "Content-Type: text/plain", *sent)
        yield get(f"/{place}/echo", "Content-Type: text/plain; a=b", "X-A: 1")
        yield get(f"/{place}/echo", "X-A: 1", version="1.0")
    for value in (
        "a.test",
        "A.Test:80",
        "[::1]:8080",
        "a.test.",
        "a_b",
        "a:b:c",
        "",
        "a%2Fb",
        "a..b",
        ".",
    ):
        yield get(f"/in-host/echo?v={quote(value)}")
    yield get("/in-range/a.html", "Range: bytes=0-2")
    yield get("/in-range/a.html", 'If-None-Match: "x"')


@pytest.mark.nginx
def test_fields_are_changed_as_by_nginx(tmp_path: Path) -> None:
    files = {"a.html": b"<p>hello</p>"}
    outcomes = compare(
        tmp_path, LOCATIONS, requests(), files=files, log="$status $sent_http_x_a $host"
    )
    changed = [one for one in outcomes if ("X-Outer", "outer") in one.headers]
    assert len(changed) > 300


@pytest.mark.parametrize(
    ("directive", "message"),
    [
        ('more_set_headers -x "A: b"', 'more_set_headers: invalid option name: "-x"'),
        ('more_clear_headers -a "A"', 'more_clear_headers: invalid option name: "-a"'),
        ("more_set_headers -r A", 'more_set_headers: invalid option name: "-r"'),
        ("more_set_input_headers -s 404 A", 'more_set_input_headers: invalid option name: "-s"'),
        ("more_set_headers -t", "more_set_headers: option -t takes an argument."),
        ("more_set_headers -s", "more_set_headers: option -s takes an argument."),
        (
            "more_set_headers -s 40x A",
            'more_set_headers: invalid digit "x" found in the status code list "40x"',
        ),
        ('more_set_headers " "', "more_set_headers: no key found in the header argument:  "),
        ("more_clear_headers *", "more_clear_headers: wildcard key too short: *"),
        (
            'more_set_headers -a "Server: x"',
            'more_set_headers: can not append builtin headers "Server"',
        ),
    ],
)
def test_errors_are_worded_as_by_the_module(directive: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(f"events {{}} http {{ {directive}; }}")
    assert (refused.value.level.label, str(refused.value)) == ("error", message)
