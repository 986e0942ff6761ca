"""nginx's grammar of the request line, for complete and incomplete lines."""

from __future__ import annotations

import functools
import re
from typing import Final

from .header_fields import MINOR_VERSION, prefix_pattern

_TEXT: Final = r"[^\x00-\x20\x7f]*"
_SCHEME: Final = "[A-Za-z][A-Za-z0-9+.-]*"
_NAME: Final = r"(?!\[)[A-Za-z0-9.-]*"
_LITERAL: Final = r"[A-Za-z0-9:._~!$&'()*+,;=-]*"
_HOST: Final = rf"(?:\[{_LITERAL}\]|{_NAME})"

LINE: Final = re.compile(
    rf"""
    (?: (?P<connect> CONNECT ) [ ]+ (?P<tunnel> {_HOST} : [0-9]+ ) (?=[ ])
      | (?P<method> (?!CONNECT[ ]) [A-Z_-]+ ) [ ]+
        (?: (?P<origin> / {_TEXT} )
          | {_SCHEME} :// (?P<authority> {_HOST} (?: : [0-9]* )? )
            (?: (?P<rest> [/?] {_TEXT} ) | (?=[ ]) )
        )
    )
    (?: [ ]+ HTTP/1 \. {MINOR_VERSION} )?     # without it: HTTP/0.9
    [ ]* \r? \n
    """,
    re.VERBOSE,
)
"""A complete line, including its end."""

_START: Final = ("(?!CONNECT[ ])[A-Z_-]+", "[ ]+")
_HOSTS: Final = ((r"\[", _LITERAL, r"\]"), (_NAME,))
_AUTHORITIES: Final = tuple(
    (*_START, _SCHEME, ":", "/", "/", *host, "(?::[0-9]*)?") for host in _HOSTS
)
_WITH_PATH: Final = (
    (*_START, "/", _TEXT),
    *((*authority, "[/?]", _TEXT) for authority in _AUTHORITIES),
)
_UP_TO_SPACE: Final = (
    *((*target, "[ ]+") for target in (*_WITH_PATH, *_AUTHORITIES)),
    *(("CONNECT[ ]+", *host, ":", "[0-9]+", "[ ]+") for host in _HOSTS),
)
_VERSION: Final = ("H", "T", "T", "P", "/", "1", r"\.", MINOR_VERSION, "[ ]*")

_ROWS: Final = (
    *((*target, r"\r") for target in (*_WITH_PATH, *_UP_TO_SPACE)),
    *((*target, *_VERSION, r"\r") for target in _UP_TO_SPACE),
)
"""All forms of a line, in pieces: an incomplete line must be a prefix of one."""


# Compiled for the first incomplete or invalid line: it takes longer than the rest of the import.


@functools.cache
def _beginnings() -> tuple[re.Pattern[str], ...]:
    return tuple(prefix_pattern(row) for row in _ROWS)


@functools.cache
def _refusals() -> tuple[tuple[re.Pattern[str], tuple[int, str]], ...]:
    """Errors by pattern; the first match determines the error."""
    versions = ("".join(target) + "HTTP/(?:[2-9]|1[0-9])" for target in _UP_TO_SPACE)
    return (
        (re.compile("|".join(versions)), (505, "client sent invalid version")),
        (re.compile("[A-Z_-]+ "), (400, "client sent invalid request")),
        (re.compile(""), (400, "client sent invalid method")),
    )


def is_beginning(text: str) -> bool:
    """Whether `text`, which has no line end, can be the start of a request line."""
    return any(pattern.fullmatch(text) for pattern in _beginnings())


def refusal(text: str) -> tuple[int, str]:
    """Status and log message for an invalid line."""
    return next(answer for pattern, answer in _refusals() if pattern.match(text))
