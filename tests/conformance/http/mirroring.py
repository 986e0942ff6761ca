"""Copies of requests: `mirror` and `mirror_request_body`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sniproxy.testing.upstreams import catalog
from tests.conformance.scenario import Scenario, Table, get, request

COPY = (
    "location /NAME-copy { internal; proxy_pass http://PEER; proxy_set_header X-Of $request_uri; } "
)
KEEP = "GET PATH HTTP/1.1\r\nHost: front.test\r\n\r\n"


def own(name: str, rule: str, directives: str, *requests: str, **more: object) -> Scenario:
    fields: dict[str, object] = {
        "upstreams": (catalog.PLAIN,),
        "proxy_pass": "none",
        "server": COPY,
        "files": {"html/NAME": "hello\n"},
    }
    return Scenario(name, rule, directives, requests=requests or (get(),), **{**fields, **more})  # type: ignore[arg-type]


def copies() -> Iterator[Scenario]:
    mirror = "mirror /NAME-copy; "
    yield own("get", "A copy of the request goes to the URI of mirror.", mirror)
    yield own("args", "A copy has the query of the request.", mirror, get(path="PATH?a=b&c"))
    yield own("head", "A copy has the method of the request.", mirror, request("HEAD"))
    yield own("keep", "Each request on a connection is copied.", mirror, KEEP, get())
    yield own(
        "return", "A request that return answers is not copied.", mirror + "return 204;", status=204
    )
    yield own(
        "denied",
        "A request that is denied is not copied.",
        mirror + "deny all;",
        status=403,
        logs=("access forbidden",),
    )
    yield own("off", "mirror off sends no copies.", "mirror off;")
    yield own(
        "missing",
        "A copy is sent though there is no file.",
        mirror + "try_files $uri-x =404;",
        status=404,
    )
    yield own(
        "tried", "A copy is sent after try_files has found a file.", mirror + "try_files $uri =404;"
    )
    yield own("to-file", "A file may be the target of a copy.", "mirror /NAME;")
    yield own("to-nothing", "A missing target is logged.", "mirror /NAME-none;", logs=("open() ",))
    yield own("to-name", "A name of a location is no target.", "mirror @copy;", logs=("open() ",))
    yield own(
        "to-absent",
        "A failed copy does not change the response.",
        mirror,
        upstreams=(catalog.ABSENT,),
        logs=("connect() failed",),
    )
    yield own(
        "log",
        "log_subrequest logs copies too.",
        mirror,
        server=COPY.replace("internal;", "log_subrequest on;"),
        access_log_lines=2,
    )
    yield own(
        "slow",
        "The connection is open until a copy is over.",
        mirror,
        KEEP,
        get(path="/other"),
        upstreams=(replace(catalog.NO_RESPONSE, tls=None),),
        server=COPY.replace("internal;", "proxy_read_timeout 200ms;"),
        logs=("upstream timed out", "open() "),
        status=(200, 404),
    )
    for on, length in (("on", ""), ("off", 'proxy_set_header Content-Length "";')):
        yield own(
            f"body-{on}",
            "mirror_request_body decides whether a copy has the body.",
            mirror + f"mirror_request_body {on};",
            request("POST", body="hello"),
            status=405,
            server=COPY.replace("internal;", f"proxy_pass_request_body {on}; {length}"),
        )
    chunked = request("POST", "Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n"
    yield own("chunked", "A copy of a chunked body has a length.", mirror, chunked, status=405)
    yield own(
        "large",
        "A body in a file is copied too.",
        mirror,
        request("POST", body="x" * 40000),
        status=405,
        logs=("a client request body",),
    )
    yield own(
        "too-large",
        "A body that is too large is not copied.",
        mirror + "client_max_body_size 1;",
        request("POST", body="xx"),
        status=413,
        logs=("client intended",),
    )


def proxied() -> Iterator[Scenario]:
    """The request and its copy go to two upstreams."""
    for size in (0, 5, 40000):
        yield own(
            f"proxied-{size}",
            "The body of a request is for its copy too.",
            "mirror /NAME-copy;",
            request("POST", body="x" * size),
            upstreams=(catalog.PLAIN, catalog.PLAIN),
            proxy_pass="http://PEER",
            server=COPY.replace("PEER", "PEER2"),
            logs=("a client request body",) if size > 16384 else (),
        )


TABLE = Table("mirroring", (*copies(), *proxied()))
