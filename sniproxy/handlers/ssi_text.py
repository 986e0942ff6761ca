"""Values and expressions of SSI commands: strings with variables, comparisons, patterns."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..config.regex import RegexError, compile_regex
from ..context import RequestContext
from ..included import SsiState
from ..variables import is_variable, lookup

LARGEST_TEXT = 1 << 20
"""Maximum length of a value: nginx has no limit, and values can double with each command."""


DATES = frozenset(("date_gmt", "date_local"))


class SsiError(Exception):
    """A command that fails; the message is to be logged, if there is one."""


def variable(name: str, ctx: RequestContext, state: SsiState) -> str | None:
    """The value of a variable of SSI or else of nginx; None if there is none.

    `$0` to `$9` are the groups of the last pattern of an `if`.
    """
    name = name.lower()
    if len(name) == 1 and name.isdigit() and int(name) < len(state.captures):
        return state.captures[int(name)]
    if name in state.variables:
        return state.variables[name]
    if name.isdigit():
        return None
    if name in DATES:
        return _date(name, ctx)
    known = is_variable(name) or name in ctx.variables or name in ctx.server.map_variables
    return lookup(ctx)(name) if known else None


def _date(name: str, ctx: RequestContext) -> str:
    value = lookup(ctx)(name)
    if value is None:
        raise SsiError  # as in nginx, an empty or invalid format is an error
    return value


_VARIABLE = re.compile(r"\$(?:\{([A-Za-z0-9_]*)(\}?)|([A-Za-z0-9_]*))")
_ESCAPE = re.compile(r"\\(.|\Z)", re.DOTALL)


def _unescape(text: str) -> str:
    """Remove the backslashes before a quote, a dollar or a backslash, and one at the end."""
    return _ESCAPE.sub(lambda found: found[1] if found[1] in "\\'\"$" else found[0], text)


def evaluate(text: str, value_of: Callable[[str], str | None]) -> list[str]:
    """The parts of a string: its variables, and what is between them. Raises `SsiError`."""
    if "$" not in text:
        return [_unescape(text)]
    parts: list[str] = []
    position, size = 0, 0
    processed = ""  # what was evaluated, as in nginx's errors: it changes the text in place
    while position < len(text):
        if text[position] == "$":
            found = _VARIABLE.match(text, position)
            assert found is not None
            braced, closing, plain = found.groups()
            position = found.end()
            name = plain if braced is None else braced
            if braced is not None and not closing and (braced or position < len(text)):
                raise SsiError(f'the closing bracket in "{braced}" variable is missing')
            if not name:
                raise SsiError(f'invalid variable name in "{processed}{text[len(processed) :]}"')
            processed += found[0].lower()
            part = value_of(name)
        else:
            end = position
            while end < len(text) and text[end] != "$":
                end += 2 if text[end] == "\\" else 1
            part = _unescape(text[position:end])
            processed += part + text[position:end][len(part) :]
            position = end
        if part:
            parts.append(part)
            size += len(part)
            if size > LARGEST_TEXT:
                raise SsiError("the value of an SSI command is too large")
    return parts


_LEFT = re.compile(r"[A-Za-z0-9${}_\"']*")


class Expression:
    """The expression of an `if` or `elif`: `$variable`, `text = text`, `text != /pattern/`."""

    def __init__(self, text: str) -> None:
        """Raises `SsiError` only in `is_true`, after the left side is evaluated, as nginx does."""
        found = _LEFT.match(text)
        assert found is not None
        self.left = found[0].lower()
        self.text = self.left + text[found.end() :]
        self._rest = text[found.end() :].lstrip(" ")

    def is_true(self, value_of: Callable[[str], str | None], state: SsiState) -> bool:
        """Whether it is true; a pattern that matches sets the captures. Raises `SsiError`."""
        left = "".join(evaluate(self.left, value_of))
        rest = self._rest
        if not rest:
            return bool(left)
        is_negative = rest.startswith("!=")
        if not is_negative and not rest.startswith("="):
            raise self._invalid()
        right = rest[1 + is_negative :].lstrip(" ")
        if len(right) > 1 and right.startswith("/"):
            if not right.endswith("/"):
                raise self._invalid()
            pattern = "".join(evaluate(right[1:-1], value_of))
            return _matches(pattern, left, state) != is_negative
        if len(right) > 2 and right.startswith("\\/"):
            right = right[1:]
        return (left == "".join(evaluate(right, value_of))) != is_negative

    def _invalid(self) -> SsiError:
        return SsiError(f'invalid expression in "{self.text}"')


def _matches(pattern: str, text: str, state: SsiState) -> bool:
    try:
        found = compile_regex(pattern).search(text)
    except RegexError as error:
        raise SsiError(str(error)) from None
    if found is None:
        return False
    groups = [found[number] for number in range(found.re.groups + 1)]
    while groups[-1] is None:
        groups.pop()
    state.captures = tuple([group or "" for group in groups])
    for name, value in found.groupdict().items():
        state.set(name.lower(), value or "")
    return True
