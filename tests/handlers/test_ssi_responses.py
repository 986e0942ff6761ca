"""Responses whose SSI commands are processed, beside nginx: fields, filters, subrequests."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.handlers.filter_pair import FilterCase, compare_cases, get

VALIDATORS = quote('Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT|ETag: "a"|Accept-Ranges: bytes')
ECHO = '?b=<%21--%23echo+var="arg_v"-->&v=V'
PIECES = '?p&v=V&b=a/<%21--/%23e/cho+v/ar="ar/g_v"/-/->/b<!/-/-a'


def on(
    name: str,
    rule: str,
    directives: str,
    *queries: str | bytes,
    shows: str = "",
    lacks: str = "",
    lines: int = 1,
) -> FilterCase:
    if not any(word in directives for word in ("UPSTREAM", "alias", "return")):
        directives += " UPSTREAM"
    return FilterCase(
        name, rule, f"ssi on; {directives}", queries or (ECHO,), shows, lacks, "", lines
    )


FILTERED = (
    on("body", "A response of an upstream is processed.", "", shows="\nV"),
    FilterCase("off", "ssi is off.", "UPSTREAM", (ECHO,), shows="<!--#echo"),
    FilterCase(
        "if",
        "ssi may be in if.",
        "alias html/; if ($arg_v) { ssi on; }",
        ("include.html?v=1",),
        "[included",
    ),
    on("pieces", "A command may be in several pieces.", "", PIECES, shows="aVb"),
    on("unbuffered", "It may come slowly.", "proxy_buffering off;", PIECES, shows="aVb"),
    on("type", "Other types are left.", "", ECHO + "&t=text/css", shows="<!--#echo"),
    on("types", "ssi_types adds types.", "ssi_types text/css;", ECHO + "&t=text/css", shows="V"),
    on("any", "* is any type.", "ssi_types *;", ECHO + "&t=a/b", ECHO + "&t=", shows="V"),
    on("status", "Errors are processed.", "", ECHO + "&s=404", shows="V"),
    on(
        "validators",
        "Last-Modified and ETag are removed.",
        "",
        f"{ECHO}&h={VALIDATORS}",
        lacks="ETag",
    ),
    on(
        "dates",
        "ssi_last_modified keeps them.",
        "ssi_last_modified on;",
        f"{ECHO}&h={VALIDATORS}",
        shows="W/",
    ),
    on("head", "HEAD makes no subrequests.", "", get("/NAME/" + ECHO, method="HEAD")),
    on(
        "http10",
        "HTTP/1.0 ends with the connection.",
        "",
        get("/NAME/" + ECHO, version="1.0"),
        shows="V",
    ),
    on("empty", "An empty body is left.", "", f"?b=&h={VALIDATORS}", shows="ETag"),
    on("file", "A file loses its date.", "alias html/;", "include.html", lacks="Last-Modified"),
    on(
        "file-date",
        "It keeps it with ssi_last_modified.",
        "alias html/; ssi_last_modified on;",
        "include.html",
        shows="Last-Modified",
    ),
    on(
        "range",
        "Ranges are not served.",
        "alias html/;",
        get("/NAME/include.html", "Range: bytes=1-2"),
        shows="200 ",
    ),
    on(
        "known",
        "Conditions are evaluated before, and not for included pages.",
        "alias html/; ssi_last_modified on;",
        get("/NAME/include.html", "If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT"),
        shows="304 ",
    ),
    on(
        "unknown",
        "Conditions do not count for included pages.",
        "alias html/;",
        get(
            "/NAME/include.html",
            "If-Modified-Since: Tue, 14 Nov 2023 22:13:21 GMT",
            "If-Match: x",
            "Range: bytes=0-0",
        ),
        shows="",
    ),
    on(
        "fields",
        "Fields of included pages are not sent.",
        "alias html/;",
        "fields.html",
        shows="fields",
        lacks="X-A",
    ),
    on(
        "gzip",
        "All is compressed.",
        "gzip on; gzip_min_length 0; alias html/;",
        get("/NAME/include.html", "Accept-Encoding: gzip"),
        shows="gzip",
    ),
    on(
        "returned",
        "What return sends is processed.",
        "default_type text/html; return 200 '<!--#echo var=\"arg_v\"-->';",
        shows="V",
    ),
    on("page", "Pages of nginx's own are, too.", "return 403;", shows="403 Forbidden"),
    on(
        "logged",
        "log_subrequest logs included pages.",
        "alias html/;",
        "logged.html",
        shows="included",
        lines=2,
    ),
    on("closed", "A subrequest that closes the connection ends it.", "alias html/;", "closed.html"),
    on(
        "too-big",
        "A response may be too large for a variable.",
        "alias html/;",
        "too-big.html",
    ),
    on(
        "fits",
        "A response may just fit.",
        "alias html/;",
        "big.html",
        shows="[included]",
    ),
    on(
        "charset",
        "Included pages get the charset of the response.",
        "charset utf-8; source_charset koi8-r; alias html/;",
        "koi.html",
        shows="\xd1\x8e",
    ),
    on(
        "many",
        "There may be thousands of includes.",
        "alias html/;",
        "many.html",
        shows="included" * 2000,
    ),
    on(
        "denied",
        "Access to included pages is not checked.",
        "alias html/;",
        "denied.html",
        shows="inc:",
    ),
)
FILES = {
    "inc.html": b"inc:<!--#foo -->",
    "include.html": b'[<!--#include virtual="/p"-->]',
    "fields.html": b'[<!--#include virtual="/fielded"-->]',
    "logged.html": b'[<!--#include virtual="/p-logged"-->]',
    "closed.html": b'<!--#include virtual="/444"-->',
    "big.html": b'<!--#include virtual="/p" set="v"-->[<!--#echo var="v"-->]',
    "too-big.html": b'<!--#include virtual="/p-too-big" set="v"-->[<!--#echo var="v"-->]',
    "koi.html": b'a\xc0<!--#include virtual="/koi/k.html"-->',
    "k.html": b"k\xc0",
    "many.html": b'<!--#include virtual="/p"-->' * 2000,
    "denied.html": b'<!--#include virtual="/not-allowed/inc.html"-->',
}
SERVER = """
    location = /p { subrequest_output_buffer_size 8; default_type text/html;
        return 200 included; }
    location = /p-too-big { subrequest_output_buffer_size 7; default_type text/html;
        return 200 included; }
    location = /fielded { add_header X-A b; return 200 fields; }
    location = /p-logged { log_subrequest on; return 200 included; }
    location = /444 { return 444; }
    location /koi/ { source_charset koi8-r; alias html/; }
    location /not-allowed/ { deny all; alias html/; }
"""


@pytest.mark.nginx
def test_processed_responses_equal_nginx(tmp_path: Path) -> None:
    cases = [FilterCase("server", "The server is shared.", server=SERVER), *FILTERED]
    compare_cases(
        tmp_path,
        cases,
        files=FILES,
        log="$status $uri",
        http="charset_map koi8-r UTF-8 { C0 D18E ; C1 D0B0 ; }",
    )
