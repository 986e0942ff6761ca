"""`charset`, `source_charset`, `override_charset`, `charset_types`, `charset_map`, beside nginx."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.handlers.charset import Utf8Converter
from tests.handlers.filter_pair import compare, get

MAPS = """
    charset_map koi8-r UTF-8 {
        C0 D18E ; # small yu
        C1 D0B0 ;
        A4 E282AC ;
    }
    charset_map windows-1251 koi8-r { FE C0 ; E0 C1 ; 80 41 ; }
    charset_map named other { }
    map $arg_v $mapped { a utf-8; b koi8-r; c Unknown; default ""; }
"""
LOCATIONS = """
    location /none/ { UPSTREAM }
    location /name/ { charset utf-8; UPSTREAM }
    location /spelling/ { charset Windows-1251; UPSTREAM }
    location /types/ { charset utf-8; charset_types text/css; UPSTREAM }
    location /any/ { charset utf-8; charset_types *; UPSTREAM }
    location /override/ { charset utf-8; override_charset on; UPSTREAM }
    location /to-utf8/ { charset utf-8; source_charset koi8-r; UPSTREAM }
    location /from-utf8/ { charset koi8-r; source_charset utf-8; UPSTREAM }
    location /bytes/ { charset koi8-r; source_charset windows-1251; UPSTREAM }
    location /back/ { charset windows-1251; source_charset koi8-r; override_charset on; UPSTREAM }
    location /same/ { charset utf-8; source_charset UTF-8; UPSTREAM }
    location /off-source/ { charset utf-8; source_charset $arg_w; UPSTREAM }
    location /variable/ { charset $arg_v; UPSTREAM }
    location /mapped/ { charset $mapped; source_charset koi8-r; UPSTREAM }
    location /both/ { charset $arg_v; source_charset $arg_w; UPSTREAM }
    location /if/ { UPSTREAM if ($arg_z) { charset utf-8; } }
    location /text { charset utf-8; return 200 "\xe2\x82\xac"; }
    location /redirect { charset utf-8; return 302 /x; }
    location /permanent { charset utf-8; return 308 /x; }
    location /404 { charset utf-8; return 404; }
    location /empty { charset utf-8; default_type ""; return 200 x; }
    location /typed { charset utf-8; override_charset on; default_type "text/html; a=b";
        return 200 x; }
    location /file/ { alias html/; charset utf-8; source_charset koi8-r; }
    location /file-bytes/ { alias html/; charset koi8-r; source_charset windows-1251; }
    location /gzip/ { gzip on; gzip_min_length 0; charset utf-8; UPSTREAM }
    location /ranges/ { charset utf-8; source_charset koi8-r; proxy_force_ranges on; UPSTREAM }
    location /unbuffered/ { charset koi8-r; source_charset utf-8; proxy_buffering off; UPSTREAM }
    location /elsewhere/ { internal; alias html/; }
"""
TYPES = (
    *("text/html", "TEXT/HTML", "text/css", "text/xml", "application/javascript", "text/plain"),
    *("text/html; charset=koi8-r", 'text/html;charset="KOI8-R"', "text/html; a=b;charset=utf-8"),
    *("text/html; charset=", "text/html;", "text/html; a=b", "text/html; charset=unknown", ""),
    "text/html; charset=utf-8; a=b",
)
CYRILLIC = "a\xc0b\xc1\xa4\xff"
UTF_8 = (
    "a\xd1\x8eb\xd0\xb0\xe2\x82\xac\xff\xc3\xa4 "
    "\xf0\x9f\x98\x80\xc1\x80 \xe2\x82 x\xe2A \xed\xa0\x80"
)
PLACES = (
    *("none", "name", "spelling", "types", "any", "override", "to-utf8", "from-utf8", "bytes"),
    *("back", "same", "off-source", "variable", "mapped", "both", "if"),
)


def requests() -> Iterator[bytes]:
    for place in PLACES:
        for kind in TYPES:
            yield get(f"/{place}/?t={quote(kind)}&b={quote(CYRILLIC, encoding='latin-1')}")
        yield get(f"/{place}/?b={quote(UTF_8, encoding='latin-1')}")
        yield get(f"/{place}/?b={quote(CYRILLIC, encoding='latin-1')}", method="HEAD")
        yield get(f"/{place}/?b=x&h=Content-Encoding:%20br")
        yield get(f"/{place}/?b=x&s=301&h=Location:%20http://x/")
        for wanted in ("utf-8", "KOI8-R", "unknown", "other", ""):
            for kind in ("text/html", "text/css", "text/html;charset=koi8-r", ""):
                field = quote(f"X-Accel-Charset: {wanted}")
                yield get(f"/{place}/?b=a%C0b&h={field}&t={quote(kind)}")
    for values in (
        "v=utf-8",
        "v=koi8-r&w=utf-8",
        "v=a&w=koi8-r",
        "v=b",
        "v=c",
        "w=koi8-r",
        "v=",
        "w=",
    ):
        for place in ("variable", "mapped", "both", "off-source"):
            yield get(f"/{place}/?b=a%C0b&{values}")
    yield get("/if/?z=1")
    for path in ("/text", "/redirect", "/permanent", "/404", "/empty", "/typed", "/file/a.html"):
        yield get(path)
        yield get(path, version="1.0")
        yield get(path, method="HEAD")
    for path in ("/file/a.html", "/file-bytes/a.html", "/ranges/"):
        yield get(path, "Range: bytes=1-3")
        yield get(path, "If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT")
    yield get("/gzip/?t=text/html", "Accept-Encoding: gzip", method="HEAD")
    yield get("/none/?h=X-Accel-Charset:%20utf-8|X-Accel-Redirect:%20/elsewhere/a.html")
    for cut in ("\xd1/\x8e", "\xe2/\x82/\xac", "\xe2\x82/\xac", "a\xf0/\x9f\x98/\x80b", "\xd0/"):
        yield get(f"/from-utf8/?p&b={quote(cut, encoding='latin-1')}")
        yield get(f"/unbuffered/?p&b={quote(cut, encoding='latin-1')}")


@pytest.mark.nginx
def test_charsets_are_named_and_converted_as_by_nginx(tmp_path: Path) -> None:
    files = {"a.html": b"<p>\xc0\xc1\xa4\xff\xfe</p>" * 20}
    outcomes = compare(
        tmp_path,
        LOCATIONS,
        requests(),
        http=MAPS,
        files=files,
        log="$status $sent_http_content_type",
    )
    named = [
        outcome
        for outcome in outcomes
        if "charset" in dict(outcome.headers).get("Content-Type", "")
    ]
    assert 100 < len(named) < len(outcomes) - 100


@given(st.binary(max_size=40), st.lists(st.integers(0, 40), max_size=5))
def test_pieces_are_converted_like_the_whole(data: bytes, cuts: list[int]) -> None:
    """No matter where a sequence is cut."""
    whole = Utf8Converter({0xE4: 0xC4}).convert(data)
    converter = Utf8Converter({0xE4: 0xC4})
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:end] for start, end in itertools.pairwise(edges)]
    assert b"".join(map(converter.convert, pieces)) == whole
