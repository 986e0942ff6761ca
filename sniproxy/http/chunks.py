"""Chunked transfer coding with nginx's grammar: decoding and encoding.

A chunk size is hexadecimal. `;`, a space or a tab starts an extension, which extends to the end
of the line. Lines end in CRLF only. Trailers are ignored lines of any form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ..models import Header, Side

LAST_CHUNK: Final = b"0\r\n\r\n"

_SIZE_LINE: Final = rb"""
    (?: 0* [89A-Fa-f][0-9A-Fa-f]{14}    # too large, which shows with the next byte only
      | (?P<size> 0* [0-9A-Fa-f]{1,15} )
        (?: (?P<skipped> [;\ \t][^\r\n]* )? (?: \r (?P<end> \n )? )? )?
    )?
"""
_FIRST: Final = re.compile(_SIZE_LINE, re.VERBOSE)
_NEXT: Final = re.compile(rb"(?: \r (?: \n " + _SIZE_LINE + rb")? )?", re.VERBOSE)
_TRAILER: Final = re.compile(rb"(?P<skipped>[^\r\n]+)?(?:\r(?P<end>\n)?)?")
"""Match the longest valid prefix of a trailer line; group `end` is set if it is complete."""

_HEXADECIMAL: Final = re.compile(rb"[0-9A-Fa-f]+")
_LAST_LINES: Final = b"0\r\n\r\n"
_AFTER_DATA: Final = b"\r\n" + _LAST_LINES

_LEADING_ZEROS: Final = re.compile(rb"^(\r\n)?0+(?=0)")


class MalformedChunkError(ValueError):
    """The body violates the grammar; `str()` is nginx's log message, at level error."""


_REFUSALS: Final = {
    Side.CLIENT: "client sent invalid chunked body",
    Side.UPSTREAM: "upstream sent invalid chunked response",
}


class BodyTooLargeError(ValueError):
    """The body exceeds the limit; `str()` is nginx's `RECEIVED+SIZE`."""


class ChunkReader:
    """Decodes a chunked body received from `side`.

    `limit` is the maximum body size in bytes (`client_max_body_size`), 0 for none. With
    `keep_trailers` the body ends after the last chunk and `leftover` starts with the trailers
    (`proxy_pass_trailers`); otherwise trailers are skipped.
    """

    __slots__ = (
        "_expected",
        "_keep_trailers",
        "_left",
        "_limit",
        "_pending",
        "_received",
        "_side",
        "_too_large",
        "done",
        "leftover",
    )

    def __init__(
        self, side: Side = Side.CLIENT, *, limit: int = 0, keep_trailers: bool = False
    ) -> None:
        self.done = False
        self.leftover = b""
        """Bytes after the end of the body."""
        self._side = side
        self._limit = limit
        self._keep_trailers = keep_trailers
        self._expected = _FIRST
        self._left = 0
        self._received = 0
        self._pending = b""
        self._too_large = ""

    @property
    def min_remaining(self) -> int:
        """Lower bound for the number of bytes missing."""
        if self.done:
            return 0
        if self._left:
            return self._left + len(_AFTER_DATA)
        pending = self._pending
        if self._expected is _TRAILER:
            line = pending.removesuffix(b"\r")
            return (4 if line else 2) - (line != pending)
        if self._expected is _NEXT and len(pending) < 2:
            return len(_AFTER_DATA) - len(pending)
        digits = _HEXADECIMAL.search(pending)
        if digits is None:
            return len(_LAST_LINES)
        size = int(digits[0], 16)
        return (size + len(_AFTER_DATA) if size else 2) + 2 - pending.endswith(b"\r")

    def feed(self, data: bytes) -> bytes:
        """Process received data; returns the decoded bytes.

        Raises `MalformedChunkError` as early as nginx, and `BodyTooLargeError`.
        """
        if self._too_large and data:
            raise BodyTooLargeError(self._too_large)
        if self._left > len(data):
            self._left -= len(data)
            self._received += len(data)
            return data
        data = self._pending + data
        self._pending = b""
        decoded: list[bytes] = []
        position = 0
        while position < len(data) and not self.done:
            if self._too_large:
                raise BodyTooLargeError(self._too_large)
            if self._left:
                piece = data[position : position + self._left]
                decoded.append(piece)
                self._left -= len(piece)
                self._received += len(piece)
                position += len(piece)
            else:
                position = self._read_line(data, position)
        if self.done:
            self.leftover = data[position:]
        return b"".join(decoded)

    def _read_line(self, data: bytes, position: int) -> int:
        match = self._expected.match(data, position)
        if match is None or (not match["end"] and match.end() < len(data)):
            raise MalformedChunkError(_REFUSALS[self._side])
        if not match["end"]:
            self._pending = _unfinished(match)
        elif self._expected is not _TRAILER:
            self._begin_chunk(int(match["size"].lstrip(b"0") or b"0", 16))
        else:
            self.done = not match["skipped"]
        return match.end()

    def _begin_chunk(self, size: int) -> None:
        if self._limit and self._received + size > self._limit:
            # nginx checks the limit at the first byte of a chunk.
            self._too_large = f"{self._received}+{size}"
        self._left = size
        self._expected = _NEXT if size else _TRAILER
        self.done = not size and self._keep_trailers


def _unfinished(match: re.Match[bytes]) -> bytes:
    """The incomplete line, without parts that need not be matched again."""
    line = match[0]
    skipped = match["skipped"]
    if skipped:
        line = line.replace(skipped, skipped[:1], 1)
    return _LEADING_ZEROS.sub(rb"\1", line)


def chunk(data: bytes) -> bytes:
    """Encode non-empty `data` as a chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunk(trailers: Iterable[Header] = ()) -> bytes:
    """Encode the last chunk and the trailers."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in trailers)
    return b"0\r\n" + lines.encode("latin-1") + b"\r\n"
