"""`post_action`, beside nginx: what runs after a response, and what the access log shows of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.handlers.filter_pair import FilterCase, compare_cases, get

FORMAT = (
    "$status $uri $args $request_uri $request_method $request_completion $body_bytes_sent "
    "$upstream_status $sent_http_x_a"
)


def after(
    name: str, rule: str, directives: str, *queries: str | bytes, shows: str = "", server: str = ""
) -> FilterCase:
    if not any(word in directives for word in ("UPSTREAM", "alias", "return")):
        directives += " UPSTREAM"
    return FilterCase(name, rule, directives, queries or ("?a=b",), shows, server=server)


def scenarios() -> Iterator[FilterCase]:
    yield after(
        "file", "A URI is processed after the response.", "post_action /p.html;", shows="/p.html"
    )
    yield after("named", "It may be a named location.", "post_action @named;", shows="hello")
    yield after(
        "named-file",
        "It may be reached from a file.",
        "alias html/; post_action @named;",
        "p.html",
        shows="a page",
    )
    yield after("upstream", "An upstream may be asked.", "post_action /up/x;", shows="hello")
    yield after(
        "returned", "return may be used.", "return 200 x; post_action @returned;", shows="202"
    )
    yield after("missing", "A missing file is logged.", "post_action /none.html;", shows="open()")
    yield after(
        "unknown",
        "An unknown name is logged.",
        "post_action @unknown;",
        shows="could not find named location",
    )
    yield after("failed", "A failure is logged.", "post_action /502;", shows="connect() failed")
    yield after(
        "literal", "The URI has neither variables nor arguments.", "post_action '/up/$uri?a=b';"
    )
    yield after(
        "internal", "Internal locations may be used.", "post_action /in/p.html;", shows="/in/p.html"
    )
    yield after("denied", "Access is checked.", "post_action /not-allowed/p.html;", shows="forbid")
    yield after(
        "page",
        "It follows the page of an error.",
        "return 404; post_action @named;",
        shows="404 Not Found",
    )
    yield after(
        "page-of",
        "An error page may have one.",
        "return 404; error_page 404 /paged;",
        server="location = /paged { alias html/p.html; post_action @named; }",
    )
    yield after(
        "post",
        "The body of a request is sent again.",
        "post_action /up/x;",
        get("/NAME/?a=b", "Content-Length: 5", method="POST") + b"hello",
    )
    yield after("head", "It follows a HEAD.", "post_action /up/x;", get("/NAME/", method="HEAD"))
    yield after("again", "A location with a post_action may be its own.", "post_action /again/;")
    yield after(
        "chain",
        "They may follow each other.",
        "post_action /chained;",
        server="location = /chained { post_action @named; alias html/p.html; }",
    )
    yield after(
        "http10", "HTTP/1.0 has it, too.", "post_action /up/x;", get("/NAME/", version="1.0")
    )
    yield after(
        "if", "It may be in if.", "alias html/; if ($arg_a) { post_action @named; }", "p.html?a=1"
    )
    yield after(
        "fields",
        "Fields are not sent again.",
        "post_action /added; add_header X-A 1;",
        server="location = /added { add_header X-A 2; alias html/p.html; }",
    )
    yield after(
        "rewritten",
        "It may be rewritten.",
        "post_action /moved;",
        server="location = /moved { rewrite ^ /p.html last; }",
    )


SERVER = """
    location @named { proxy_pass http://127.0.0.1:@PORT2@; }
    location @returned { return 202 y; }
    location /up/ { proxy_pass http://127.0.0.1:@PORT2@; proxy_set_header X-Of $request_uri; }
    location /502 { proxy_pass http://127.0.0.1:1; }
    location /in/ { internal; alias html/; }
    location /not-allowed/ { deny all; alias html/; }
"""
ORIGIN = """
    server {
        listen 127.0.0.1:@PORT2@;
        access_log off;
        location / { return 201 origin; }
    }
"""


@pytest.mark.nginx
def test_post_actions_equal_nginx(tmp_path: Path) -> None:
    cases = [FilterCase("server", "The server is shared.", server=SERVER), *scenarios()]
    compare_cases(tmp_path, cases, files={"p.html": b"a page"}, http=ORIGIN, log=FORMAT)
