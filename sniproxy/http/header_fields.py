"""Header lines and host names: the grammar that requests and responses share.

The expression for a line matches the *longest beginning that can still become right*. One
match so tells all three cases apart: the group `end` took part, and the line is complete; the
match reaches the end of what was received, and more is needed; or it stops earlier, and the
byte there is the one nginx refuses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ..models import Header

LINE: Final = re.compile(
    r"""
    (?: (?P<name> [^\x00-\x20\x7f:]+ )
        (?: : [ ]* (?P<value> [^\x00\r\n]* ) )?    # a name alone has an empty value
    )?                                              # neither: the empty line that ends a head
    (?(name) \r* | \r? ) (?P<end> \n )?
    """,
    re.VERBOSE,
)
"""One header line. The value still has its trailing spaces (tabs belong to the value)."""

_ORDINARY: Final = re.compile(r"(?<=\n)([A-Za-z0-9-]++): *([^\x00\r\n]*+)(?<! )\r\n")

HOST: Final = re.compile(
    r"""
    (?P<name> \[ [A-Za-z0-9:._~!$&'()*+,;=-]* \]
            |    [A-Za-z0-9._~!$&'()*+,;=%-]* )
    (?: : 0* (?P<port> [0-9]{0,5} ) )?
    """,
    re.VERBOSE,
)

MINOR_VERSION: Final = "0*(?P<minor>[0-9]{1,3})"

LARGEST_LENGTH: Final = 2**63 - 1


def parse_simple_headers(text: str, start: int, stop: int) -> list[Header] | None:
    """All fields of the complete lines in `text[start:stop]`, which begin after a line end.

    None if one of the lines has anything about it that `read_line` should judge.
    """
    found: list[Header] = _ORDINARY.findall(text, start, stop)
    return found if len(found) == text.count("\n", start, stop) else None


def is_invalid_name(name: str, underscores: bool) -> bool:
    """Whether a header name has other characters than letters, digits and `-`.

    `underscores` allows `_` as well (`underscores_in_headers`).
    """
    plain = name.replace("-", "")
    if underscores:
        plain = plain.replace("_", "")
    return not (plain.isascii() and plain.isalnum()) if plain else False


def format_for_log(line: str) -> str:
    """A header line as nginx logs it: without its end, and without spaces after a value."""
    content = line.rstrip("\r\n")
    before, colon, value = content.partition(":")
    return before + colon + (value.rstrip(" ") if value.strip(" ") else value)


class InvalidLineError(ValueError):
    """A header line that nginx can not read; `str(error)` is the line as nginx logs it."""


def read_line(text: str, start: int, stop: int) -> re.Match[str] | None:
    """The complete line at `start` (a match of `LINE`), None if `text[:stop]` ends before it.

    Raises `InvalidLineError`.
    """
    match = LINE.match(text, start, stop)
    if match and not match["end"]:
        if match.end() < min(stop, len(text)):
            raise InvalidLineError(_printed_refusal(text, start, match.end()))
        return None
    return match


def _printed_refusal(text: str, start: int, position: int) -> str:
    r"""The line at `start` when the byte at `position` is wrong: `Foo: bar\x00...`."""
    end = position
    if text[position - 1] == "\r":  # nginx names the byte that ended the value instead
        end = start + len(format_for_log(text[start:position]))
    return f"{text[start:end]}\\x{ord(text[end]):02x}..."


def valid_host(text: str) -> str | None:
    """The lower-cased name in a Host header or authority, without port and trailing dot.

    None if nginx refuses it: unknown characters, `..`, a port above 65535, no name at all.
    """
    match = HOST.fullmatch(text)
    if match is None or ".." in text or int(match["port"] or 0) > 65535:
        return None
    return match["name"].removesuffix(".").lower() or None


def content_length(value: str) -> int | None:
    """The number in a Content-Length header; None unless it is digits alone, within 63 bits."""
    if not (value.isascii() and value.isdigit()):
        return None
    digits = value.lstrip("0") or "0"
    if len(digits) > len(str(LARGEST_LENGTH)) or int(digits) > LARGEST_LENGTH:
        return None
    return int(digits)


def prefix_pattern(pieces: Iterable[str]) -> re.Pattern[str]:
    """An expression for as many of `pieces`, one after the other, as there are."""
    nested = ""
    for piece in reversed(tuple(pieces)):
        nested = f"(?:{piece}{nested})?"
    return re.compile(nested)
