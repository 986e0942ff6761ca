"""Response headers for the client: hidden fields, redirects, X-Accel fields."""

from __future__ import annotations

from pathlib import Path

import pytest

from sniproxy.models import Header, ResponseHead
from sniproxy.upstream.http1 import HTTP1Protocol
from sniproxy.upstream.response_headers import (
    FilteredHeaders,
    ResponseHeaderPolicy,
    is_buffered,
    limit_rate,
)
from tests.configured import make_context, request, servers

SEEN = ("X-Accel-Other", "set-cookie", "ETag")
HIDDEN = (
    *("Date", "server", "X-Pad", "X-Accel-Expires", "X-Accel-Redirect", "X-Accel-Limit-Rate"),
    *("X-Accel-Buffering", "X-Accel-Charset"),
)
FRAMING = ("Connection", "Keep-Alive", "Transfer-Encoding", "Content-Length")


def rules(
    directory: Path, more: str = "", name: str = "/", target: str = "http://h"
) -> ResponseHeaderPolicy:
    text = f"server {{ location {name} {{ proxy_pass {target}; {more} }} }}"
    server = servers(directory, text)[0]
    return HTTP1Protocol(server.default_location.locations[0]).response_headers


def replied(directory: Path, of: ResponseHeaderPolicy, *headers: Header) -> FilteredHeaders:
    server = servers(directory, "server { }")[0]
    request_ = make_context(request("/x?a=b"), server)
    return of.filter(ResponseHead(11, 200, "OK", headers), request_)


@pytest.mark.parametrize(
    ("directives", "names", "own"),
    [
        ("", SEEN, (True, True)),
        ("proxy_hide_header etag; proxy_hide_header X-Other;", SEEN[:2], (True, True)),
        ("proxy_pass_header Server;", ("server", *SEEN), (False, True)),
        ("proxy_pass_header date;", ("Date", *SEEN), (True, False)),
        ("proxy_pass_header X-Accel-Redirect;", ("X-Accel-Redirect", *SEEN), (True, True)),
        ("proxy_pass_header Connection;", SEEN, (True, True)),
        ("proxy_hide_header ETag; proxy_pass_header ETag;", SEEN, (True, True)),
    ],
)
def test_hidden_fields(
    tmp_path: Path, directives: str, names: tuple[str, ...], own: tuple[bool, bool]
) -> None:
    of = rules(tmp_path, directives)
    reply = replied(tmp_path, of, *((name, "x") for name in (*HIDDEN, *FRAMING, *SEEN)))
    assert tuple(name for name, _ in reply.headers) == names
    assert (of.own_server, of.own_date) == own


@pytest.mark.parametrize(
    ("name", "target", "value", "rewritten"),
    [
        ("/a/", "http://h:81/there/", "http://h:81/there/x?y#z", "/a/x?y#z"),
        ("/a/", "http://h:81/there/", "http://h:81/there/", "/a/"),
        ("/a/", "http://h:81/there/", "http://h:81/there", None),
        ("/a/", "http://h:81/there/", "http://h:81/other", None),
        ("/a/", "http://h:81/there/", "HTTP://h:81/there/x", None),
        ("/a/", "http://h:81/there/", "https://h:81/there/x", None),
        ("/a/", "http://h:81/there/", "/there/x", None),
        ("/a/", "http://h:81/there", "http://h:81/thereabouts", "/a/abouts"),
        ("= /a", "http://h:81/there", "http://h:81/there", "/a"),
        ("/a/", "http://h:81", "http://h:81/x", "/x"),
        ("/a/", "http://h:81", "http://h:81", None),
        ("~ ^/a", "http://h:81", "http://h:81/x", "/x"),
        ("/a/", "https://h", "https://h/x", "/x"),
    ],
)
def test_redirects_by_default(
    tmp_path: Path, name: str, target: str, value: str, rewritten: str | None
) -> None:
    reply = replied(tmp_path, rules(tmp_path, "", name, target), ("Location", value))
    assert reply.location == (None if rewritten is None else f"http://192.0.2.2{rewritten}")
    assert reply.headers == ([("Location", value)] if rewritten is None else [])


def test_the_type_has_a_place_of_its_own(tmp_path: Path) -> None:
    reply = replied(tmp_path, rules(tmp_path), ("content-type", "a/b"), ("X", "y"))
    assert (reply.content_type, reply.headers) == ("a/b", [("X", "y")])


def test_what_stays_with_a_request_that_goes_elsewhere(tmp_path: Path) -> None:
    of = rules(tmp_path, "proxy_hide_header Expires; proxy_cookie_path / /a;")
    server = servers(tmp_path, "server { }")[0]
    request_ = make_context(request("/"), server)
    reply = of.redirect_headers(
        (
            ("Content-Type", "a/b"),
            ("Set-Cookie", "a=b; path=/"),
            ("Expires", "x"),
            ("ETag", "x"),
            ("Location", "x"),
            ("Content-Disposition", "x"),
        ),
        request_,
    )
    assert reply.content_type == "a/b"
    assert reply.headers == [
        ("Set-Cookie", "a=b; path=/a"),
        ("Expires", "x"),
        ("Content-Disposition", "x"),
    ]


@pytest.mark.parametrize(
    ("directives", "obeyed"),
    [
        ("", {"redirect": "/x", "buffering": "no"}),
        ("proxy_ignore_headers X-Accel-Redirect Vary;", {"buffering": "no"}),
        ("proxy_hide_header X-Accel-Buffering;", {"redirect": "/x", "buffering": "no"}),
    ],
)
def test_what_is_obeyed(tmp_path: Path, directives: str, obeyed: dict[str, str]) -> None:
    fields = (("X-Accel-Redirect", "/x"), ("X-Other", "y"), ("x-accel-buffering", "no"))
    head = ResponseHead(11, 200, "OK", fields)
    assert rules(tmp_path, directives).x_accel_headers(head) == obeyed


@pytest.mark.parametrize(
    ("output", "otherwise", "buffered"),
    [(None, True, True), ("No", True, False), ("yes", False, True), ("off", True, True)],
)
def test_buffering(output: str | None, otherwise: bool, buffered: bool) -> None:
    assert is_buffered({} if output is None else {"buffering": output}, otherwise) is buffered


@pytest.mark.parametrize(("output", "rate"), [("10", 10), ("0", 0), ("x", 7), ("-1", 7), ("", 7)])
def test_rates(output: str, rate: int) -> None:
    assert limit_rate({"limit-rate": output}, 7) == rate
    assert limit_rate({}, None) is None
