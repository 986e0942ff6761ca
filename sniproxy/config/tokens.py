"""Split nginx.conf text into statements, with nginx's messages for all syntax errors.

Grammar (`ngx_conf_read_token`): words are separated by blanks; a statement ends at `;` or `{`.
A word may be quoted as a whole. A backslash escapes the next byte, and `${` does not open a
block. `#` starts a comment only where a word may start.

The contents of `…_by_lua_block {}` are skipped, as the reader of the Lua module does.

nginx reads through a buffer of 4096 bytes, which limits the length of words and comments:
`_Tokenizer.check_length`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..models import ConfigError
from .lua import lua_end, opens_lua
from .tree import COMMAND_LINE, BlockEnd, FileEnd, Item, Place, Statement

_BUFFER = 4096
_BLANKS = " \t\r\n"

# Repetitions are bounded: longer words are errors anyway.
_TOKEN = re.compile(
    rf"""[{_BLANKS}]*+
    (?: "(?P<double>  (?: [^"\\]++ | \\.? ){{0,{_BUFFER + 1}}}+ )"?
      | '(?P<single>  (?: [^'\\]++ | \\.? ){{0,{_BUFFER + 1}}}+ )'?
      | (?P<comment>  \#[^\n]*+ )
      | (?P<mark>     [;{{}}] )
      | (?P<word>     (?: [^{_BLANKS};{{\\$]++ | \\.? | \${{*+ ){{1,{_BUFFER + 1}}}+ )
      | (?P<end>      \Z )
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"""\\(["'\\trn])""")
_ESCAPED = {"t": "\t", "r": "\r", "n": "\n"}


def read_statements(text: str, file: str) -> Iterator[Item]:
    """Yield the statements of a file lazily. Raises `ConfigError`.

    `file` is the name for messages; `COMMAND_LINE` stands for the text of `-g`.
    """
    return _Tokenizer(text, file).items()


def decode_word(raw: str) -> str:
    """Unescape a word: backslashes before quotes, backslashes, t, r, n; others are kept."""
    if "\\" not in raw:
        return raw
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), raw)


def comments(text: str) -> Iterator[tuple[int, str]]:
    """Offset and text of each comment; the text must be valid."""
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "comment":
            yield match.start("comment"), match["comment"]


class _Tokenizer:
    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.line = 1
        self.counted = 0

    def place(self, offset: int) -> Place:
        """The line that nginx's reader has reached before the byte at `offset`."""
        self.line += self.text.count("\n", self.counted, offset)
        self.counted = offset
        return Place(self.file, self.line)

    def items(self) -> Iterator[Item]:
        text, size = self.text, len(self.text)
        words: list[str] = []
        start = 0
        tokens = _TOKEN.finditer(text)
        while (match := next(tokens, None)) is not None:
            kind = match.lastgroup
            assert kind is not None
            begin, end = match.span(kind)
            if kind == "end" and not words:
                yield FileEnd(self.place(size))
                return
            if kind == "mark":
                mark = text[begin]
                if (mark == "}") is bool(words):
                    raise self.place(end).error(f'unexpected "{mark}"')
                if mark == "}":
                    yield BlockEnd(self.place(end), begin)
                    continue
                name, *args = words
                yield Statement(name, tuple(args), self.place(end), mark == "{", start, end)
                words = []
                if mark == "{" and opens_lua(name):
                    tokens = _TOKEN.finditer(text, lua_end(text, end))
                continue
            if end - begin > _BUFFER - 3:
                self.check_length(kind, begin, end, match.end())
            if kind == "comment":
                continue
            if kind in ("word", "end"):
                if end == size:
                    break
            else:
                # The closing quote and the byte that may follow it.
                if match.end() == end or end + 1 == size:
                    break
                if text[end + 1] not in " \t\r\n;{)":
                    raise self.place(end + 2).error(f'unexpected "{text[end + 1]}"')
            if not words:
                start = begin if kind == "word" else begin - 1
            words.append(decode_word(text[begin:end]))
        raise self.unexpected_end()

    def check_length(self, kind: str, begin: int, end: int, closed: int) -> None:
        """Raise if the text from `begin` to `end` does not fit nginx's buffer.

        nginx keeps bytes from `begin` until it reads a byte that ends the statement or, where a
        word may start, the first byte after the word. That byte must fit too.
        """
        text = self.text
        if self.file == COMMAND_LINE or begin + _BUFFER >= len(text):
            return
        quoted = kind in ("double", "single")
        if quoted and (closed == end or end - begin >= _BUFFER):
            quote = text[begin - 1]
            raise self.place_of_start(begin).error(
                f'too long parameter, probably missing terminating "{quote}" character'
            )
        released = end if kind == "comment" else closed
        if text[released : released + 1] in _BLANKS and kind != "comment":
            released += 1
        if released - begin >= _BUFFER:
            raise self.place_of_start(begin).error(
                f'too long parameter "{text[begin : begin + 10]}..." started'
            )

    def place_of_start(self, begin: int) -> Place:
        return Place(self.file, 1 + self.text.count("\n", 0, begin))

    def unexpected_end(self) -> ConfigError:
        if self.file == COMMAND_LINE:
            return self.place(0).error('unexpected end of parameter, expecting ";"')
        return self.place(len(self.text)).error('unexpected end of file, expecting ";" or "}"')
