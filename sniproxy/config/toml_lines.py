"""Line numbers of the keys in a TOML text, which `tomllib` does not provide.

The text has already been parsed by `tomllib`, so this scanner only tells keys from values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from .tokens import comments as nginx_comments

_TOKEN = re.compile(
    r"""
      (?P<blank>   [ \t\r]+ | \#[^\n]* )
    | (?P<newline> \n )
    | (?P<string>  \"{3} (?: [^\\] | \\. )*? \"{3,5} | '{3} .*? '{3,5}
                 | \" (?: [^"\\] | \\. )* \"         | ' [^']* ' )
    | (?P<mark>    [][{}=,.] )
    | (?P<bare>    [^][{}=,.\s"'\#]+ )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}


@dataclass(slots=True)
class Lines:
    """Line of a key, and of the keys or list items inside its value."""

    line: int
    children: dict[str | int, Lines] = field(default_factory=dict)
    tables: int = 0
    """Number of `[[…]]` headers of this key."""

    def child(self, key: str | int) -> Lines:
        """The lines inside `key`; if unknown, those of this key."""
        return self.children.get(key) or Lines(self.line)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int


def key_lines(text: str) -> Lines:
    """Find the lines of all keys in `text`, a valid TOML document."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.root


def comments(text: str) -> Iterator[tuple[int, str]]:
    """Offset and text of each comment in a valid TOML document.

    Those in a text of nginx.conf (the key `nginx`) are included.
    """
    key, before = "", ""
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "blank":
            if match[0].startswith("#"):
                yield match.start(), match[0]
            continue
        if match.lastgroup == "string" and key == "nginx" and match[0][:3] in ('"""', "'''"):
            for start, comment in nginx_comments(match[0][3:-3]):
                yield match.start() + 3 + start, comment
        key, before = (before, match[0]) if match[0] == "=" else (key, match[0])


class _Scanner:
    def __init__(self, text: str) -> None:
        self.root = Lines(1)
        self._tokens = _tokens(text)
        self._token = next(self._tokens)

    def document(self) -> None:
        table = self.root
        while self._token.kind != "end":
            if self._token.kind == "newline":
                self._next()
            elif self._token.text == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Lines:
        line = self._token.line
        self._next()
        is_list = self._token.text == "["
        if is_list:
            self._next()
        table = self.root
        for key in self._key("]"):
            # The path of a list of tables refers to its last table.
            table = _below(_last(table), key, line)
        if is_list:
            table.tables += 1
            _below(table, table.tables - 1, line)
            self._next()
        return _last(table)

    def _pair(self, table: Lines) -> None:
        line = self._token.line
        for key in self._key("="):
            table = _below(table, key, line)
        self._value(table)

    def _key(self, end: str) -> Iterator[str]:
        """Consume a dotted key up to and including `end`; yields its parts."""
        while True:
            token = self._next()
            if token.kind == "string":
                yield _unquoted(token.text)
            elif token.kind == "bare":
                yield token.text
            elif token.text == end:
                return

    def _value(self, lines: Lines) -> None:
        opening = self._token.text if self._token.kind == "mark" else ""
        if opening not in ("[", "{"):
            while self._token.kind in ("bare", "string") or self._token.text == ".":
                self._next()
            return
        self._next()
        index = 0
        while self._token.text not in ("]", "}") or self._token.kind != "mark":
            if self._token.kind == "newline" or self._token.text == ",":
                self._next()
            elif opening == "{":
                self._pair(lines)
            else:
                self._value(_below(lines, index, self._token.line))
                index += 1
        self._next()

    def _next(self) -> _Token:
        """Return the current token and advance."""
        token = self._token
        self._token = next(self._tokens)
        return token


def _tokens(text: str) -> Iterator[_Token]:
    line = 1
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind != "blank":
            yield _Token(kind, match[0], line)
        if kind in ("newline", "string"):
            line += match[0].count("\n")
    yield _Token("newline", "\n", line)
    yield _Token("end", "", line)


def _last(table: Lines) -> Lines:
    return table.children[table.tables - 1] if table.tables else table


def _below(lines: Lines, key: str | int, line: int) -> Lines:
    return lines.children.setdefault(key, Lines(line))


def _unquoted(text: str) -> str:
    if text.startswith("'"):
        return text[1:-1]
    return _ESCAPE.sub(_unescaped, text[1:-1])


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    if len(code) > 1:
        return chr(int(code[1:], 16))
    return _ESCAPED.get(code, code)
