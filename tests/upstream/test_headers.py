"""Request heads sent to upstreams."""

from __future__ import annotations

from pathlib import Path

import pytest

from sniproxy.config.model import Location, Server
from sniproxy.models import Header
from sniproxy.upstream.http1 import RequestHeaderBuilder, upstream_uri
from tests.configured import make_context, request, servers


def proxied(directory: Path, name: str, target: str, more: str = "") -> tuple[Server, Location]:
    text = f"server {{ location {name} {{ proxy_pass {target}; {more} }} }}"
    server = servers(directory, text)[0]
    return server, server.default_location.locations[0]


@pytest.mark.parametrize(
    ("name", "target", "query", "path", "sent"),
    [
        # Without a URI the client's target is sent unchanged.
        ("/a/", "http://h", "/a/%20//b/../c?d=%20#e", "/a/ /c", "/a/%20//b/../c?d=%20#e"),
        ("~ ^/a", "http://h", "/a%2Fb", "/a/b", "/a%2Fb"),
        # A URI replaces the part of the normalized path that the location's name matched.
        ("/a/", "http://h/", "/a/b", "/a/b", "/b"),
        ("/a/", "http://h/new/", "/a/b?c", "/a/b", "/new/b?c"),
        ("/a", "http://h/new", "/a/b", "/a/b", "/new/b"),
        ("/a/", "http://h/new", "/a/b", "/a/b", "/newb"),
        ("= /a", "http://h/x", "/a?q", "/a", "/x?q"),
        ("/a/", "http://h/%20/", "/a/b", "/a/b", "/%20/b"),
        ("/a/", "http://h?x=", "/a/b", "/a/b", "?x=b"),
        ("/a/", "http://h/?x=", "/a/b?c", "/a/b", "/?x=b?c"),
        # The rest is escaped again if the client escaped something.
        ("/a/", "http://h/", "/a/%20", "/a/ ", "/%20"),
        ("/a/", "http://h/", "/a/%3Fb", "/a/?b", "/%3Fb"),
        ("/a/", "http://h/", "/a/b%2Fc", "/a/b/c", "/b/c"),
        ("/a/", "http://h/", "/a/%25", "/a/%", "/%25"),
        ("/a/", "http://h/", '/a/"', '/a/"', '/"'),
        ("/a/", "http://h/", '/a/"%41', '/a/"A', "/%22A"),
        ("/a/", "http://h/", '/a/"?%41', '/a/"', '/"?%41'),
    ],
)
def test_the_target(
    tmp_path: Path, name: str, target: str, query: str, path: str, sent: str
) -> None:
    server, location = proxied(tmp_path, name, target)
    args = query.partition("#")[0].partition("?")[2]
    request_ = request(query, path=path, args=args)
    output = location.proxy.proxy_pass
    assert output is not None
    assert upstream_uri(location, output, make_context(request_, server, location)) == sent


@pytest.mark.parametrize(
    ("directives", "fields", "length", "sent"),
    [
        ("", (("Host", "a"), ("X-A", "1"), ("x-a", "2")), None, ("Host: h:81", "X-A: 1", "x-a: 2")),
        ("", (), 3, ("Host: h:81", "Content-Length: 3")),
        (
            "",
            (
                ("Connection", "x"),
                ("Proxy-Connection", "x"),
                ("Keep-Alive", "x"),
                ("TE", "x"),
                ("Transfer-Encoding", "chunked"),
                ("Upgrade", "x"),
                ("Expect", "x"),
                ("Content-Length", "9"),
                ("Cookie", "c"),
            ),
            None,
            ("Host: h:81", "Cookie: c"),
        ),
        (
            "proxy_set_header Host $host; proxy_set_header X-A b;",
            (("Host", "a"), ("x-a", "1"), ("X-B", "2")),
            None,
            ("Host: a.test", "X-A: b", "X-B: 2"),
        ),
        ("proxy_set_header X-A $arg_none;", (("X-A", "1"),), None, ("Host: h:81",)),
        ('proxy_set_header Host "";', (("Host", "a"),), None, ()),
        ('proxy_set_header Content-Length "";', (), 3, ("Host: h:81",)),
        (
            "proxy_set_header Connection close; proxy_set_header Upgrade $http_upgrade;",
            (("Upgrade", "h2c"),),
            None,
            ("Connection: close", "Upgrade: h2c", "Host: h:81"),
        ),
    ],
)
def test_the_head(
    tmp_path: Path,
    directives: str,
    fields: tuple[Header, ...],
    length: int | None,
    sent: tuple[str, ...],
) -> None:
    server, location = proxied(tmp_path, "/", "http://h:81", directives)
    request_ = make_context(request("/x", headers=fields, host="a.test"), server, location)
    request_.proxy_host = "h:81"
    head = RequestHeaderBuilder(location.proxy).build(request_, "GET", "/x", length)
    lines = head.decode().split("\r\n")
    assert lines[0] == "GET /x HTTP/1.1"
    assert tuple(lines[1:-2]) == sent
    assert lines[-2:] == ["", ""]


def test_the_version(tmp_path: Path) -> None:
    server, location = proxied(tmp_path, "/", "http://h", "proxy_http_version 1.0;")
    request_ = make_context(request(), server, location)
    head = RequestHeaderBuilder(location.proxy).build(request_, "GET", "/", None)
    assert head.startswith(b"GET / HTTP/1.0\r\n")
