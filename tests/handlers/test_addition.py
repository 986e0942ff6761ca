"""`add_before_body`, `add_after_body`, `addition_types`, beside the system's nginx."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.handlers.filter_pair import (
    SYSTEM,
    FilterCase,
    compare_cases,
    get,
    needs_system_nginx,
)

FIELDS = quote('Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT|ETag: "a"|Accept-Ranges: bytes')
BEFORE, AFTER = "add_before_body /head.html; ", "add_after_body /foot.html; "


def added(
    name: str,
    rule: str,
    directives: str,
    *queries: str | bytes,
    shows: str = "",
    lacks: str = "",
    server: str = "",
    lines: int = 1,
) -> FilterCase:
    if not any(word in directives for word in ("UPSTREAM", "alias", "return")):
        directives += " UPSTREAM"
    return FilterCase(name, rule, directives, queries or ("",), shows, lacks, server, lines)


def additions() -> Iterator[FilterCase]:
    both = BEFORE + AFTER
    yield added("before", "A response is sent before.", BEFORE, shows="\n<HEAD>hello")
    yield added("after", "A response is sent after.", AFTER, shows="hello<FOOT>")
    yield added("both", "Both may be set.", both, shows="<HEAD>hello<FOOT>")
    yield added(
        "off",
        "An empty URI adds nothing.",
        "add_before_body ''; add_after_body '';",
        shows="Content-Length",
    )
    yield added(
        "one-off", "One of them may be empty.", BEFORE + "add_after_body '';", shows="<HEAD>hello"
    )
    yield added(
        "type", "Other types than text/html get nothing.", both, "?t=text/css", lacks="HEAD"
    )
    yield added(
        "types",
        "addition_types adds types.",
        both + "addition_types text/css;",
        "?t=text/css",
        shows="<HEAD>",
    )
    yield added(
        "any", "* is any type.", both + "addition_types *;", "?t=a/b", "?t=", shows="<HEAD>"
    )
    yield added("status", "Only a 200 gets additions.", both, "?s=404", "?s=201", lacks="HEAD")
    yield added("page", "Pages of nginx's own get none.", both + "return 403;", lacks="HEAD")
    yield added(
        "returned",
        "What return sends gets them.",
        "default_type text/html;" + both + "return 200 x;",
        shows="<HEAD>x<FOOT>",
    )
    yield added(
        "fields",
        "ETag becomes weak, and there is no length.",
        both,
        f"?h={FIELDS}",
        shows="W/",
        lacks="Accept-Ranges",
    )
    yield added(
        "file", "Files get additions.", both + "alias html/;", "p.html", shows="<HEAD>a page<FOOT>"
    )
    yield added(
        "range",
        "Ranges are not served.",
        both + "alias html/;",
        get("/NAME/p.html", "Range: bytes=1-2"),
        shows="200 ",
    )
    yield added(
        "known",
        "Conditions are evaluated before.",
        both + "alias html/;",
        get("/NAME/p.html", "If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT"),
        shows="304 ",
    )
    yield added(
        "head", "HEAD has no additions.", both, get("/NAME/", method="HEAD"), lacks="Content-Length"
    )
    yield added(
        "http10",
        "HTTP/1.0 ends with the connection.",
        both,
        get("/NAME/", version="1.0"),
        shows="<HEAD>hello<FOOT>",
    )
    yield added("empty", "An empty body gets additions.", both, "?b=", shows="<HEAD><FOOT>")
    yield added(
        "missing",
        "The page of an error is added.",
        "add_before_body /none.html;",
        shows="404 Not Found",
    )
    yield added(
        "forbidden", "Access is not checked.", "add_before_body /denied/p.html;", shows="a page"
    )
    yield added(
        "internal",
        "Internal locations may be added.",
        "add_before_body /in/p.html;",
        shows="a page",
    )
    yield added(
        "proxied",
        "An upstream may be asked.",
        "proxy_set_header Host $host:$arg_a; add_before_body /up/echo;",
        "?a=b",
        shows="GET /echo HTTP",
    )
    yield added(
        "literal",
        "A URI has no arguments and no variables.",
        "add_before_body '/echo/$uri?a';",
        "",
        shows="uri=/echo/$uri?a args=",
    )
    yield added(
        "redirected",
        "A page of a redirect is added.",
        "add_before_body /moved/x;",
        shows="301 Moved",
    )
    yield added(
        "rewritten",
        "A subrequest may be rewritten.",
        "add_before_body /rewritten;",
        shows="<HEAD>hello",
    )
    yield added(
        "closed", "A subrequest that closes the connection ends it.", "add_before_body /closed;"
    )
    yield added(
        "substituted",
        "Only the body itself is searched.",
        both + "sub_filter_once off; sub_filter E 3; sub_filter h H;",
        shows="<HEAD>H3llo<FOOT>",
    )
    yield added(
        "substituted-there",
        "Additions are searched by their own location.",
        "add_before_body /sub/p.html;",
        shows="A PAGE",
    )
    yield added("nested", "Additions get no additions.", "add_before_body /both/;", lacks="HEAD")
    yield added(
        "compressed",
        "All is compressed.",
        "gzip on; gzip_min_length 0;" + both,
        get("/NAME/", "Accept-Encoding: gzip"),
        shows="gzip",
    )
    yield added(
        "charset",
        "Additions are converted to the charset of the response.",
        "charset utf-8; source_charset koi8-r; add_before_body /koi/k.html;",
        shows="x\xd0\xb0yhello",
    )
    yield added(
        "charset-same",
        "Additions whose charset is not known are not converted.",
        "charset utf-8; add_before_body /raw/k.html;",
        shows="x\xc1yhello",
    )
    yield added(
        "logged",
        "log_subrequest logs additions.",
        "add_before_body /with-log/p.html;",
        shows="a page",
        lines=2,
    )
    yield added(
        "fields-of",
        "Fields of additions are not sent.",
        "add_before_body /with-fields/p.html;",
        lacks="X-A",
    )
    yield added(
        "error-page",
        "An error page gets additions by its own location.",
        "error_page 404 /addition-page.html; return 404;",
        shows="404 ",
        lacks="HEAD",
        server="location = /addition-page.html { " + both + "alias html/p.html; }",
    )
    yield added(
        "ok-page",
        "An error page with status 200 gets additions.",
        "error_page 404 =200 /ok-page.html; return 404;",
        shows="<HEAD>a page",
        server="location = /ok-page.html { " + both + "alias html/p.html; }",
    )


SHARED = """
    location /denied/ { deny all; alias html/; }
    location /in/ { internal; alias html/; }
    location /up/ { UPSTREAM }
    location /echo/ { return 200 "uri=$uri args=$args $request_uri $request_method"; }
    location /moved/ { return 301 /x; }
    location /rewritten { rewrite ^ /head.html last; }
    location /closed { return 444; }
    location /sub/ { alias html/; sub_filter 'a page' 'A PAGE'; }
    location /koi/ { alias html/; source_charset koi8-r; }
    location /raw/ { alias html/; }
    location /with-fields/ { alias html/; add_header X-A b; }
    location /with-log/ { alias html/; log_subrequest on; }
"""
FILES = {
    "head.html": b"<HEAD>",
    "foot.html": b"<FOOT>",
    "p.html": b"a page",
    "k.html": b"x\xc1y",
}


@needs_system_nginx
@pytest.mark.nginx
def test_additions_equal_nginx(tmp_path: Path) -> None:
    cases = list(additions())
    cases[0] = FilterCase(
        cases[0].name, cases[0].rule, cases[0].directives, shows=cases[0].shows, server=SHARED
    )
    compare_cases(
        tmp_path,
        cases,
        SYSTEM,
        files=FILES,
        log="$status $uri",
        http="charset_map koi8-r UTF-8 { C0 D18E ; C1 D0B0 ; }",
    )
