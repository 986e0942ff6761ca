"""`autoindex`: lists of folders in all formats."""

from __future__ import annotations

from collections.abc import Mapping

from tests.conformance.scenario import Scenario, Table, get, request

LONG = "x" * 60
FULL = "y" * 50
FILES = {
    "html/NAME/.hidden": "",
    "html/NAME/b": "hello",
    "html/NAME/B": "x" * 12345,
    "html/NAME/a/x": "",
    "html/NAME/<&\" '>": "1",
    f"html/NAME/{LONG}": "1",
    f"html/NAME/{LONG}<": "1",
    f"html/NAME/<{LONG}": "1",
    f"html/NAME/{FULL}": "1",
    f"html/NAME/{FULL[1:]}": "1",
    "html/NAME/\xc3\xa9\xff%?": "1",
    'html/NAME/"\\\n\x01': "1",
    "html/NAME/large": "x" * 1_600_000,
    "html/NAME/to-file": "-> b",
    "html/NAME/to-file2": "-> /etc/passwd",
    "html/NAME/device": "-> /dev/null",
}
FOLDERS = {"html/NAME/a/": "", f"html/NAME/{FULL}/": "", f"html/NAME/{FULL[1:]}/": ""}


def listed(
    name: str,
    rule: str,
    directives: str = "",
    *,
    path: str = "PATH/",
    sends: str = "",
    files: Mapping[str, str] = FILES,
    status: int = 200,
    logs: tuple[str, ...] = (),
) -> Scenario:
    return Scenario(
        name,
        rule,
        f"autoindex on; {directives}",
        upstreams=(),
        proxy_pass="none",
        location="PATH/",
        requests=(sends or get(path=path),),
        files=files,
        status=status,
        logs=logs,
    )


SCENARIOS = (
    listed("html", "a page"),
    listed("html-sizes", "with sizes for people", "autoindex_exact_size off;"),
    listed("html-local", "in local time", "autoindex_localtime on;"),
    listed("html-folders", "folders have a slash, if there is place", files=FOLDERS),
    listed("html-empty", "of nothing", files={"html/NAME/": ""}),
    listed(
        "html-path", "whose path is escaped", path="PATH/%3Cb%3E/", files={"html/NAME/<b>/": ""}
    ),
    listed("json", "objects", "autoindex_format json;"),
    listed("json-empty", "of nothing", "autoindex_format json;", files={"html/NAME/": ""}),
    listed("jsonp", "a call", "autoindex_format jsonp;", path="PATH/?callback=a.b_1"),
    listed("jsonp-none", "of no function is none", "autoindex_format jsonp;"),
    listed(
        "jsonp-bad",
        "of no name is refused",
        "autoindex_format jsonp;",
        status=400,
        path="PATH/?callback=a(",
        logs=('client sent invalid callback name: "a("',),
    ),
    listed(
        "jsonp-long",
        "nor has it a long one",
        "autoindex_format jsonp;",
        status=400,
        path=f"PATH/?callback={'a' * 129}",
        logs=("client sent too long callback name",),
    ),
    listed("xml", "elements", "autoindex_format xml;"),
    listed("xml-empty", "of nothing", "autoindex_format xml;", files={"html/NAME/": ""}),
    listed("head", "HEAD", sends=request("HEAD", path="PATH/")),
    listed("old", "HTTP/1.0", sends="GET PATH/ HTTP/1.0\r\n\r\n"),
    listed(
        "post",
        "POST has none",
        sends=request("POST", path="PATH/"),
        status=403,
        logs=("directory index of",),
    ),
    listed("index", "an index file is better", files={"html/NAME/index.html": "index"}),
    listed(
        "missing",
        "no folder, no list",
        path="PATH/x/",
        status=404,
        logs=('"PREFIX/html/missing/x/index.html" is not found',),
    ),
    listed(
        "missing-index-absolute", "...", "index /x;", path="PATH/x/", status=404, logs=("open()",)
    ),
    listed(
        "known",
        "a list is never unmodified",
        status=200,
        sends=get('If-None-Match: "a"', path="PATH/"),
    ),
)

TABLE = Table("listings", SCENARIOS)
