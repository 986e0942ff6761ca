"""Limits on request bodies and heads, timeouts of clients, and when connections are closed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from sniproxy.testing.upstreams import catalog
from tests.conformance.scenario import Scenario, Table, get, request

PLAIN = "http://PEER"
KEEPALIVE = "GET PATH HTTP/1.1\r\nHost: front.test\r\n\r\n"
KEEPALIVE_10 = "GET PATH HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
BUFFERED = "a client request body is buffered to a temporary file"
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
            "A body larger than client_max_body_size gets a 413.",
            "client_max_body_size 10;",
            request("POST", body="x" * length),
            status=status,
            logs=(TOO_LARGE + "11 bytes",) if status == 413 else (),
        )
        yield proxied(
            f"size-chunked-{length}",
            "A body that arrives in chunks counts against client_max_body_size too.",
            "client_max_body_size 10;",
            chunked("x" * 5, "y" * (length - 5)),
            status=status,
            logs=("client intended to send too large chunked body: 5+6 bytes",)
            if status == 413
            else (),
        )
    yield proxied(
        "size-0",
        "client_max_body_size 0 allows bodies of any size.",
        "client_max_body_size 0;",
        request("POST", body="x" * 100),
    )
    yield own(
        "size-return",
        "client_max_body_size is checked before a return is executed.",
        "client_max_body_size 10;",
        request("POST", body="x" * 11),
        status=413,
        logs=(TOO_LARGE,),
    )
    yield own(
        "size-return-chunked",
        "The size of a chunked body is unknown before a return is executed, and not checked.",
        "client_max_body_size 10;",
        chunked("x" * 11),
    )
    yield proxied(
        "size-expected",
        "A client that expects a 100 for a body that is too large gets the 413 at once.",
        "client_max_body_size 10; lingering_timeout 100ms;",
        "POST PATH HTTP/1.1\r\nHost: front.test\r\nExpect: 100-continue\r\nContent-Length: 11\r\n"
        "\r\n",
        status=413,
        logs=(TOO_LARGE,),
    )
    yield proxied(
        "size-page",
        "error_page replaces the page of a 413.",
        "client_max_body_size 10; "
        "error_page 413 = PATH/page; location = PATH/page { return 200 page; }",
        request("POST", body="x" * 11),
        logs=(TOO_LARGE,),
    )
    yield proxied(
        "size-default",
        "The default of client_max_body_size is 1 MiB.",
        "lingering_timeout 100ms;",
        request("POST", f"Content-Length: {1024 * 1024 + 1}"),
        status=413,
        logs=(TOO_LARGE,),
    )


def buffers() -> Iterator[Scenario]:
    # If the length is known, the body may exceed the buffer by a quarter before it goes to a file.
    # Up to 900 bytes can arrive with the head.
    for size, length, buffered in (
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
            "A body that exceeds client_body_buffer_size is written to a temporary file.",
            value,
            request("POST", body="x" * length),
            logs=(BUFFERED,) if buffered else (),
        )
    for size, length, buffered in (("1k", 700, False), ("1k", 4000, True), ("8k", 7900, False)):
        yield proxied(
            f"buffer-chunked-{size}-{length}",
            "A chunked body that exceeds client_body_buffer_size is written to a temporary file.",
            f"client_body_buffer_size {size};",
            chunked("x" * length),
            logs=(BUFFERED,) if buffered else (),
        )
    body = request("POST", body="hello")
    for mode in ("on", "clean", "off"):
        yield proxied(
            f"file-only-{mode}",
            "client_body_in_file_only on and clean write every body to a file.",
            f"client_body_in_file_only {mode}; "
            'proxy_set_header X-Body "$request_body"; '
            'proxy_set_header X-Length "$content_length";',
            body,
            logs=() if mode == "off" else (BUFFERED,),
        )
    yield proxied(
        "body-shown",
        "$request_body is set once the body has been read into memory.",
        'add_header X-Body "$request_body-$request_body_file";',
        body,
    )
    yield proxied(
        "body-shown-not",
        "$request_body is empty if the body is in a temporary file.",
        'client_body_buffer_size 1k; add_header X-Body "($request_body)";',
        request("POST", body="x" * 4000),
        logs=(BUFFERED,),
    )
    yield own(
        "body-unread",
        "$request_body is empty if nothing has read the body.",
        'return 200 "($request_body)";',
        body,
    )


def times() -> Iterator[Scenario]:
    begun = "POST PATH HTTP/1.1\r\nHost: front.test\r\nContent-Length: 10\r\n\r\nabc"
    yield proxied(
        "body-timeout",
        "client_body_timeout closes the connection of a request whose body does not arrive.",
        "client_body_timeout 200ms;",
        begun,
        status=0,
        access_log_lines=1,
    )
    yield proxied(
        "body-timeout-reset",
        "reset_timedout_connection resets a connection that is closed by client_body_timeout.",
        "client_body_timeout 200ms; reset_timedout_connection on;",
        begun,
        status=0,
        access_log_lines=1,
    )
    yield proxied(
        "body-timeout-chunked",
        "client_body_timeout applies to chunked bodies too.",
        "client_body_timeout 200ms;",
        request("POST", "Transfer-Encoding: chunked") + "5\r\nab",
        status=0,
        access_log_lines=1,
    )
    yield own(
        "head-timeout",
        "client_header_timeout closes the connection of a request whose head does not arrive.",
        "",
        "GET PATH HTTP/1.1\r\nHost: slow.test\r\nX: ",
        status=0,
        access_log_lines=1,
        logs=("client timed out (110: Operation timed out) while reading",),
    )
    yield own(
        "keep-timeout",
        "keepalive_timeout closes an idle connection without logging.",
        "keepalive_timeout 200ms;",
        KEEPALIVE,
    )
    yield own(
        "keep-timeout-0",
        "keepalive_timeout 0 disables keep-alive.",
        "keepalive_timeout 0;",
        KEEPALIVE,
    )
    yield own(
        "keep-timeout-header",
        "The second argument of keepalive_timeout is sent in the header Keep-Alive.",
        "keepalive_timeout 200ms 9s;",
        KEEPALIVE,
    )
    yield own(
        "keep-timeout-header-0",
        "keepalive_timeout with a second argument of 0 sends no header.",
        "keepalive_timeout 200ms 0;",
        KEEPALIVE,
    )
    yield own(
        "keep-timeout-header-1.0",
        "An HTTP/1.0 client that asks for keep-alive gets the header Keep-Alive.",
        "keepalive_timeout 200ms 9s;",
        KEEPALIVE_10,
    )
    yield own(
        "keep-requests",
        "A connection is closed after keepalive_requests requests.",
        "keepalive_requests 2;",
        KEEPALIVE,
        KEEPALIVE,
    )
    yield own(
        "keep-requests-1",
        "keepalive_requests 1 disables keep-alive.",
        "keepalive_requests 1;",
        KEEPALIVE,
    )
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
                "keepalive_disable disables keep-alive for old MSIE and Safari only.",
                f"{value}keepalive_timeout 50ms;",
                post.format(field),
            )


def closings() -> Iterator[Scenario]:
    large = request("POST", body="x" * 20_000)
    for close in ("off", "on", "always"):
        yield own(
            f"linger-{close}",
            "lingering_close decides whether the rest of a body is read before closing.",
            f"lingering_close {close}; lingering_time 300ms; client_max_body_size 1;",
            large,
            status=413,
            logs=(TOO_LARGE,),
        )
        yield own(
            f"linger-{close}-nothing",
            "lingering_close always waits for data even if none is expected; on and off do not.",
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
                "underscores_in_headers and ignore_invalid_headers decide which names are valid.",
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
            "A head with more lines than max_headers gets a 400.",
            "",
            (),
            proxy_pass="none",
            requests=(get(*fields, host="few.test"),),
            status=200 if count <= 4 else 400,
            logs=() if count <= 4 else ("client sent too many header lines",),
        )


def tokens() -> Iterator[Scenario]:
    for value in ("on", "off", "build"):
        yield own(
            f"tokens-{value}", "server_tokens sets the header Server.", f"server_tokens {value};"
        )
        yield own(
            f"tokens-{value}-page",
            "server_tokens sets the name in built-in pages too.",
            f"server_tokens {value}; return 404;",
            status=404,
        )
        yield own(
            f"tokens-{value}-variable",
            "server_tokens does not change $nginx_version.",
            f"server_tokens {value}; return 200 $nginx_version;",
        )
    yield own(
        "nodelay",
        "tcp_nodelay, send_timeout and similar directives do not change a response.",
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
