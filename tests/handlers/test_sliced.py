"""`slice`, beside the system's nginx: an origin serves ranges, and logs those it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.handlers.filter_pair import SYSTEM, FilterCase, compare_cases, get, needs_system_nginx

SLICED = """slice 16; proxy_set_header Range $slice_range; proxy_set_header X-Wanted $http_range;
    proxy_pass http://127.0.0.1:@PORT2@/ranges/;"""
LOGGED = "X-Log"


def sliced(
    name: str,
    rule: str,
    *requests: tuple[str, ...],
    target: str = "f.html",
    more: str = "",
    directives: str = SLICED,
    shows: str = "",
    lacks: str = "",
    method: str = "GET",
    version: str = "1.1",
) -> FilterCase:
    queries = [
        get(f"/NAME/{target}", *fields, method=method, version=version)
        for fields in requests or ((),)
    ]
    return FilterCase(name, rule, directives + more, tuple(queries), shows, lacks)


def wanted(text: str) -> tuple[str, ...]:
    return (f"Range: bytes={text}",)


def scenarios() -> Iterator[FilterCase]:
    yield sliced("whole", "Slices are joined.", shows="0123456789" * 9)
    yield sliced("range", "A part is served from its slice.", wanted("20-25"), shows="206 ")
    yield sliced("two", "A part may be in two slices.", wanted("14-17"), shows="4567")
    yield sliced("first", "A part may begin a slice.", wanted("16-31"), shows="16-31/95")
    yield sliced("last", "The last slice may be short.", wanted("90-"), shows="90-94/95")
    yield sliced("suffix", "The last bytes may be asked for.", wanted("-5"), shows="90-94/95")
    yield sliced("long-suffix", "All bytes may be.", wanted("-500"), shows="0-94/95")
    yield sliced("several", "Several ranges are not served.", wanted("1-2,5-6"), shows="200 ")
    yield sliced("beyond", "A part behind the end cannot be served.", wanted("95-"), shows="416")
    yield sliced("wrong", "A wrong range is refused.", wanted("5-2"))
    yield sliced("blank", "Blanks are skipped.", wanted("  20-25"))
    yield sliced(
        "if-range", "If-Range is evaluated.", (*wanted("20-25"), 'If-Range: "x"'), shows="200 "
    )
    yield sliced(
        "if-range-date",
        "It may be a date.",
        (*wanted("20-25"), "If-Range: Tue, 14 Nov 2023 22:13:20 GMT"),
        shows="206 ",
    )
    yield sliced("head", "HEAD makes one request.", method="HEAD", shows="'95'")
    yield sliced("head-range", "HEAD may have a range.", wanted("20-25"), method="HEAD")
    yield sliced("http10", "HTTP/1.0 gets all.", wanted("20-25"), version="1.0")
    yield sliced("missing", "An error is passed on.", target="none.html", shows="404 ")
    yield sliced("short", "A response of one slice is complete.", target="s.html", shows="'5'")
    yield sliced(
        "args",
        "Slices have the arguments of the request.",
        target="f.html?a=b",
        shows="0123456789" * 9,
    )
    yield sliced(
        "unsliced",
        "A response that is no slice is passed on.",
        shows="'95'",
        directives=SLICED.replace("/ranges/", "/whole/"),
    )
    yield sliced(
        "unused",
        "Without $slice_range there are no slices.",
        shows="'95'",
        directives="slice 16; proxy_pass http://127.0.0.1:@PORT2@/ranges/;",
    )
    yield sliced(
        "off",
        "Without slice the range is empty.",
        shows="'95'",
        directives=SLICED.replace("slice 16", "slice 0"),
    )
    yield sliced(
        "other-size",
        "A slice must be of the right size.",
        directives=SLICED.replace("$slice_range", "bytes=0-9; add_header X $slice_range"),
    )
    yield sliced(
        "no-length",
        "A complete length is needed.",
        directives=SLICED.replace("/ranges/", "/no-length/"),
    )
    yield sliced(
        "invalid", "A valid range is needed.", directives=SLICED.replace("/ranges/", "/invalid/")
    )
    yield sliced("no-range", "A range is needed.", directives=SLICED.replace("/ranges/", "/none/"))
    yield sliced(
        "fields", "Fields are added once.", more="add_header X-A $slice_range;", shows="X-A"
    )
    yield sliced(
        "gzip",
        "Slices are compressed together.",
        ("Accept-Encoding: gzip",),
        more="gzip on; gzip_min_length 1;",
        shows="gzip",
    )
    yield sliced(
        "limited",
        "Rewriting is not done again.",
        directives="rewrite ^/limited/(.*) /ranges/$1 break;" + SLICED.replace("/ranges/;", ";"),
        shows="0123456789" * 9,
    )
    cached = (
        " proxy_cache c; proxy_cache_key NAME$uri$slice_range; proxy_cache_valid 200 206 1h;"
        " add_header X-Cache $upstream_cache_status;"
    )
    yield sliced(
        "cached",
        "Slices are cached.",
        (),
        (),
        wanted("20-25"),
        wanted("40-70"),
        more=cached,
        shows="HIT",
    )
    yield sliced(
        "cached-part",
        "Only the slices that are needed are cached.",
        wanted("20-25"),
        wanted("20-25"),
        (),
        (),
        more=cached,
        shows="HIT",
    )

    large = SLICED.replace("slice 16", "slice 2000")
    yield sliced(
        "again",
        "A response ends if the next slice is another one.",
        directives=large.replace("/ranges/", "/midway/"),
        shows="unexpected range in slice response: 0-2000",
    )
    yield sliced(
        "only",
        "A slice may be the whole response.",
        directives=large.replace("/ranges/", "/only/"),
        shows="'2000'",
    )


ORIGIN = """
    proxy_cache_path cache keys_zone=c:1m;
    server {
        listen 127.0.0.1:@PORT2@;
        access_log off;
        location /ranges/ { alias html/; }
        location /whole/ { alias html/; max_ranges 0; }
        location /no-length/ { add_header Content-Range "bytes 0-15/*"; return 206 x; }
        location /invalid/ { add_header Content-Range "bytes a-b/c"; return 206 x; }
        location /midway/ { add_header Content-Range "bytes 0-1999/9000"; return 206 X2000; }
        location /only/ { add_header Content-Range "bytes 0-1999/2000"; return 206 X2000; }
        location /none/ { return 206 x; }
    }
""".replace("X2000", "x" * 2000)  # nginx holds back what is shorter than `postpone_output`


@needs_system_nginx
@pytest.mark.nginx
def test_slices_equal_nginx(tmp_path: Path) -> None:
    files = {"f.html": (b"0123456789" * 10)[:95], "s.html": b"short"}
    compare_cases(tmp_path, scenarios(), SYSTEM, files=files, http=ORIGIN, log="$status $uri")
