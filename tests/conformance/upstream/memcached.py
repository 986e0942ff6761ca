"""How memcached is asked, and how its answers are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sniproxy.testing.upstreams import AfterSend
from sniproxy.testing.upstreams.script import Expect, Send, Signal, Step, WaitFor
from sniproxy.testing.upstreams.spec import Action, UpstreamSpec
from tests.conformance.scenario import GET, Scenario, Table, get, request

CLOSED = "upstream prematurely closed connection"


def server(
    *sends: str | Step, then: AfterSend = AfterSend.WAIT, times: int = 1, awaits: str = "\r\n"
) -> UpstreamSpec:
    once: list[Step] = [
        Expect(awaits),
        *[Send(sent) if isinstance(sent, str) else sent for sent in sends],
    ]
    return UpstreamSpec(
        "memcached", "has values", tls=None, response=Action(then=then), script=(*once,) * times
    )


def value(text: str, *, key: str = "k", flags: str = "0", length: str = "") -> str:
    return f"VALUE {key} {flags} {length or len(text)}\r\n{text}\r\nEND\r\n"


def requested(
    name: str,
    rule: str,
    *sends: str,
    key: str = "k",
    directives: str = "",
    then: AfterSend = AfterSend.WAIT,
    requests: tuple[str, ...] = (GET,),
    status: int | tuple[int, ...] = 200,
    logs: tuple[str, ...] = (),
    group: str = "",
    upstreams: tuple[UpstreamSpec, ...] = (),
    open_connections: int = 0,
    path: str = "PATH",
    server_directives: str = "",
) -> Scenario:
    return Scenario(
        name,
        rule,
        f'set $memcached_key "{key}"; memcached_pass {"GROUP" if group else "PEER"}; {directives}',
        upstreams or (server(*(sends or (value("hello\n"),)), then=then),),
        proxy_pass="none",
        requests=requests,
        status=status,
        logs=logs,
        group=group,
        open_connections=open_connections,
        location=path,
        server=server_directives,
    )


def values() -> Iterator[Scenario]:
    yield requested("value", "The value is the body of the response.")
    yield requested("empty", "A value may be empty.", value(""))
    yield requested(
        "type",
        "The media type is that of the URI.",
        path="PATH.html",
        requests=(get(path="PATH.html"),),
    )
    yield requested(
        "escaped",
        "Spaces and percent signs in the key are escaped.",
        value("x", key="a%20b%25"),
        key="a b%",
    )
    yield requested(
        "control",
        "Other bytes are sent as they are.",
        value("x", key="\xc3\xa9~\x7f"),
        key="\xe9~\x7f",
    )
    yield requested("head", "A HEAD request gets the head only.", requests=(request("HEAD"),))
    yield requested(
        "post", "Other methods are refused.", requests=(request("POST", body="x"),), status=405
    )
    yield requested("range", "Ranges are served.", requests=(get("Range: bytes=1-2"),), status=206)
    yield requested(
        "not-found",
        "A missing key is an error 404.",
        "END\r\n",
        status=404,
        logs=('key: "k" was not found by memcached',),
    )
    yield requested(
        "error-page",
        "An error_page may make the content.",
        "END\r\n",
        directives="error_page 404 = @made;",
        server_directives="location @made { return 200 made; }",
        logs=('key: "k" was not found by memcached',),
    )
    yield requested(
        "no-key",
        "Without a key the request fails.",
        key="",
        status=500,
        logs=('the "$memcached_key" variable is not set',),
    )
    yield requested("flags", "Flags have no effect.", value("x", flags="2"))
    yield requested(
        "gzip-flag",
        "memcached_gzip_flag means that the value is compressed.",
        value("x", flags="3"),
        directives="memcached_gzip_flag 2;",
    )
    yield requested(
        "gzip-flag-unset",
        "Other flags do not.",
        value("x", flags="1"),
        directives="memcached_gzip_flag 2;",
    )
    yield requested(
        "pieces", "An answer may arrive in pieces.", "VAL", "UE k 0 5\r\nhe", "llo\r\nE", "ND\r\n"
    )
    yield requested("large", "A value may be larger than the buffer.", value("a" * 20000))
    yield requested(
        "not-modified",
        "Conditions have no effect.",
        requests=(get("If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT"),),
    )


def errors() -> Iterator[Scenario]:
    for name, rule, sent, text in (
        ("garbage", "Another answer is invalid.", "ERROR\r\n",
         'memcached sent invalid response: "ERROR"'),
        ("bare-newline", "A line must end with CRLF.", "END\n",
         'memcached sent invalid response: "END"'),
        ("other-key", "The value must be that of the key.", value("x", key="j"),
         "memcached sent invalid key in response"),
        ("longer-key", "A longer key is another one.", value("x", key="kk"),
         "memcached sent invalid response"),
        ("bad-length", "The length must be a number.", value("x", length="1x"),
         "memcached sent invalid length in response"),
        ("no-length", "There must be a length.", "VALUE k 0\r\nx\r\nEND\r\n",
         "memcached sent invalid response"),
        ("http", "An HTTP response is invalid.", "HTTP/1.1 200 OK\r\n\r\n",
         'memcached sent invalid response: "HTTP/1.1 200 OK"'),
    ):  # fmt: skip
        yield requested(name, rule, sent, status=502, logs=(text,))
    yield requested(
        "bad-flags",
        "Flags must be a number if they matter.",
        value("x", flags="a"),
        directives="memcached_gzip_flag 2;",
        status=502,
        logs=("memcached sent invalid flags in response",),
    )
    yield requested(
        "bad-end",
        "Another end of the value is logged.",
        "VALUE k 0 1\r\nx\r\nFIN\r\n",
        logs=("memcached sent invalid trailer",),
    )
    yield requested(
        "closes",
        "A closed connection is an error.",
        "",
        then=AfterSend.CLOSE,
        status=502,
        logs=(CLOSED,),
    )
    yield requested(
        "closes-in-line",
        "A connection closed within the first line is an error.",
        "VALUE k",
        then=AfterSend.CLOSE,
        status=502,
        logs=(CLOSED,),
    )
    for name, rule, sent in (
        ("cut", "A connection closed within the value is an error.", "VALUE k 0 10\r\nhello"),
        (
            "cut-end",
            "A connection closed before the end of the value is an error.",
            "VALUE k 0 5\r\nhello\r\nEN",
        ),
    ):
        yield replace(
            requested(name, rule, logs=(CLOSED,)),
            upstreams=(server(sent, WaitFor("received"), then=AfterSend.CLOSE),),
            script=(Send(GET), Expect("hello"), Signal("received")),
        )
    yield requested(
        "next",
        "memcached_next_upstream may name not_found.",
        group="server PEER; server PEER2 backup;",
        upstreams=(server("END\r\n"), server(value("second"))),
        directives="memcached_next_upstream not_found;",
        open_connections=2,
        logs=('key: "k" was not found by memcached',),
    )
    yield requested(
        "next-invalid",
        "memcached_next_upstream may name invalid_response.",
        group="server PEER; server PEER2 backup;",
        upstreams=(server("ERROR\r\n"), server(value("second"))),
        directives="memcached_next_upstream invalid_response;",
        open_connections=1,
        logs=("memcached sent invalid response", "upstream server temporarily disabled"),
    )


def keeping() -> Iterator[Scenario]:
    two = (GET.replace("Connection: close\r\n", ""), GET)
    for name, rule, sent, status, lines in (
        ("kept", "A connection is used again after a value.", value("x"), 200, ()),
        ("kept-missing", "A connection is used again after a missing key.", "END\r\n", 404,
         ('key: "k" was not found by memcached',) * 2),
    ):  # fmt: skip
        yield requested(
            name,
            rule,
            group="server PEER; keepalive 1;",
            upstreams=(server(sent, times=2),),
            requests=two,
            status=(status, status),
            open_connections=1,
            logs=lines,
        )


TABLE = Table("memcached", (*values(), *errors(), *keeping()))
