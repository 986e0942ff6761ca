"""Render settings as directives of nginx.conf or TOML (pure).

The directives to add are found by comparing the wanted settings with the location's present
ones, so any setting that was tried can be rendered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from ..config.directives.proxy import ProxySettings, SetHeader
from ..template import Template

Syntax = Literal["nginx", "toml"]


@dataclass(frozen=True, slots=True)
class SuggestedDirective:
    """A directive, with the reason for it."""

    name: str
    args: tuple[str, ...]
    reason: str = ""

    def text(self, syntax: Syntax) -> str:
        """The directive as text, without the reason: `proxy_ssl_server_name on;`."""
        return toml_line(self) if syntax == "toml" else nginx_line(self)


def changes(base: ProxySettings, wanted: ProxySettings) -> Iterator[SuggestedDirective]:
    """The directives that turn `base` into `wanted`, in the order of the directive table.

    The default of `proxy_ssl_name` is written as `$proxy_host`.
    """
    for row in ProxySettings.DIRECTIVES:
        before, after = getattr(base, row.field), getattr(wanted, row.field)
        if before == after or row.name == "proxy_pass":
            continue
        if row.name == "proxy_ssl_name" and after is None:
            after = "$proxy_host"
        if row.name in ("proxy_set_header", "proxy_ssl_conf_command"):
            # A level that has one of them inherits none from the level above.
            for item in after:
                yield SuggestedDirective(row.name, _pair(item))
        else:
            yield SuggestedDirective(row.name, _words(after))


def _pair(item: Any) -> tuple[str, str]:
    if isinstance(item, SetHeader):
        return item.name, item.value.source
    name, value = item
    return str(name), str(value)


def _words(value: Any) -> tuple[str, ...]:
    if isinstance(value, bool):
        return ("on" if value else "off",)
    if isinstance(value, frozenset):
        return tuple(sorted(value))
    if isinstance(value, Template):
        return (value.source,)
    if isinstance(value, tuple):
        return tuple(map(str, value))
    return (str(value),)


_BARE = re.compile(r"""[^\s;{}"'\\#$][^\s;{}"'\\]*|\$[A-Za-z0-9_][^\s;{}"'\\]*""")


def nginx_word(text: str) -> str:
    """An argument in nginx.conf syntax, quoted if necessary."""
    if _BARE.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def nginx_line(directive: SuggestedDirective) -> str:
    return " ".join((directive.name, *map(nginx_word, directive.args))) + ";"


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


def toml_line(directive: SuggestedDirective) -> str:
    """`name = value`; for directives with a key, an inline table with one entry."""
    name, args = directive.name, directive.args
    if name in ("proxy_set_header", "proxy_ssl_conf_command"):
        return f"{name} = {{ {toml_key(args[0])} = {toml_text(args[1])} }}"
    return f"{name} = {toml_value(name, args)}"


def toml_value(name: str, args: tuple[str, ...]) -> str:
    if args in (("on",), ("off",)):
        return "true" if args == ("on",) else "false"
    if len(args) == 1 and args[0].isascii() and args[0].isdigit():
        return args[0]
    return toml_text(args[0] if len(args) == 1 else " ".join(map(nginx_word, args)))


def toml_key(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else toml_text(text)
