"""The grammar of nginx.conf: quoting, positions, and robustness against any text."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sniproxy import config
from sniproxy.config.tokens import read_statements
from sniproxy.config.tree import BlockEnd, FileEnd, Place, Statement
from sniproxy.models import ConfigError

from .oracle import nginx_verdict, sniproxy_verdict


def words(text: str) -> list[tuple[str, ...]]:
    return [
        (item.name, *item.args)
        for item in read_statements(text, "FILE")
        if isinstance(item, Statement)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b;", [("a", "b")]),
        ("a 'b c' \"d e\";", [("a", "b c", "d e")]),
        (r'a "\"\t\n\r\\\x" b\;c;', [("a", '"\t\n\r\\\\x', "b\\;c")]),
        ("a b#c; # d\n#e\nf;", [("a", "b#c"), ("f",)]),
        ("a ${b} $c{d;", [("a", "${b}", "$c"), ("d",)]),
        ("a ${{b;", [("a", "${{b")]),
        ("a b'c d\"e;", [("a", "b'c", 'd"e')]),
        ("a 'b')c;", [("a", "b", ")c")]),
        ('"a" "";', [("a", "")]),
        ("a\r\n\tb\r\n;", [("a", "b")]),
        ("a '\n';", [("a", "\n")]),
        ("a b}c;", [("a", "b}c")]),
        ("\xef\xbb\xbfa;", [("\xef\xbb\xbfa",)]),
        ("a_by_lua_block { b } c;", [("a_by_lua_block",), ("c",)]),
        ("x { a_by_lua_block { '}' -- }\n } } c;", [("x",), ("a_by_lua_block",), ("c",)]),
        ("a_by_lua_block { --[[ } ]] [==[ ]] } ]==] {} } c;", [("a_by_lua_block",), ("c",)]),
        ("a_by_lua { c; }", [("a_by_lua",), ("c",)]),
    ],
)
def test_words_are_split_and_unescaped(text: str, expected: list[tuple[str, ...]]) -> None:
    assert words(text) == expected


def test_statements_have_offsets_and_lines() -> None:
    text = "# one\na b; c {\n  'd'\n e;\n}\n"
    assert list(read_statements(text, "F")) == [
        Statement("a", ("b",), Place("F", 2), False, 6, 10),
        Statement("c", (), Place("F", 2), True, 11, 14),
        Statement("d", ("e",), Place("F", 4), False, 17, 24),
        BlockEnd(Place("F", 5), 25),
        FileEnd(Place("F", 6)),
    ]


def test_statements_before_a_syntax_error_are_yielded() -> None:
    items = read_statements("a; }; ;", "F")
    assert isinstance(next(items), Statement)
    assert isinstance(next(items), BlockEnd)
    with pytest.raises(ConfigError, match='unexpected ";" in F:1'):
        next(items)


def quoted(word: str) -> str:
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\t", "\\t"), ("\n", "\\n")):
        word = word.replace(plain, escaped)
    return f'"{word}"'


@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=20), min_size=1))
def test_quoted_words_are_read_back(output: list[str]) -> None:
    assert words(" ".join(quoted(word) for word in output) + ";") == [tuple(output)]


FRAGMENTS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "events {}",
                "http {",
                "server {",
                "location / {",
                "}",
                ";",
                "listen 80;",
                "#",
                '"',
                "'",
                "\\",
                "$",
                "${",
                "\n",
                " ",
                "server_name",
                "~(a",
                "return 200 $host;",
                "=",
                "proxy_pass http://a;",
                "upstream a {",
                "server b;",
                "\0",
                "types {",
                "~",
                "0",
            ]
        ),
        st.text(st.characters(max_codepoint=255), max_size=5),
    )
).map("".join)


@given(FRAGMENTS)
def test_any_text_raises_config_error_at_most(text: str) -> None:
    with contextlib.suppress(ConfigError):
        config.parse(text.encode("latin-1"))


@given(st.binary())
def test_any_bytes_raise_config_error_at_most(raw: bytes) -> None:
    with contextlib.suppress(ConfigError):
        config.parse(raw)
    with contextlib.suppress(ConfigError):
        config.parse(raw, "toml")


def test_lines_are_counted_across_lua() -> None:
    *_, last = read_statements("a_by_lua_block {\n x('}')\n\n}\nb;", "FILE")
    assert last.place == Place("FILE", 5)


@pytest.mark.nginx
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(
            [
                "a",
                " ",
                ";",
                "{",
                "}",
                '"',
                "'",
                "\\",
                "#",
                "\n",
                "$",
                "${",
                ")",
                "env x;",
                "events{}",
            ]
        )
    ).map("".join)
)
def test_nginx_reports_the_same_syntax_errors(tmp_path: Path, text: str) -> None:
    assert sniproxy_verdict(tmp_path, text.encode()) == nginx_verdict(tmp_path, text.encode())
