"""Write directives in the syntaxes of nginx.conf and of TOML."""

from __future__ import annotations

import re
from collections.abc import Sequence

_BARE = re.compile(r"""[^\s;{}"'\\#$][^\s;{}"'\\]*|\$[A-Za-z0-9_][^\s;{}"'\\]*""")
_KEYED = frozenset({"proxy_set_header", "proxy_ssl_conf_command"})
"""Directives that are a table in TOML: their first argument is its key."""


def nginx_word(text: str) -> str:
    """An argument in nginx.conf syntax, quoted if necessary."""
    if _BARE.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def nginx_line(words: Sequence[str]) -> str:
    """`name argument …;`."""
    return " ".join((words[0], *map(nginx_word, words[1:]))) + ";"


def toml_text(text: str) -> str:
    """A TOML string; `text` has one character a byte."""
    decoded = text.encode("latin-1", "replace").decode("utf-8", "replace")
    escaped = "".join(_toml_character(character) for character in decoded)
    return f'"{escaped}"'


def _toml_character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if ord(character) < 32 or ord(character) == 127:
        return f"\\u{ord(character):04x}"
    return character


def toml_line(words: Sequence[str]) -> str:
    """`name = value`; for directives with a key, an inline table with one entry."""
    name, args = words[0], words[1:]
    if name in _KEYED:
        return f"{name} = {{ {toml_key(args[0])} = {toml_text(args[1])} }}"
    return f"{name} = {toml_value(args)}"


def toml_value(args: Sequence[str]) -> str:
    """The arguments of a directive as a TOML value."""
    if list(args) in (["on"], ["off"]):
        return "true" if args[0] == "on" else "false"
    if len(args) == 1 and args[0].isascii() and args[0].isdigit():
        return args[0]
    return toml_text(args[0] if len(args) == 1 else " ".join(map(nginx_word, args)))


def toml_key(text: str) -> str:
    """A key of a table, quoted if necessary."""
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else toml_text(text)
