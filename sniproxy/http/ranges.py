"""Byte ranges (RFC 9110, section 14.2) as nginx parses and applies them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ..models import RequestHead
from ..temp_files import next_number
from .dates import parse_http_date

LARGEST: Final = 2**63 - 1
_BYTES: Final = "bytes="
_RANGE: Final = re.compile(r" *(?:(?P<first>[0-9]+) *- *(?P<last>[0-9]*)|-(?P<suffix>[0-9]+)) *")

Part = tuple[int, int]
"""Offsets of the first byte and of the byte after the last."""


class RangeNotSatisfiableError(ValueError):
    """416: the Range field is invalid, or no range overlaps the body."""


@dataclass(frozen=True, slots=True)
class RangeRules:
    """The `max_ranges` settings."""

    max_ranges: int
    reject_inefficient: bool
    """Whether to ignore ranges whose multipart response would exceed the body by too much."""


def requested_ranges(
    request: RequestHead, length: int, modified: int | None, etag: str | None, rules: RangeRules
) -> tuple[Part, ...]:
    """The requested parts of a body of `length` bytes; empty to send the complete body.

    Raises `RangeNotSatisfiableError`.
    """
    value = request.header("range")
    if value is None or len(value) <= len(_BYTES) or value[: len(_BYTES)].lower() != _BYTES:
        return ()
    if not _is_same(request.header("if-range"), modified, etag):
        return ()
    return parse_ranges(value[len(_BYTES) :], length, rules)


def _is_same(if_range: str | None, modified: int | None, etag: str | None) -> bool:
    if if_range is None:
        return True
    if len(if_range) >= 2 and if_range.endswith('"'):
        return if_range == etag
    return modified is not None and parse_http_date(if_range) == modified


def parse_ranges(text: str, length: int, rules: RangeRules) -> tuple[Part, ...]:
    """Parse the part of the field after `bytes=`; see `requested_ranges`."""
    parts: list[Part] = []
    position = -1
    while position < len(text):
        match = _RANGE.match(text, position + 1)
        if match is None or text[match.end() : match.end() + 1] not in ("", ","):
            raise RangeNotSatisfiableError(text)
        position = match.end()
        start, end = _part(match, length)
        if start < end:
            parts.append((start, end))
            if len(parts) > rules.max_ranges:
                return ()
        elif start == 0:
            return ()
    if not parts:
        raise RangeNotSatisfiableError(text)
    if len(parts) > 1 and not _is_efficient(parts, length, rules):
        return ()
    return tuple(parts)


def _part(match: re.Match[str], length: int) -> Part:
    first, last, suffix = match.groups()
    if suffix is not None:
        return max(length - _number(match, suffix), 0), length
    end = length if not last else min(_number(match, last) + 1, length)
    return _number(match, first), end


def _number(match: re.Match[str], digits: str) -> int:
    significant = digits.lstrip("0") or "0"
    if len(significant) > len(str(LARGEST)) or int(significant) > LARGEST:
        raise RangeNotSatisfiableError(match.string)
    return int(significant)


def _is_efficient(parts: list[Part], length: int, rules: RangeRules) -> bool:
    size = sum(end - start for start, end in parts)
    if size > length:
        return False
    return not rules.reject_inefficient or size + 256 * len(parts) <= length + 4096


def content_range(part: Part, length: int) -> str:
    """Format a Content-Range field: `bytes 0-9/100`."""
    return f"bytes {part[0]}-{part[1] - 1}/{length}"


@dataclass(frozen=True, slots=True)
class Multipart:
    """A `multipart/byteranges` body."""

    content_type: str
    pieces: tuple[bytes | Part, ...]

    @property
    def length(self) -> int:
        return sum(
            len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in self.pieces
        )


def multipart(parts: tuple[Part, ...], length: int, content_type: str) -> Multipart:
    """Build a multipart body from `parts` of a body with the given length and type."""
    boundary = f"{next_number():020}"  # as in nginx, one more than the last temporary file's
    type_line = f"Content-Type: {content_type}\r\n" if content_type else ""
    pieces: list[bytes | Part] = []
    for part in parts:
        head = f"\r\n--{boundary}\r\n{type_line}Content-Range: {content_range(part, length)}"
        pieces += [f"{head}\r\n\r\n".encode("latin-1"), part]
    pieces.append(f"\r\n--{boundary}--\r\n".encode("ascii"))
    return Multipart(f"multipart/byteranges; boundary={boundary}", tuple(pieces))
