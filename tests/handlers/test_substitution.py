"""`sub_filter` with its directives, beside the system's nginx, which has the module."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.config.directives.substitution import TextReplacement
from sniproxy.handlers.substitution import PIECE, TextReplacer
from sniproxy.template import literal
from tests.handlers.filter_pair import (
    SYSTEM,
    FilterCase,
    compare_cases,
    get,
    needs_system_nginx,
)

VALIDATORS = quote('Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT|ETag: "a"|Accept-Ranges: bytes')


def replaced(
    name: str, rule: str, directives: str, *queries: str | bytes, shows: str = "", lacks: str = ""
) -> FilterCase:
    if "UPSTREAM" not in directives and "alias" not in directives and "return" not in directives:
        directives += " UPSTREAM"
    return FilterCase(name, rule, directives, queries or ("",), shows, lacks)


ONE = "sub_filter hello 'good bye';"
ALL = "sub_filter_once off; "


def replacements() -> Iterator[FilterCase]:
    yield replaced("one", "A text is replaced.", ONE, shows="good bye")
    yield replaced("once", "A text is replaced once.", ONE, "?b=hello+hello", shows="bye hello")
    yield replaced(
        "all", "sub_filter_once off replaces all.", ALL + ONE, "?b=hello+hello", lacks="hello"
    )
    yield replaced("case", "Case does not matter.", ONE, "?b=HeLLo", shows="good bye")
    yield replaced(
        "accents",
        "Only ASCII is searched without regard to case.",
        "sub_filter '\xe4' x;",
        "?b=%C4%E4",
        shows="\xc4x",
    )
    yield replaced(
        "pieces",
        "A text may be in several pieces.",
        ALL + ONE,
        "?b=xhe/l/lohel/lo&p",
        shows="xgood byegood bye",
    )
    yield replaced(
        "begun", "The beginning of a text at the end is sent.", ONE, "?b=hell", shows="hell"
    )
    yield replaced(
        "begun-again",
        "A text may begin within what began like it.",
        "sub_filter aab X;",
        "?b=a/a/a/b&p",
        shows="aX",
    )
    yield replaced(
        "several",
        "Several texts are replaced.",
        ALL + "sub_filter a 1; sub_filter b 2;",
        "?b=abcab",
        shows="12c12",
    )
    yield replaced(
        "several-once",
        "Each of several texts is replaced once.",
        "sub_filter a 1; sub_filter b 2;",
        "?b=abcab",
        shows="12cab",
    )
    yield replaced(
        "same",
        "A text that is configured twice is replaced by both values.",
        "sub_filter a 1; sub_filter a 2;",
        "?b=aaa",
        shows="12a",
    )
    yield replaced(
        "same-all",
        "Without sub_filter_once the first value is used.",
        ALL + "sub_filter a 1; sub_filter a 2;",
        "?b=aaa",
        shows="111",
    )
    yield replaced(
        "longer",
        "Of texts that begin at the same place the first counts.",
        ALL + "sub_filter ab 1; sub_filter abc 2;",
        "?b=abcab",
        shows="1c1",
    )
    yield replaced(
        "longer-first",
        "The longer text is replaced if it is configured first.",
        ALL + "sub_filter abc 2; sub_filter ab 1;",
        "?b=abcab/cab/d&p",
        shows="221d",
    )
    yield replaced(
        "inside",
        "The text that begins first is replaced.",
        ALL + "sub_filter bc 1; sub_filter abcd 2;",
        "?b=abcdbc/abc/e&p",
        shows="21a1e",
    )
    yield replaced("empty-value", "A value may be empty.", "sub_filter l '';" + ALL, shows="heo")
    yield replaced(
        "variable",
        "A value may contain variables.",
        "sub_filter hello '$arg_v-$uri';",
        "?v=1",
        shows="1-/variable/",
    )
    yield replaced(
        "text-variable",
        "A text may contain variables.",
        "sub_filter '$arg_v' x;",
        "?v=HELL",
        shows="xo",
    )
    yield replaced(
        "no-text",
        "A text that is empty for a request is ignored.",
        "sub_filter '$arg_v' x;",
        f"?h={VALIDATORS}",
        shows="hello",
    )
    yield replaced(
        "one-text",
        "Texts that are not empty are replaced, if another is.",
        "sub_filter '$arg_v' x; sub_filter e y;",
        shows="hyllo",
    )
    yield replaced(
        "not-again",
        "What was replaced is not searched.",
        ALL + "sub_filter a ab; sub_filter b a;",
        "?b=ab",
        shows="aba",
    )
    yield replaced(
        "long",
        "A text may be longer than a piece.",
        "sub_filter aaaaaaaaab X;",
        "?b=" + "a/" * 12 + "b/aa&p",
        shows="aaaXaa",
    )
    yield replaced(
        "binary", "Bytes may be anything.", "sub_filter '\xff' '\xfe';", "?b=%00%FF", shows="\0\xfe"
    )


def conditions() -> Iterator[FilterCase]:
    yield replaced(
        "type", "text/html is searched, other types are not.", ONE, "?t=text/css", shows="hello"
    )
    yield replaced(
        "types",
        "sub_filter_types adds types.",
        ONE + "sub_filter_types text/css;",
        "?t=text/html",
        "?t=Text/CSS",
        shows="good bye",
    )
    yield replaced(
        "any", "* is any type.", ONE + "sub_filter_types *;", "?t=", "?t=a/b", shows="good bye"
    )
    yield replaced("status", "Errors are searched.", ONE, "?s=404", shows="good bye")
    yield replaced("no-content", "204 is left as it is.", ONE, get("/NAME/?s=204&b="))
    yield replaced(
        "page",
        "Pages of nginx's own are searched.",
        "sub_filter '403 forbidden' X; return 403;",
        shows="<title>X",
    )
    yield replaced(
        "returned",
        "What return sends is searched.",
        "default_type text/html; sub_filter b X; return 200 abc;",
        shows="aXc",
    )
    yield replaced(
        "redirect",
        "Pages of redirects are searched.",
        "sub_filter moved X; return 301 /x;",
        shows="301 X",
    )
    yield replaced(
        "empty", "An empty body is left.", ONE, f"?b=&h={VALIDATORS}", shows="Last-Modified"
    )
    yield replaced(
        "encoded",
        "A compressed body is searched as it is.",
        ONE,
        "?h=Content-Encoding:+gzip",
        shows="good bye",
    )
    yield replaced(
        "head", "A HEAD has no length.", ONE, get("/NAME/", method="HEAD"), lacks="Content-Length"
    )
    yield replaced(
        "http10",
        "HTTP/1.0 ends with the connection.",
        ONE,
        get("/NAME/", version="1.0"),
        shows="good bye",
    )
    yield replaced(
        "nothing", "Without sub_filter nothing is searched.", "sub_filter_once off;", shows="hello"
    )
    yield replaced(
        "gunzip",
        "A body is searched after it was decompressed.",
        "gunzip on; alias html/; gzip_static always; sub_filter hello X;",
        "f.html",
        shows="X world",
    )
    yield replaced(
        "gzip",
        "A body is compressed after it was searched.",
        "gzip on; gzip_min_length 0;" + ONE,
        get("/NAME/", "Accept-Encoding: gzip"),
        shows="gzip",
    )
    yield replaced(
        "charset",
        "A body is searched before it is converted.",
        "charset utf-8; source_charset koi8-r; sub_filter '\xd1\x8e' X;",
        "?b=x%C0y",
        shows="\xd1\x8e",
    )
    yield replaced(
        "unbuffered",
        "Unbuffered bodies are searched.",
        "proxy_buffering off;" + ONE,
        "?b=hel/lo&p",
        shows="good bye",
    )


def validators() -> Iterator[FilterCase]:
    query = f"?h={VALIDATORS}"
    yield replaced("dates", "Last-Modified and ETag are removed.", ONE, query, lacks="ETag")
    for on in ("on", "off"):
        setting = f"{ONE} sub_filter_last_modified {on};"
        yield replaced(
            f"dates-{on}",
            "sub_filter_last_modified keeps Last-Modified.",
            setting,
            query,
            shows="W/" if on == "on" else "",
        )
        yield replaced(
            f"file-{on}",
            "A file's Last-Modified is kept too.",
            setting + "alias html/;",
            "p.html",
            "none.html",
            "p.html",
            shows="Last-Modified" if on == "on" else "",
            lacks="Content-Length",
        )
        yield replaced(
            f"range-{on}",
            "Ranges are not served.",
            setting + "alias html/;",
            get("/NAME/p.html", "Range: bytes=1-2"),
            shows="200 ",
        )
        yield replaced(
            f"known-{on}",
            "Conditions are evaluated before.",
            setting + "alias html/;",
            get("/NAME/p.html", "If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT"),
            shows="304 ",
        )


@needs_system_nginx
@pytest.mark.nginx
def test_substitutions_equal_nginx(tmp_path: Path) -> None:
    import gzip

    cases = itertools.chain(replacements(), conditions(), validators())
    files = {"p.html": b"hello " * 20000, "f.html.gz": gzip.compress(b"hello world", mtime=0)}
    http = "charset_map koi8-r UTF-8 { C0 D18E ; C1 D0B0 ; }"
    compare_cases(tmp_path, cases, SYSTEM, files=files, http=http)


@needs_system_nginx
@pytest.mark.nginx
def test_inherited_substitutions_equal_nginx(tmp_path: Path) -> None:
    """All texts of a level replace all of those outside, and are inherited together."""
    cases = [
        replaced("inherited", "Texts are inherited.", "sub_filter_types text/css;", shows="1ello"),
        replaced("own", "Own texts replace inherited ones.", "sub_filter l 2;", shows="he22o"),
    ]
    compare_cases(tmp_path, cases, SYSTEM, http="sub_filter h 1; sub_filter_once off;")


# --- the replacer alone ---

WORDS = st.binary(min_size=1, max_size=4).map(lambda data: bytes(byte % 3 + 97 for byte in data))


def leftmost_first(data: bytes, pairs: list[tuple[bytes, bytes]], *, once: bool) -> bytes:
    """The rule as a loop over all places."""
    output, place, left = b"", 0, list(enumerate(pairs))
    while place < len(data):
        found = next((one for one in left if data.startswith(one[1][0], place)), None)
        if found is None:
            output += data[place : place + 1]
            place += 1
            continue
        output += found[1][1]
        place += len(found[1][0])
        if once:
            left.remove(found)
    return output


@given(st.lists(WORDS, max_size=20), st.lists(st.tuples(WORDS, WORDS), min_size=1), st.booleans())
def test_pieces_make_no_difference(
    pieces: list[bytes], pairs: list[tuple[bytes, bytes]], once: bool
) -> None:
    texts = [text for text, _ in pairs]
    values = [
        TextReplacement(literal(text.decode()), literal(value.decode())) for text, value in pairs
    ]
    replacer = TextReplacer(texts, values, lambda name: None, once=once)
    output = b"".join(b"".join(replacer.replace(piece, ends=False)) for piece in pieces)
    output += b"".join(replacer.replace(b"", ends=True))
    assert output == leftmost_first(b"".join(pieces), pairs, once=once)


def test_long_replacements_are_passed_on_in_pieces() -> None:
    pair = TextReplacement(literal("a"), literal("x" * 1000))
    replacer = TextReplacer([b"a"], [pair], lambda name: None, once=False)
    pieces = list(replacer.replace(b"a" * 1000, ends=True))
    assert max(map(len, pieces)) < PIECE + 1000
    assert b"".join(pieces) == b"x" * 1_000_000
