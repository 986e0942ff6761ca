"""What a client may send, how long it may take, and when its connection ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from sniproxy.testing.upstreams import catalog
from tests.conformance.scenario import Scenario, Table, get, request

PLAIN = "http://PEER"
KEEP = "GET PATH HTTP/1.1\r\nHost: front.test\r\n\r\n"
OLD = "GET PATH HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
SPOOLED = "a client request body is buffered to a temporary file"
TOO_LARGE = "client intended to send too large body: "


def own(name: str, rule: str, directives: str, *requests: str, **more: object) -> Scenario:
    if "return" not in directives:
        directives += " return 200 ok;"
    scenario = Scenario(
        name, rule, directives, (), proxy_pass="none", requests=requests or (get(),)
    )
    return replace(scenario, **more)  # type: ignore[arg-type]


def proxied(name: str, rule: str, directives: str, *requests: str, **more: object) -> Scenario:
    scenario = Scenario(
        name, rule, directives, (catalog.PLAIN,), proxy_pass=PLAIN, requests=requests or (get(),)
    )
    return replace(scenario, **more)  # type: ignore[arg-type]


def chunked(*pieces: str, fields: tuple[str, ...] = ()) -> str:
    head = request("POST", "Transfer-Encoding: chunked", *fields)
    return head + "".join(f"{len(piece):x}\r\n{piece}\r\n" for piece in (*pieces, ""))


def sizes() -> Iterator[Scenario]:
    for length, status in ((10, 200), (11, 413)):
        yield proxied(
            f"size-{length}",
            "client_max_body_size is the most that a body may have",
            "client_max_body_size 10;",
            request("POST", body="x" * length),
            status=status,
            logs=(TOO_LARGE + "11 bytes",) if status == 413 else (),
        )
        yield proxied(
            f"size-chunked-{length}",
            "in chunks too",
            "client_max_body_size 10;",
            chunked("x" * 5, "y" * (length - 5)),
            status=status,
            logs=("client intended to send too large chunked body: 5+6 bytes",)
            if status == 413
            else (),
        )
    yield proxied(
        "size-0", "0 is no limit", "client_max_body_size 0;", request("POST", body="x" * 100)
    )
    yield own(
        "size-return",
        "a return comes after",
        "client_max_body_size 10;",
        request("POST", body="x" * 11),
        status=413,
        logs=(TOO_LARGE,),
    )
    yield own(
        "size-return-chunked",
        "a chunked body is not looked at",
        "client_max_body_size 10;",
        chunked("x" * 11),
    )
    yield proxied(
        "size-expected",
        "who waits for a 100 gets a 413",
        "client_max_body_size 10; lingering_timeout 100ms;",
        "POST PATH HTTP/1.1\r\nHost: front.test\r\nExpect: 100-continue\r\nContent-Length: 11\r\n"
        "\r\n",
        status=413,
        logs=(TOO_LARGE,),
    )
    yield proxied(
        "size-page",
        "a 413 has a page",
        "client_max_body_size 10; "
        "error_page 413 = PATH/page; location = PATH/page { return 200 page; }",
        request("POST", body="x" * 11),
        logs=(TOO_LARGE,),
    )
    yield proxied(
        "size-default",
        "a megabyte is the default",
        "lingering_timeout 100ms;",
        request("POST", f"Content-Length: {1024 * 1024 + 1}"),
        status=413,
        logs=(TOO_LARGE,),
    )


def buffers() -> Iterator[Scenario]:
    # A fifth more than the buffer is kept, where the length is known; 900 bytes may come early.
    for size, length, spooled in (
        ("", 8100, False),
        ("", 9900, False),
        ("", 11500, True),
        ("1k", 1200, False),
        ("1k", 2400, True),
        ("16k", 19000, False),
        ("16k", 22000, True),
    ):
        value = f"client_body_buffer_size {size};" if size else ""
        yield proxied(
            f"buffer-{size or 'default'}-{length}",
            "client_body_buffer_size, and where it ends",
            value,
            request("POST", body="x" * length),
            logs=(SPOOLED,) if spooled else (),
        )
    for size, length, spooled in (("1k", 700, False), ("1k", 4000, True), ("8k", 7900, False)):
        yield proxied(
            f"buffer-chunked-{size}-{length}",
            "the same in chunks",
            f"client_body_buffer_size {size};",
            chunked("x" * length),
            logs=(SPOOLED,) if spooled else (),
        )
    body = request("POST", body="hello")
    for mode in ("on", "clean", "off"):
        yield proxied(
            f"file-only-{mode}",
            "client_body_in_file_only puts every body into a file",
            f"client_body_in_file_only {mode}; "
            'proxy_set_header X-Body "$request_body"; '
            'proxy_set_header X-Length "$content_length";',
            body,
            logs=() if mode == "off" else (SPOOLED,),
        )
    yield proxied(
        "body-shown",
        "$request_body is there once it is read, if it is in memory",
        'add_header X-Body "$request_body-$request_body_file";',
        body,
    )
    yield proxied(
        "body-shown-not",
        "and not where it is in a file",
        'client_body_buffer_size 1k; add_header X-Body "($request_body)";',
        request("POST", body="x" * 4000),
        logs=(SPOOLED,),
    )
    yield own("body-unread", "nobody has read it", 'return 200 "($request_body)";', body)


def times() -> Iterator[Scenario]:
    begun = "POST PATH HTTP/1.1\r\nHost: front.test\r\nContent-Length: 10\r\n\r\nabc"
    yield proxied(
        "body-timeout",
        "client_body_timeout ends a request whose body does not come",
        "client_body_timeout 200ms;",
        begun,
        status=0,
        access_log_lines=1,
    )
    yield proxied(
        "body-timeout-reset",
        "with reset_timedout_connection it is reset",
        "client_body_timeout 200ms; reset_timedout_connection on;",
        begun,
        status=0,
        access_log_lines=1,
    )
    yield proxied(
        "body-timeout-chunked",
        "in chunks too",
        "client_body_timeout 200ms;",
        request("POST", "Transfer-Encoding: chunked") + "5\r\nab",
        status=0,
        access_log_lines=1,
    )
    yield own(
        "head-timeout",
        "client_header_timeout ends a request whose head does not come",
        "",
        "GET PATH HTTP/1.1\r\nHost: slow.test\r\nX: ",
        status=0,
        access_log_lines=1,
        logs=("client timed out (110: Operation timed out) while reading",),
    )
    yield own(
        "keep-timeout",
        "keepalive_timeout ends a connection without a word",
        "keepalive_timeout 200ms;",
        KEEP,
    )
    yield own("keep-timeout-0", "0 keeps none", "keepalive_timeout 0;", KEEP)
    yield own(
        "keep-timeout-header",
        "the second time is told the client",
        "keepalive_timeout 200ms 9s;",
        KEEP,
    )
    yield own("keep-timeout-header-0", "0 is not told", "keepalive_timeout 200ms 0;", KEEP)
    yield own(
        "keep-timeout-header-1.0", "HTTP/1.0 that asks for it", "keepalive_timeout 200ms 9s;", OLD
    )
    yield own(
        "keep-requests", "keepalive_requests ends a connection", "keepalive_requests 2;", KEEP, KEEP
    )
    yield own("keep-requests-1", "one is not kept", "keepalive_requests 1;", KEEP)
    old_browser = "User-Agent: Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)"
    safari = "User-Agent: Mozilla/5.0 (Macintosh; Mac OS X) AppleWebKit Safari/85"
    post = "POST PATH HTTP/1.1\r\nHost: front.test\r\n{}\r\nContent-Length: 1\r\n\r\nx"
    for disable in ("", "none", "msie6", "safari", "msie6 safari"):
        value = f"keepalive_disable {disable}; " if disable else ""
        for agent, field in (
            ("msie6", old_browser),
            ("safari", safari),
            ("msie6-sv1", old_browser.replace(")", "; SV1)")),
            ("msie5", old_browser.replace("6.0", "5.5")),
            ("msie7", old_browser.replace("6.0", "7.0")),
            ("opera", old_browser + " Opera"),
        ):
            yield own(
                f"keep-disable-{disable.replace(' ', '-') or 'default'}-{agent}",
                "keepalive_disable knows some browsers",
                f"{value}keepalive_timeout 50ms;",
                post.format(field),
            )


def closings() -> Iterator[Scenario]:
    large = request("POST", body="x" * 20_000)
    for close in ("off", "on", "always"):
        yield own(
            f"linger-{close}",
            "lingering_close reads on before it closes",
            f"lingering_close {close}; lingering_time 300ms; client_max_body_size 1;",
            large,
            status=413,
            logs=(TOO_LARGE,),
        )
        yield own(
            f"linger-{close}-nothing",
            "where nothing is left to read",
            f"lingering_close {close}; lingering_timeout 200ms; lingering_time 300ms;",
            get(),
        )


def heads() -> Iterator[Scenario]:
    bad = "client sent invalid header line: "
    underscores = ("under_score: 1", "_a: 4")
    for host in ("front.test", "underscores.test", "lax.test", "lax-underscores.test"):
        for field in (*underscores, "bad name: 2", "X-Ok: 3", "b\x7f: 5"):
            name = re.sub("[^\\w-]", "-", field.partition(":")[0])
            refused = " " in field.partition(":")[0] or "\x7f" in field
            dropped = host == "front.test" and field in underscores
            yield Scenario(
                f"odd-{host.removesuffix('.test')}-{name}",
                "underscores_in_headers and ignore_invalid_headers: odd names of fields",
                "return 200 $http_under_score;",
                (),
                proxy_pass="none",
                requests=(get(field, host=host),),
                status=400 if refused else 200,
                logs=(bad,) if refused or dropped else (),
            )
    for count in (3, 4, 5, 6):
        fields = [f"X-{n}: {n}" for n in range(count - 2)]
        yield Scenario(
            f"max-headers-{count}",
            "max_headers is the most lines that a head may have",
            "",
            (),
            proxy_pass="none",
            requests=(get(*fields, host="few.test"),),
            status=200 if count <= 4 else 400,
            logs=() if count <= 4 else ("client sent too many header lines",),
        )


def tokens() -> Iterator[Scenario]:
    for value in ("on", "off", "build"):
        yield own(f"tokens-{value}", "server_tokens says who we are", f"server_tokens {value};")
        yield own(
            f"tokens-{value}-page",
            "in pages too",
            f"server_tokens {value}; return 404;",
            status=404,
        )
        yield own(
            f"tokens-{value}-variable",
            "and nowhere else",
            f"server_tokens {value}; return 200 $nginx_version;",
        )
    yield own(
        "nodelay",
        "tcp_nodelay, send_timeout and others are not seen",
        "tcp_nodelay off; send_timeout 1s; tcp_nopush on; postpone_output 0; "
        "reset_timedout_connection on; client_body_in_single_buffer on;",
    )


def server(name: str, directives: str) -> str:
    return f"""
    server {{
        listen FRONT;
        server_name {name};
        {directives}
        location / {{ return 200 "$http_under_score $http_x_ok $http__a"; }}
    }}
"""


TABLE = Table(
    "limits",
    (*sizes(), *buffers(), *times(), *closings(), *tokens(), *heads()),
    server="client_header_timeout 1s;",
    http="".join(
        (
            server("slow.test", "client_header_timeout 1h;"),
            server("underscores.test", "underscores_in_headers on;"),
            server("lax.test", "ignore_invalid_headers off;"),
            server(
                "lax-underscores.test", "ignore_invalid_headers off; underscores_in_headers on;"
            ),
            server("few.test", "max_headers 4;"),
        )
    ),
)
