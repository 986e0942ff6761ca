"""SSI commands, beside nginx: what they put in their place, and what they log."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.handlers.ssi_parser import SsiParser
from tests.handlers.filter_pair import FilterCase, compare_cases, get
from tests.handlers.ssi_pages import COMMANDS, ENDS

FILES = {
    "inc.html": b'inc:<!--#echo var="query_string" default="none" -->'
    b'<!--#if expr="$request_uri = /a=1/" -->1<!--#endif -->',
    "v.html": b'v=<!--#echo var="v" -->',
    "sets.html": b'<!--#set var="v" value="from there" -->',
    "bad.html": b"<!--#bad -->",
    "loop.html": b'.<!--#include virtual="loop.html" -->',
}
SERVER = """
    set $own mine;
    location /pages/ { ssi on; alias html/; }
    location /silent/ { ssi on; ssi_silent_errors on; alias html/; }
    location /short/ { ssi on; ssi_value_length 5; alias html/; }
    location = /p { default_type text/html; return 200 included; }
    location = /empty { default_type text/html; return 200 ""; }
    location = /404 { return 404; }
    location = /301 { return 301 /x; }
    location /502 { proxy_pass http://127.0.0.1:1; }
    location /show { return 200 "$uri $request_method args=$args"; }
    location /up/ { UPSTREAM proxy_set_header X-Own 1; }
"""


def parsed(pieces: Iterable[bytes]) -> list[object]:
    """What is found in a text, its parts joined."""
    parser = SsiParser(10)
    found: list[object] = []
    for item in itertools.chain.from_iterable(map(parser.feed, pieces)):
        if isinstance(item, bytes) and found and isinstance(found[-1], bytes):
            found[-1] += item
        else:
            found.append(item)
    return found


WORDS = st.sampled_from(
    [b"<!--#", b"<", b"!", b"-", b"-->", b"a", b" ", b"=", b'"', b"'", b"\\", b"echo", b"x" * 20]
)


@given(st.lists(st.tuples(WORDS, st.booleans()), max_size=40))
def test_pieces_make_no_difference(words: list[tuple[bytes, bool]]) -> None:
    pieces = [b""]
    for word, begins in words:
        if begins:
            pieces.append(word)
        else:
            pieces[-1] += word
    assert parsed(pieces) == parsed([b"".join(pieces)])
    assert parsed(bytes((byte,)) for byte in b"".join(pieces)) == parsed(pieces)


@pytest.mark.nginx
def test_commands_equal_nginx(tmp_path: Path) -> None:
    files = dict(FILES)
    cases = [FilterCase("server", "The server is shared.", server=SERVER)]
    for name, (rule, text, shows) in COMMANDS.items():
        files[f"{name}.html"] = f"[{text}]".encode("latin-1")
        request = get(f"/pages/{name}.html?a=1&e=&p=ab&q=p&i=inc&x=X")
        cases.append(FilterCase(f"x-{name}", rule, queries=(request,), shows=shows))
    for name, (rule, text) in ENDS.items():
        files[f"{name}.html"] = text.encode("latin-1")
        cases.append(FilterCase(f"x-{name}", rule, queries=(get(f"/pages/{name}.html"),)))
    for folder in ("silent", "short"):
        for name in ("unknown", "echo", "quotes", "after", "stub-absent"):
            request = get(f"/{folder}/{name}.html?a=1")
            cases.append(
                FilterCase(f"{folder}-{name}", f"Errors may be {folder}.", queries=(request,))
            )
    compare_cases(tmp_path, cases, files=files, http="map $host $mapped { default one; }")
