"""Requests under a condition, and for parts of a file."""

from __future__ import annotations

from tests.conformance.scenario import Scenario, Table, get, request

THEN = "Tue, 14 Nov 2023 22:13:20 GMT"
BEFORE = "Tue, 14 Nov 2023 22:13:19 GMT"
AFTER = "Tue, 14 Nov 2023 22:13:21 GMT"
TEXT = "0123456789abcdefghijklmnopqrstuvwxyz"
ETAG = '"6553f100-24"'


def conditional(
    name: str,
    rule: str,
    *fields: str,
    status: int,
    directives: str = "",
    text: str = TEXT,
    sends: str = "",
    server: str = "",
) -> Scenario:
    """A file of 36 bytes, asked for with these fields."""
    return Scenario(
        name,
        rule,
        directives,
        upstreams=(),
        proxy_pass="none",
        location="PATH/",
        server=server,
        files={"html/NAME/a": text},
        requests=(sends or get(*fields, path="PATH/a"),),
        status=status,
    )


def part(
    name: str,
    rule: str,
    ranges: str,
    *fields: str,
    status: int = 206,
    text: str = TEXT,
    directives: str = "",
) -> Scenario:
    return conditional(
        f"range-{name}",
        rule,
        f"Range: bytes={ranges}",
        *fields,
        status=status,
        text=text,
        directives=directives,
    )


CONDITIONS = (
    conditional(
        "since", "a copy of the same time is good", f"If-Modified-Since: {THEN}", status=304
    ),
    conditional(
        "since-head",
        "for HEAD too",
        status=304,
        sends=request("HEAD", f"If-Modified-Since: {THEN}", path="PATH/a"),
    ),
    conditional("since-before", "an older one is not", f"If-Modified-Since: {BEFORE}", status=200),
    conditional("since-after", "nor a newer one", f"If-Modified-Since: {AFTER}", status=200),
    conditional(
        "since-bad", "nor one whose time can not be read", "If-Modified-Since: x", status=200
    ),
    conditional(
        "since-850",
        "the time may be written as of old",
        "If-Modified-Since: Tuesday, 14-Nov-23 22:13:20 GMT",
        status=304,
    ),
    conditional(
        "since-asctime", "or as C has it", "If-Modified-Since: Tue Nov 14 22:13:20 2023", status=304
    ),
    conditional(
        "before",
        "with before a newer one is good",
        f"If-Modified-Since: {AFTER}",
        status=304,
        directives="if_modified_since before;",
    ),
    conditional(
        "before-older",
        "... and an older one is not",
        f"If-Modified-Since: {BEFORE}",
        status=200,
        directives="if_modified_since before;",
    ),
    conditional(
        "before-bad",
        "... nor an unreadable one",
        "If-Modified-Since: x",
        status=200,
        directives="if_modified_since before;",
    ),
    conditional(
        "off",
        "with off none is",
        f"If-Modified-Since: {THEN}",
        status=200,
        directives="if_modified_since off;",
    ),
    conditional(
        "unmodified", "If-Unmodified-Since holds", f"If-Unmodified-Since: {THEN}", status=200
    ),
    conditional(
        "unmodified-after", "with a later time", f"If-Unmodified-Since: {AFTER}", status=200
    ),
    conditional(
        "unmodified-not",
        "... and fails with an earlier one",
        f"If-Unmodified-Since: {BEFORE}",
        status=412,
    ),
    conditional("unmodified-bad", "or with none", "If-Unmodified-Since: x", status=412),
    conditional("match", "If-Match holds", f"If-Match: {ETAG}", status=200),
    conditional("match-list", "in a list", f'If-Match: "a",{ETAG} , "b"', status=200),
    conditional("match-any", "or with *", "If-Match: *", status=200),
    conditional("match-not", "or fails", 'If-Match: "a"', status=412),
    conditional("match-weak", "and is strict", f"If-Match: W/{ETAG}", status=412),
    conditional("match-tail", "with what stands behind", f"If-Match: {ETAG}x", status=412),
    conditional(
        "match-off",
        "without an ETag nothing matches",
        f"If-Match: {ETAG}",
        status=412,
        directives="etag off;",
    ),
    conditional("etag-off", "etag off", status=200, directives="etag off;"),
    conditional("none-match", "If-None-Match with its ETag", f"If-None-Match: {ETAG}", status=304),
    conditional("none-match-weak", "is lenient", f"If-None-Match: W/{ETAG}", status=304),
    conditional("none-match-other", "with another one", 'If-None-Match: "a", W/"b"', status=200),
    conditional("none-match-any", "with any", "If-None-Match: *", status=304),
    conditional(
        "none-match-since",
        "both conditions have to hold",
        f"If-None-Match: {ETAG}",
        f"If-Modified-Since: {BEFORE}",
        status=200,
    ),
    conditional(
        "none-match-both",
        "... then it is a 304",
        f"If-None-Match: {ETAG}",
        f"If-Modified-Since: {THEN}",
        status=304,
    ),
    conditional(
        "unmodified-first",
        "the others come first",
        f"If-None-Match: {ETAG}",
        'If-Match: "a"',
        status=412,
    ),
    conditional(
        "return",
        "a text of return has no time",
        f"If-Modified-Since: {THEN}",
        status=200,
        directives="return 200 x;",
    ),
    conditional(
        "return-any", "but it is there", "If-None-Match: *", status=304, directives="return 200 x;"
    ),
    conditional(
        "return-match", "and has no ETag", 'If-Match: "a"', status=412, directives="return 200 x;"
    ),
    conditional(
        "return-unmodified",
        "nor is it unmodified",
        f"If-Unmodified-Since: {THEN}",
        status=412,
        directives="return 200 x;",
    ),
    conditional(
        "return-404",
        "under a 404 nobody asks",
        "If-None-Match: *",
        status=404,
        directives="return 404 x;",
    ),
    conditional(
        "return-range",
        "and has no parts",
        "Range: bytes=0-1",
        status=200,
        directives="return 200 0123456789;",
    ),
    conditional(
        "page-412",
        "a 412 may have a page",
        'If-Match: "a"',
        status=412,
        directives="error_page 412 /page-412;",
        server='location = /page-412 { return 200 "page"; }',
    ),
)

RANGES = (
    part("first", "the first bytes", "0-4"),
    part("middle", "some in between", "5-9"),
    part("open", "all from one on", "30-"),
    part("suffix", "the last ones", "-5"),
    part("suffix-long", "no more than there are", "-100"),
    part("end", "an end behind the end is the end", "30-99"),
    part("one", "one byte", "35-35"),
    part("spaces", "spaces are allowed", " 1 - 2 "),
    part("unit", "the unit has no case", "1-2", status=206),
    part("behind", "behind the end", "36-", status=416),
    part("zero", "no bytes at all", "-0", status=416),
    part("backwards", "an end before the start", "5-3", status=416),
    part("backwards-zero", "is the whole where it starts at 0", "0-3,5-4", status=206),
    part("word", "no number", "a-b", status=416),
    part("empty-item", "an empty one", "0-1,", status=416),
    part("sign", "a minus alone", "-", status=416),
    part("huge", "a number too large", "0-99999999999999999999", status=416),
    part("empty", "an empty file is whole", "0-", text="", status=200),
    part("empty-behind", "... unless the range lies behind", "1-", text="", status=416),
    part("several", "several are a multipart", "0-1,4-5,-1"),
    part("some", "those that lie outside are left out", "0-1,99-100"),
    part("overlap", "more than the whole is the whole", "0-20,10-35", status=200),
    part("many", "many of them", ",".join(["0-0"] * 15)),
    part("too-many", "so many that the whole is shorter", ",".join(["0-0"] * 17), status=200),
    part("max", "max_ranges", "0-0,2-2", status=206, directives="max_ranges 2;"),
    part(
        "max-more",
        "more than these are the whole",
        "0-0,2-2,4-4",
        status=200,
        directives="max_ranges 2;",
    ),
    part(
        "max-thrift",
        "and then thrift is no matter",
        ",".join(["0-0"] * 17),
        status=206,
        directives="max_ranges 100;",
    ),
    part("max-none", "max_ranges 0 is no ranges", "0-1", status=200, directives="max_ranges 0;"),
    part("large", "a part of a file of several blocks", "40000-80000", text="0123456789" * 10_000),
    part("large-several", "several of it", "0-40000,50000-99999", text="0123456789" * 10_000),
    part("if-etag", "If-Range with its ETag", "0-1", f"If-Range: {ETAG}"),
    part("if-other", "... or another one", "0-1", 'If-Range: "a"', status=200),
    part(
        "if-off",
        "... or without one",
        "0-1",
        f"If-Range: {ETAG}",
        status=200,
        directives="etag off;",
    ),
    part("if-date", "If-Range with its time", "0-1", f"If-Range: {THEN}"),
    part("if-later", "... or a later one", "0-1", f"If-Range: {AFTER}", status=200),
    part("if-bad", "... or none", "0-1", "If-Range: x", status=200),
    part("known", "a copy that is good beats it", "0-1", f"If-None-Match: {ETAG}", status=304),
    part("typed", "parts have the type of the whole", "0-1,3-4", directives="default_type a/b;"),
    part("typeless", "or none", "0-1,3-4", directives='default_type "";'),
    conditional("range-other-unit", "another unit is no range", "Range: lines=1-2", status=200),
    conditional("range-case", "bytes has no case", "Range: BYTES=1-2", status=206),
    conditional("range-short", "too short", "Range: bytes=", status=200),
    conditional(
        "range-head",
        "HEAD may ask too",
        status=206,
        sends=request("HEAD", "Range: bytes=0-1", path="PATH/a"),
    ),
    conditional(
        "range-old",
        "so may HTTP/1.0",
        status=206,
        sends="GET PATH/a HTTP/1.0\r\nRange: bytes=0-1\r\n\r\n",
    ),
)

TABLE = Table("conditions", (*CONDITIONS, *RANGES))
