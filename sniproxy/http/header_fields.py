"""Grammar of header lines and host names, for requests and responses.

The regular expression for a line matches the *longest valid prefix*. One match distinguishes
three cases: if the group `end` matched, the line is complete; if the match reaches the end of the
data, the line is incomplete; otherwise the byte after the match is the one that nginx rejects.
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
"""A header line. The value includes trailing spaces (tabs are part of a value)."""

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
    """Parse the complete lines in `text[start:stop]`, which starts after a line end.

    None if one of the lines has to be checked by `read_line`.
    """
    found: list[Header] = _ORDINARY.findall(text, start, stop)
    return found if len(found) == text.count("\n", start, stop) else None


def is_invalid_name(name: str, underscores: bool) -> bool:
    """Whether a field name contains other characters than letters, digits and `-`.

    `underscores` allows `_` as well (`underscores_in_headers`).
    """
    plain = name.replace("-", "")
    if underscores:
        plain = plain.replace("_", "")
    return not (plain.isascii() and plain.isalnum()) if plain else False


def format_for_log(line: str) -> str:
    """Format a header line as nginx logs it: without line end and trailing spaces."""
    content = line.rstrip("\r\n")
    before, colon, value = content.partition(":")
    return before + colon + (value.rstrip(" ") if value.strip(" ") else value)


class InvalidLineError(ValueError):
    """The header line is invalid; `str(error)` is the line as nginx logs it."""


def read_line(text: str, start: int, stop: int) -> re.Match[str] | None:
    """Match the line at `start` against `LINE`; None if it is incomplete in `text[:stop]`.

    Raises `InvalidLineError`.
    """
    match = LINE.match(text, start, stop)
    if match and not match["end"]:
        if match.end() < min(stop, len(text)):
            raise InvalidLineError(_printed_refusal(text, start, match.end()))
        return None
    return match


def _printed_refusal(text: str, start: int, position: int) -> str:
    r"""The line at `start` as logged if the byte at `position` is invalid: `Foo: bar\x00...`."""
    end = position
    if text[position - 1] == "\r":  # nginx reports the byte that ended the value instead
        end = start + len(format_for_log(text[start:position]))
    return f"{text[start:end]}\\x{ord(text[end]):02x}..."


def valid_host(text: str) -> str | None:
    """Parse a Host field or authority: the name in lower case, without port and trailing dot.

    None if nginx rejects it: invalid characters, `..`, a port above 65535, or no name.
    """
    match = HOST.fullmatch(text)
    if match is None or ".." in text or int(match["port"] or 0) > 65535:
        return None
    return match["name"].removesuffix(".").lower() or None


def content_length(value: str) -> int | None:
    """Parse a Content-Length field; None unless it consists of digits and fits into 63 bits."""
    if not (value.isascii() and value.isdigit()):
        return None
    digits = value.lstrip("0") or "0"
    if len(digits) > len(str(LARGEST_LENGTH)) or int(digits) > LARGEST_LENGTH:
        return None
    return int(digits)


def prefix_pattern(pieces: Iterable[str]) -> re.Pattern[str]:
    """Compile an expression that matches any number of leading `pieces`."""
    nested = ""
    for piece in reversed(tuple(pieces)):
        nested = f"(?:{piece}{nested})?"
    return re.compile(nested)
