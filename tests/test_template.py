"""Strings with variables: where nginx sees a variable in them, and what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.template import ScriptError, TemplateVariable, compile_template, literal

VALUES = {"host": "h", "uri": "/u", "1": "one", "empty": "", "a_b2": "x"}


@pytest.mark.parametrize(
    ("source", "rendered"),
    [
        ("", ""),
        ("plain", "plain"),
        ("$host", "h"),
        ("${host}", "h"),
        ("$host$uri", "h/u"),
        ("a${host}b", "ahb"),
        ("$host.test", "h.test"),
        ("$HOST$Uri", "h/u"),
        ("$1", "one"),
        ("$12", "one2"),
        ("$a_b2-", "x-"),
        ("[$empty]", "[]"),
        ("[$absent]", "[]"),
        ("$absent", ""),
        ("$host}", "h}"),
        ("{$host", "{h"),
        ("\xfc$host\xfc", "\xfch\xfc"),
    ],
)
def test_template_is_rendered(source: str, rendered: str) -> None:
    assert compile_template(source).render(VALUES.get) == rendered


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("$", "invalid variable name"),
        ("a$", "invalid variable name"),
        ("$-", "invalid variable name"),
        ("${}", "invalid variable name"),
        ("$$host", "invalid variable name"),
        ("${host", 'the closing bracket in "host" variable is missing'),
        ("${ho-st}", 'the closing bracket in "ho" variable is missing'),
    ],
)
def test_invalid_template_raises(source: str, words: str) -> None:
    with pytest.raises(ScriptError) as refused:
        compile_template(source)
    assert str(refused.value) == words


def test_literal_template_keeps_dollar_signs() -> None:
    assert literal("$host").render(VALUES.get) == "$host"
    assert literal("$host").is_constant


names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
texts = st.text(st.characters(max_codepoint=255, exclude_characters="$"), min_size=1)


@given(st.lists(st.tuples(texts, names)))
def test_template_parts_round_trip(parts: list[tuple[str, str]]) -> None:
    template = compile_template("".join(f"{text}${{{name}}}" for text, name in parts))
    assert template.variables == tuple(name for _, name in parts)
    assert template.parts == tuple(
        piece for text, name in parts for piece in (text, TemplateVariable(name))
    )
    expected = "".join(f"{text}<{name}>" for text, name in parts)
    assert template.render(lambda name: f"<{name}>") == expected
