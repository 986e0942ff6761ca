"""Strings with variables: `"$host$uri"` compiled once, rendered for each request.

nginx's complex values (`ngx_http_script.c`). Pure: the caller passes a
`VariableLookup` that returns the values of variables.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

VariableLookup = Callable[[str], str | None]
"""Returns the value of a variable by its name without `$`; None if it has no value."""


class ScriptError(Exception):
    """Invalid variable syntax; `str()` is nginx's message."""


@dataclass(frozen=True, slots=True)
class TemplateVariable:
    """A `$name` inside a template; `$1` to `$9` are the captures of the last regex."""

    name: str


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled string."""

    source: str
    parts: tuple[str | TemplateVariable, ...]

    @property
    def is_constant(self) -> bool:
        return all(isinstance(part, str) for part in self.parts)

    @property
    def variables(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.parts if isinstance(part, TemplateVariable))

    def render(self, lookup: VariableLookup) -> str:
        parts = self.parts
        if len(parts) == 1:
            only = parts[0]
            return only if isinstance(only, str) else lookup(only.name) or ""
        return "".join([p if isinstance(p, str) else lookup(p.name) or "" for p in parts])

    def __str__(self) -> str:
        return self.source


_VARIABLE = re.compile(
    r"""\$(?: (?P<capture>[1-9])
            | \{(?P<braced>[A-Za-z0-9_]*)(?P<close>\}?)
            | (?P<plain>[A-Za-z0-9_]*)
          )""",
    re.VERBOSE,
)


def compile_template(source: str) -> Template:
    """Compile a string with variables.

    Raises `ScriptError` if a `$` has no name or a `${` no `}`.
    """
    parts: list[str | TemplateVariable] = []
    done = 0
    for match in _VARIABLE.finditer(source):
        if match.start() > done:
            parts.append(source[done : match.start()])
        done = match.end()
        braced = match["braced"]
        if braced is not None and not match["close"] and (braced or done < len(source)):
            raise ScriptError(f'the closing bracket in "{braced}" variable is missing')
        name = match["capture"] or braced or match["plain"]
        if not name:
            raise ScriptError("invalid variable name")
        parts.append(TemplateVariable(name.lower()))
    if done < len(source):
        parts.append(source[done:])
    return Template(source, tuple(parts))


def literal(text: str) -> Template:
    """A template of constant text, in which `$` has no meaning."""
    return Template(text, (text,))
