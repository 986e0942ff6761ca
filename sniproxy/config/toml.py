"""Read TOML configuration: the same directives as nginx.conf in another syntax.

    key = value          a directive; a string holds its arguments as in nginx.conf
    key = [ … ]          the directive once per item
    key = true           `on`; for a directive without arguments: the directive is present
    key = { A = "b" }    for directives with two arguments: once per pair
    [http], [[http.server]], [http.upstream.NAME], [http.server.location."~ REGEX"]   blocks
    nginx = '''…'''      statements in the syntax of nginx.conf, where their order matters (`if`)

A directive with exactly one argument takes the string unchanged, including blanks. Keys may come
in any order: simple directives are read before blocks, `log_format` first. Lists keep their order.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ..models import ConfigError
from .directives import registry
from .directives.core import MODIFIERS
from .directives.directive import (
    LOCATION,
    MAIN,
    SERVER,
    TABLE,
    TYPES,
    Context,
    Directive,
    Status,
    exactly,
)
from .directives.slots import flag, string
from .tokens import read_statements
from .toml_lines import Lines, key_lines
from .tree import COMMAND_LINE, BlockEnd, FileEnd, Item, Place, Statement

_WHERE = re.compile(r" \(at (?:line (?P<line>\d+), column \d+|end of document)\)$")

# Directives that accept "off" without being flags.
ACCEPT_OFF = frozenset({"access_log", "server_tokens", "ssl_session_cache", "directio", "aio"})


@dataclass(frozen=True, slots=True)
class _TOMLStatement:
    """A statement and, for a block, the statements inside."""

    statement: Statement
    inside: Iterator[_TOMLStatement] | None = None


def read_toml(
    text: str, file: str, context: Context = MAIN, *, unknown: bool = False
) -> Iterator[Item]:
    """Yield the statements of a TOML file included in `context`. Raises `ConfigError`.

    A main-level file without `[events]` gets an empty one. With `unknown`, keys that are no
    directives become statements without arguments instead of an error.
    """
    document, lines = _parse(text, file)
    top = _Table(file, context, lines, unknown=unknown)
    open_blocks = [(top.read(document), Place(file, 1))]
    while open_blocks:
        entry, place = open_blocks[-1]
        next_one = next(entry, None)
        if next_one is None:
            open_blocks.pop()
            if open_blocks:
                yield BlockEnd(place)
            continue
        yield next_one.statement
        if next_one.inside is not None:
            open_blocks.append((next_one.inside, next_one.statement.place))
    if context is MAIN and "events" not in document:
        yield Statement("events", (), Place(file, 1), opens_block=True)
        yield BlockEnd(Place(file, 1))
    yield FileEnd(Place(file, 1 + text.count("\n")))


def _parse(text: str, file: str) -> tuple[dict[str, Any], Lines]:
    raw = text.encode("latin-1")
    try:
        decoded = raw.decode("utf-8")
        return tomllib.loads(decoded), key_lines(decoded)
    except UnicodeDecodeError as error:
        raise Place(file, 1 + raw.count(b"\n", 0, error.start)).error("invalid UTF-8") from None
    except RecursionError:
        raise Place(file, 1).error("invalid TOML: nested too deeply") from None
    except ValueError as error:
        raise _syntax_error(str(error), decoded, file) from None


def _syntax_error(words: str, text: str, file: str) -> ConfigError:
    where = _WHERE.search(words)
    line = 1 + text.count("\n")
    if where:
        words = words[: where.start()]
        line = int(where["line"] or line)
    return Place(file, line).error(f"invalid TOML: {words[:1].lower()}{_text(words[1:])}")


class _Table:
    """Reads one table: the statements of one block."""

    def __init__(self, file: str, context: Context, lines: Lines, *, unknown: bool) -> None:
        self._file = file
        self._context = context
        self._lines = lines
        self._unknown = unknown

    def read(self, inside: dict[str, Any]) -> Iterator[_TOMLStatement]:
        if self._context in (TYPES, TABLE):
            yield from self._entries(inside)
            return
        directives: list[tuple[str, Directive, Any]] = []
        for key, value in inside.items():
            directive = NGINX_TEXT if key == NGINX_TEXT.name else self._directive(key)
            if directive is not None:
                directives.append((key, directive, value))
            else:
                place = self._place(self._lines.child(key))
                yield _TOMLStatement(Statement(_text(key), (), place))
        directives.sort(
            key=lambda entry: (entry[1].opens_context is not None, entry[1].name != "log_format")
        )
        for key, directive, value in directives:
            if directive is NGINX_TEXT:
                yield from self._nginx_text(value, self._lines.child(key))
            elif directive.status in (Status.NOT_YET, Status.REFUSED):
                # Unsupported whatever its value, so the value need not be understood.
                args = ("",) * directive.arity.least
                place = self._place(self._lines.child(key))
                opens_block = directive.opens_context is not None
                yield _TOMLStatement(
                    Statement(directive.name, args, place, opens_block),
                    iter(()) if opens_block else None,
                )
            elif directive.opens_context is None:
                for words, lines in self._statements(directive, value, self._lines.child(key)):
                    yield _TOMLStatement(Statement(directive.name, words, self._place(lines)))
            else:
                yield from self._blocks(directive, value, self._lines.child(key))

    def _nginx_text(self, value: Any, lines: Lines) -> Iterator[_TOMLStatement]:
        """The statements of a text in nginx.conf's syntax."""
        if not isinstance(value, str):
            raise self._wrong_type(NGINX_TEXT, value, "a string", lines)
        items = read_statements(_text(value), self._file)
        return _nested(_moved(items, lines.line), 0)

    def _entries(self, inside: dict[str, Any]) -> Iterator[_TOMLStatement]:
        """Entries of `types`, `map` and similar blocks: extensions as a list or string; for
        variables the value, `true` if there is none.
        """
        for key, value in inside.items():
            words = value
            if isinstance(value, str):
                words = value.split() if self._context is TYPES else [value]
            elif value is True and self._context is TABLE:
                words = []
            lines = self._lines.child(key)
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                found = _TYPES.get(type(value), "a date or time")
                raise self._place(lines).error(
                    f'invalid type of "{_text(key)}": {found} instead of a string or a list'
                )
            args = tuple([_text(word) for word in words])
            yield _TOMLStatement(Statement(_text(key), args, self._place(lines)))

    def _place(self, lines: Lines) -> Place:
        return Place(self._file, lines.line)

    def _directive(self, key: str) -> Directive | None:
        """The directive; None if there is none and unknown keys are allowed."""
        name = _text(key)
        place = self._place(self._lines.child(key))
        directive = registry.find(name, self._context)
        if directive is not None:
            return directive
        if registry.is_known(name):
            raise place.error(f'"{name}" directive is not allowed here')
        if self._unknown:
            return None
        if name == "rules" and self._context in (SERVER, LOCATION):
            raise place.unsupported('"rules" is not supported by sniproxy yet')
        raise place.unsupported(f'unknown directive "{name}"{_hint(name, self._context)}')

    def _blocks(self, directive: Directive, value: Any, lines: Lines) -> Iterator[_TOMLStatement]:
        """The blocks of one key: a table, a list of tables, or tables by name."""
        if not directive.arity.least:
            items = value if isinstance(value, list) else [value]
            for index, item in enumerate(items):
                below = lines.child(index) if isinstance(value, list) else lines
                yield self._block(directive, (), item, below)
            return
        if not isinstance(value, dict):
            raise self._wrong_type(directive, value, "a table of tables by name", lines)
        for name, item in value.items():
            yield self._block(
                directive, block_words(directive, _text(name)), item, lines.child(name)
            )

    def _block(
        self, directive: Directive, words: tuple[str, ...], value: Any, lines: Lines
    ) -> _TOMLStatement:
        if not isinstance(value, dict):
            raise self._wrong_type(directive, value, "a table", lines)
        assert directive.opens_context is not None
        statement = Statement(directive.name, words, self._place(lines), opens_block=True)
        return _TOMLStatement(
            statement,
            _Table(self._file, directive.opens_context, lines, unknown=self._unknown).read(value),
        )

    def _statements(
        self, directive: Directive, value: Any, lines: Lines
    ) -> Iterator[tuple[tuple[str, ...], Lines]]:
        """The arguments of every statement that one key stands for."""
        if isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, list):
                    raise self._wrong_type(
                        directive, item, _expected(directive), lines.child(index)
                    )
                yield from self._statements(directive, item, lines.child(index))
        elif isinstance(value, dict) and directive.arity.least == 2:
            for key, item in value.items():
                below = lines.child(key)
                for one in item if isinstance(item, list) else [item]:
                    yield (_text(key), self._scalar(directive, one, below)), below
        elif value is True and not directive.arity.least:
            yield (), lines
        elif value is False and not directive.arity.least:
            return
        elif isinstance(value, str) and directive.arity.most != 1:
            yield self._words(directive, value, lines), lines
        else:
            yield (self._scalar(directive, value, lines),), lines

    def _scalar(self, directive: Directive, value: Any, lines: Lines) -> str:
        if isinstance(value, str):
            return _text(value)
        if isinstance(value, bool):
            if directive.slot is flag or directive.name in ACCEPT_OFF:
                return "on" if value else "off"
        elif isinstance(value, int | float) and directive.slot is not flag:
            return str(value)
        raise self._wrong_type(directive, value, _expected(directive), lines)

    def _words(self, directive: Directive, value: str, lines: Lines) -> tuple[str, ...]:
        """Split a string into arguments as nginx.conf would."""
        if not value:
            return ("",)
        try:
            items = list(read_statements(f"{directive.name} {_text(value)};", COMMAND_LINE))
        except ConfigError:
            items = []
        match items:
            case [Statement(args=args, opens_block=False), FileEnd()]:
                return args
        raise self._place(lines).error(
            f'invalid value "{_text(value)}" of "{directive.name}": unbalanced quotes, or '
            "an unquoted character that ends a directive"
        )

    def _wrong_type(
        self, directive: Directive, value: Any, expected: str, lines: Lines
    ) -> ConfigError:
        found = _TYPES.get(type(value), "a date or time")
        return self._place(lines).error(
            f'invalid type of "{directive.name}": {found} instead of {expected}'
        )


def _moved(items: Iterator[Item], line: int) -> Iterator[Item]:
    """The items of a text that begins in the line after `line`."""
    try:
        for item in items:
            yield replace(item, place=Place(item.place.file, item.place.line + line))
    except ConfigError as error:
        raise Place(error.file or "", (error.line or 0) + line).error(error.message) from None


def _nested(items: Iterator[Item], depth: int) -> Iterator[_TOMLStatement]:
    """The statements of one block, up to its end; `items` are those of all blocks."""
    for item in items:
        if isinstance(item, Statement):
            yield _TOMLStatement(item, _nested(items, depth + 1) if item.opens_block else None)
        elif isinstance(item, BlockEnd) and not depth:
            raise item.place.error('unexpected "}"')
        elif isinstance(item, FileEnd) and depth:
            raise item.place.error('unexpected end of file, expecting "}"')
        else:
            return


NGINX_TEXT = Directive(
    "nginx",
    Context.ANY,
    exactly(1),
    string,
    "statements in the syntax of nginx.conf, in their order",
    extension=True,
)
"""A key of TOML that is no directive."""

_TYPES = {
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "a table",
}


def _expected(directive: Directive) -> str:
    if directive.slot is flag or directive.arity.most == 0:
        return "true or false"
    return "a string, a list or a table" if directive.arity.least == 2 else "a string or a list"


def block_words(directive: Directive, name: str) -> tuple[str, ...]:
    """The arguments of a named block; a location's key may start with a modifier."""
    if directive.opens_context is LOCATION:
        modifier, _, rest = name.partition(" ")
        if modifier in MODIFIERS and rest.strip():
            return modifier, rest.strip()
    if directive.opens_context is TABLE:
        return tuple(name.rsplit(maxsplit=directive.arity.most or 1))
    return (name,)


def _hint(name: str, context: Context) -> str:
    known = [
        directive.name
        for directive in registry.DIRECTIVES
        if context in directive.contexts and directive.status in (Status.WORKS, Status.NO_EFFECT)
    ]
    close = difflib.get_close_matches(name[:100], known, n=1)
    return f', did you mean "{close[0]}"?' if close else ""


def _text(text: str) -> str:
    """Encode as UTF-8 with one character per byte, the representation of all configuration text."""
    return text if text.isascii() else text.encode("utf-8").decode("latin-1")
