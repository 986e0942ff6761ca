"""nginx.conf text → statements, with nginx's words for every syntax error.

The grammar of `ngx_conf_read_token`: words are separated by blanks, a statement ends at `;` or
`{`. A word may be quoted as a whole, a backslash keeps the next byte from ending it, and so
does a dollar for the braces behind it. `#` opens a comment only where a word may begin.

nginx reads through a buffer of 4096 bytes, and what must be looked at in one piece (a word
with the byte behind it, a comment) has to fit: `_Reader.fits`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..message import ConfigError
from .tree import COMMAND_LINE, BlockEnd, FileEnd, Item, Place, Statement

_BUFFER = 4096
_BLANKS = " \t\r\n"

# Repetitions are bounded since a word that does not fit the buffer is an error anyway.
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
    """The statements of one file as they are asked for; raises `ConfigError`.

    `file` is the name that messages show; `COMMAND_LINE` makes it the text of `-g`.
    """
    return _Reader(text, file).items()


def decode_word(raw: str) -> str:
    """A word without its quotes' backslashes; backslashes before other bytes stay."""
    if "\\" not in raw:
        return raw
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), raw)


class _Reader:
    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.line = 1
        self.counted = 0

    def place(self, offset: int) -> Place:
        """The line that nginx has come to before the byte at `offset`."""
        self.line += self.text.count("\n", self.counted, offset)
        self.counted = offset
        return Place(self.file, self.line)

    def items(self) -> Iterator[Item]:
        text, size = self.text, len(self.text)
        words: list[str] = []
        start = 0
        for match in _TOKEN.finditer(text):
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
                continue
            if end - begin > _BUFFER - 3:
                self.check_length(kind, begin, end, match.end())
            if kind == "comment":
                continue
            if kind in ("word", "end"):
                if end == size:
                    break
            else:
                # The closing quote, and what may stand behind it.
                if match.end() == end or end + 1 == size:
                    break
                if text[end + 1] not in " \t\r\n;{)":
                    raise self.place(end + 2).error(f'unexpected "{text[end + 1]}"')
            if not words:
                start = begin if kind == "word" else begin - 1
            words.append(decode_word(text[begin:end]))
        raise self.unexpected_end()

    def check_length(self, kind: str, begin: int, end: int, closed: int) -> None:
        """Refuse what nginx's buffer would not hold.

        Bytes are kept from `begin` until a byte is read that ends the statement or, being the
        first one where a word may begin, lets go of the word: that byte must be in the buffer.
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
