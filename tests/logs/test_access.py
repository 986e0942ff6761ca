"""Access log lines: the escaping modes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.logs.access_format import ESCAPES, AccessFormat
from sniproxy.template import compile_template
from tests.configured import make_context, request, servers

ROWS = [
    # value, default, json, none
    (None, "-", "", ""),
    ("", "", "", ""),
    ("plain ~", "plain ~", "plain ~", "plain ~"),
    ('"', r"\x22", r"\"", '"'),
    ("\\", r"\x5C", r"\\", "\\"),
    ("\n\r\t\b\f", r"\x0A\x0D\x09\x08\x0C", r"\n\r\t\b\f", "\n\r\t\b\f"),
    ("\x00\x1f", r"\x00\x1F", r"\u0000\u001F", "\x00\x1f"),
    ("\x7f", r"\x7F", "\x7f", "\x7f"),
    ("\xc3\xbc", r"\xC3\xBC", "\xc3\xbc", "\xc3\xbc"),
    ("/'", "/'", "/'", "/'"),
]


@pytest.mark.parametrize(("value", "default", "as_json", "none"), ROWS)
def test_escape_functions(value: str | None, default: str, as_json: str, none: str) -> None:
    assert ESCAPES["default"](value) == default
    assert ESCAPES["json"](value) == as_json
    assert ESCAPES["none"](value) == none


def test_only_variables_are_escaped(tmp_path: Path) -> None:
    context = make_context(request("/"), servers(tmp_path, "server { }")[0])
    context.variables["a"] = 'x"y'
    line = AccessFormat(compile_template('"$a" \\ $b')).line(context)
    assert line == '"x\\x22y" \\ -\n'


@given(st.text(st.characters(max_codepoint=255)))
def test_json_escaping_is_reversible(value: str) -> None:
    assert json.loads(f'"{ESCAPES["json"](value)}"') == value


@given(st.text(st.characters(max_codepoint=255)))
def test_default_escaping_yields_one_printable_line(value: str) -> None:
    escaped = ESCAPES["default"](value)
    assert all(" " <= char <= "~" for char in escaped)
    assert '"' not in escaped
