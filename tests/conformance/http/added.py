"""`add_header`, `add_trailer`, `expires`, and in which frame an answer goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sniproxy.testing.upstreams import catalog
from sniproxy.testing.upstreams.spec import UpstreamSpec
from tests.conformance.scenario import Scenario, Table, get, request

KEEP = "GET PATH HTTP/1.1\r\nHost: front.test\r\n\r\n"
PLAIN = "http://PEER"


def answering(head: str, body: str = "hello") -> UpstreamSpec:
    """An upstream that answers so."""
    return saying(f"200 OK\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}")


def saying(text: str) -> UpstreamSpec:
    return catalog.fixed_response("said", f"HTTP/1.1 {text}".encode())


def own(name: str, rule: str, directives: str, *requests: str, **more: object) -> Scenario:
    """An answer of nginx's own."""
    if "return" not in directives:
        directives += " return 200 ok;"
    scenario = Scenario(
        name, rule, directives, (), proxy_pass="none", requests=requests or (get(),)
    )
    return replace(scenario, **more)  # type: ignore[arg-type]


def inheriting(name: str, outer: str, inner: str) -> Scenario:
    return Scenario(
        name,
        "add_header is inherited by a level without its own, or merged by add_header_inherit.",
        f"{outer} location PATH/in {{ {inner} return 200 ok; }} return 200 out;",
        (),
        proxy_pass="none",
        requests=(KEEP, get(path="PATH/in")),
    )


def headers() -> Iterator[Scenario]:
    yield own(
        "header",
        "add_header adds a header.",
        "add_header X-A a; add_header x-b $uri-$arg_q;",
        get(path="PATH?q=1"),
    )
    yield own(
        "empty",
        "add_header with an empty value adds nothing.",
        'add_header X-A ""; add_header X-B $arg_q;',
    )
    for status in (200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 404, 405, 418, 500):
        text = " x" if status not in (204, 304) else ""
        yield own(
            f"status-{status}",
            "add_header applies to some statuses, and with always to all.",
            f"add_header X-A a; add_header X-B b always; return {status}{text};",
            status=status,
        )
    yield own(
        "doubled",
        "add_header adds a header even if the response has it already.",
        "add_header Server mine; add_header Date now; add_header Content-Type a/b; "
        "add_header Content-Length 7; add_header Connection x; add_header Cache-Control a; "
        "add_header Cache-Control b; add_header Link c; add_header Link d; add_header X x; "
        "add_header X y;",
    )
    yield own(
        "error",
        "add_header with always applies to built-in pages.",
        "add_header X-A a always; return 404;",
        status=404,
    )
    yield own(
        "moved",
        "add_header applies to redirects.",
        "add_header X-A a; return 301 /else;",
        status=301,
    )
    for inherit in ("", "on", "off", "merge"):
        output = f"add_header_inherit {inherit};" if inherit else ""
        for inner in ("", "add_header X-A inner;"):
            yield inheriting(
                f"inherit-{inherit or 'default'}-{'own' if inner else 'none'}",
                "add_header X-O outer; add_header X-A outer;",
                f"{output} {inner}",
            )
    yield inheriting(
        "inherit-inherited", "add_header_inherit merge; add_header X-A a;", "add_header X-B b;"
    )
    yield inheriting("inherit-expires", "expires max;", "")
    yield inheriting("inherit-expires-off", "expires max;", "expires off;")
    yield own(
        "conditional",
        "add_header inside an if replaces that of the location.",
        "if ($arg_q) { add_header X-B b; return 200 b; } add_header X-A a; return 200 a;",
        KEEP,
        get(path="PATH?q=1"),
    )
    yield own(
        "logged",
        "$sent_http_NAME has the values that add_header adds.",
        "add_header X-A a; add_header X-A b; add_header X-L $sent_http_x_a;",
    )


def upstreams() -> Iterator[Scenario]:
    head = (
        'ETag: "1"\r\nLast-Modified: Tue, 14 Nov 2023 22:13:20 GMT\r\nX-A: theirs\r\n'
        "Cache-Control: no-store\r\nExpires: x\r\nCache-Control: private\r\n"
    )
    for name, directives in (
        ("add", "add_header X-A ours;"),
        ("etag", 'add_header ETag "W";'),
        ("no-etag", 'add_header ETag "";'),
        ("last-modified", 'add_header last-modified "Thu, 01 Jan 2015 00:00:00 GMT";'),
        ("no-last-modified", 'add_header Last-Modified "";'),
        ("cache-control", "add_header Cache-Control public;"),
        ("expires-max", "expires max;"),
        ("expires-epoch", "expires epoch;"),
        ("expires-off", "expires off;"),
        ("expires-and-added", "expires epoch; add_header Cache-Control public;"),
    ):
        yield Scenario(
            f"upstream-{name}",
            "add_header, add_trailer and expires apply to responses of upstreams.",
            directives,
            (answering(head),),
            proxy_pass=PLAIN,
        )
    yield Scenario(
        "upstream-502",
        "add_header with always applies to the 502 page, and without it does not.",
        "add_header X-A a; add_header X-B b always;",
        (catalog.ABSENT,),
        proxy_pass=PLAIN,
        status=502,
        logs=(catalog.ABSENT.expected_log,),
    )
    yield Scenario(
        "upstream-404",
        "add_header with always applies to a 404 of an upstream, and without it does not.",
        "add_header X-A a; add_header X-B b always; expires max;",
        (saying("404 Gone\r\nContent-Length: 0\r\n\r\n"),),
        proxy_pass=PLAIN,
        status=404,
    )


FILE = {"html/NAME": "0123456789"}


def files() -> Iterator[Scenario]:
    for name, directives in (
        ("header", "add_header X-A a;"),
        ("etag", 'add_header ETag "W";'),
        ("no-etag", 'add_header ETag "";'),
        ("last-modified", 'add_header Last-Modified "Thu, 01 Jan 2015 00:00:00 GMT";'),
        ("no-last-modified", 'add_header Last-Modified "";'),
        ("header-always", "add_header X-A a always;"),
        ("modified-past", "expires modified 1d;"),
    ):
        yield Scenario(
            f"file-{name}",
            "add_header, add_trailer and expires apply to files.",
            directives,
            (),
            proxy_pass="none",
            files=FILE,
            requests=(
                KEEP,
                KEEP.replace("\r\n\r\n", "\r\nRange: bytes=1-2\r\n\r\n"),
                KEEP.replace("\r\n\r\n", "\r\nRange: bytes=90-\r\n\r\n"),
                KEEP.replace("GET", "HEAD"),
                get("If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT"),
            ),
            status=(200, 206, 416, 200, 304),
        )
    yield Scenario(
        "file-trailer",
        "A file is sent in chunks if add_trailer is set.",
        "add_trailer X-A a;",
        (),
        proxy_pass="none",
        files=FILE,
        requests=(KEEP, request("HEAD")),
    )


def expirations() -> Iterator[Scenario]:
    for name, value in (
        ("epoch", "epoch"),
        ("max", "max"),
        ("off", "off"),
        ("zero", "0"),
        ("plus-zero", "+0"),
        ("past", "-1m"),
        ("past-day", "-1d"),
    ):
        yield own(
            f"expires-{name}",
            "expires sets the headers Expires and Cache-Control.",
            f"expires {value};",
        )
        yield own(
            f"expires-of-{name}",
            "expires takes its value from a variable.",
            "expires $arg_e;",
            get(path=f"PATH?e={value}"),
        )
    for value in ("x", "", "1x", "modified"):
        yield own(
            f"expires-bad-{value}",
            "expires does nothing if the value of the variable is not a time.",
            "expires $arg_e;",
            get(path=f"PATH?e={value}"),
        )
    yield own(
        "expires-404", "expires does not apply to a 404.", "expires max; return 404;", status=404
    )
    yield own(
        "expires-added",
        "Cache-Control of add_header follows that of expires.",
        "add_header Cache-Control public; expires epoch;",
    )


def trailers() -> Iterator[Scenario]:
    yield own(
        "trailer",
        "add_trailer adds a field after the body, which is sent in chunks.",
        'add_trailer X-A a; add_trailer X-B $status; add_trailer X-C "";',
    )
    yield own(
        "trailer-1.0",
        "add_trailer does not apply to HTTP/1.0.",
        "add_trailer X-A a;",
        "GET PATH HTTP/1.0\r\n\r\n",
    )
    yield own(
        "trailer-head", "add_trailer does not apply to HEAD.", "add_trailer X-A a;", request("HEAD")
    )
    yield own(
        "trailer-204",
        "add_trailer does not apply to a response without body.",
        "add_trailer X-A a; return 204;",
        status=204,
    )
    yield own(
        "trailer-404",
        "add_trailer with always applies to all statuses.",
        "add_trailer X-A a; add_trailer X-B b always; return 404;",
        status=404,
    )
    yield own(
        "trailer-404-not",
        "A 404 to which add_trailer does not apply has a Content-Length.",
        "add_trailer X-A a; return 404;",
        status=404,
    )
    yield Scenario(
        "trailer-upstream",
        "add_trailer applies to responses of upstreams.",
        "add_trailer X-A $upstream_status;",
        (answering("", "hello"),),
        proxy_pass=PLAIN,
    )
    yield inheriting(
        "trailer-inherit", "add_trailer X-A a;", "add_trailer_inherit merge; add_trailer X-B b;"
    )


def chunks() -> Iterator[Scenario]:
    http_1_1 = get()
    for request_ in (http_1_1, "GET PATH HTTP/1.0\r\n\r\n", request("HEAD")):
        for body in ("chunked", "closed"):
            upstream = (
                "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
                if body == "chunked"
                else "\r\nhello"
            )
            kind = {http_1_1: "get"}.get(request_, request_[:4].strip().lower() + "-1.0")
            yield Scenario(
                f"no-chunks-{kind}-{body}",
                "With chunked_transfer_encoding off, closing ends a body of unknown length.",
                "chunked_transfer_encoding off;",
                (saying(f"200 OK\r\n{upstream}"),),
                proxy_pass=PLAIN,
                requests=(request_,),
            )


TABLE = Table(
    "added",
    (*headers(), *upstreams(), *files(), *expirations(), *trailers(), *chunks()),
)
