"""Header lines and host names: the grammar that requests and responses share.

Every regular expression here matches the *longest beginning that can still become right*.
One match so tells all three cases apart: the group `end` took part, and the line is complete;
the match reaches the end of what was received, and more is needed; or it stops earlier, and
the byte there is the one nginx refuses.
"""

from __future__ import annotations

import re
from typing import Final

LINE: Final = re.compile(
    r"""
    (?P<name> [^\x00-\x20\x7f:]+ )
    (?: : [ ]* (?P<value> [^\x00\r\n]* ) )?     # a name alone is a field with an empty value
    \r* (?P<end> \n )?
    """,
    re.VERBOSE,
)
"""One header line. The value still has its trailing spaces (tabs belong to the value)."""

EMPTY_LINE: Final = re.compile(r"\r?(?P<end>\n)?")
"""The line that ends a head."""

ORDINARY_LINES: Final = re.compile(r"(?:[A-Za-z0-9-]+:[^\x00\r\n]*\r\n)*")
"""Any number of complete lines that nothing can be said against."""

HOST: Final = re.compile(
    r"""
    (?P<name> \[ [A-Za-z0-9:._~!$&'()*+,;=-]* \]
            |    [A-Za-z0-9._~!$&'()*+,;=%-]* )
    (?: : 0* (?P<port> [0-9]{0,5} ) )?
    """,
    re.VERBOSE,
)

LARGEST_LENGTH: Final = 2**63 - 1


def is_invalid_name(name: str, underscores: bool) -> bool:
    """Whether a header name has other characters than letters, digits and `-`.

    `underscores` allows `_` as well (`underscores_in_headers`).
    """
    plain = name.replace("-", "")
    if underscores:
        plain = plain.replace("_", "")
    return not (plain.isascii() and plain.isalnum()) if plain else False


def printed_line(line: str) -> str:
    """A header line as nginx logs it: without its end, and without spaces after a value."""
    content = line.rstrip("\r\n")
    before, colon, value = content.partition(":")
    return before + colon + (value.rstrip(" ") if value.strip(" ") else value)


def printed_refusal(text: str, start: int, position: int) -> str:
    r"""The line that begins at `start` as nginx logs it when the byte at `position` is wrong:
    `Foo: bar\x00...`, up to the byte where the field ended for nginx.
    """
    if text[position - 1 : position] == "\r":  # nginx names the end of the value instead
        end = start + len(printed_line(text[start:position]))
    else:
        end = position
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
