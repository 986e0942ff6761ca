"""FastCGI records: those of a request as bytes, and those of a response as pieces (no I/O).

    version 1 ─ type ─ request ID (2 bytes, 1) ─ length (2) ─ padding ─ reserved ─ content ─ padding

A response consists of records with the output of a program (a head as of CGI, then the body), with
what it has written to its error stream, and a last one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

BEGIN_REQUEST = 1
END_REQUEST = 3
PARAMS = 4
STDIN = 5
STDOUT = 6
STDERR = 7

_RESPONDER = 1
_KEEP_CONNECTION = 1
HEADER_SIZE = 8
_PIECE = 32768
"""Maximum length of the records that a request body is sent in."""
MAX_PARAMS = 65535
"""Maximum length of all parameters, which are sent in one record."""


def record_header(kind: int, length: int, padding: int = 0) -> bytes:
    """The header of a record whose content has `length` bytes."""
    return bytes((1, kind, 0, 1, length >> 8, length & 0xFF, padding, 0))


def record(kind: int, content: bytes) -> bytes:
    """A record, padded to a multiple of 8 bytes."""
    padding = -len(content) % 8
    return record_header(kind, len(content), padding) + content + bytes(padding)


END_OF_BODY = record(STDIN, b"")


def request_records(params: bytes, *, keep_connection: bool) -> bytes:
    """The records before those of the request body."""
    flags = _KEEP_CONNECTION if keep_connection else 0
    begin = record(BEGIN_REQUEST, bytes((0, _RESPONDER, flags, 0, 0, 0, 0, 0)))
    return begin + record(PARAMS, params) + record(PARAMS, b"")


def body_records(data: bytes) -> bytes:
    """The records of a piece of the request body."""
    pieces = range(0, len(data), _PIECE)
    return b"".join([record(STDIN, data[start : start + _PIECE]) for start in pieces])


def encode_params(params: Iterable[tuple[str, str]]) -> bytes:
    """Names and values, each with its length before it."""
    encoded = bytearray()
    for name, value in params:
        encoded += _length(len(name)) + _length(len(value)) + (name + value).encode("latin-1")
    return bytes(encoded)


def _length(length: int) -> bytes:
    return bytes((length,)) if length < 128 else (length | 0x80000000).to_bytes(4, "big")


class InvalidRecordError(Exception):
    """The header of a record is invalid; the text is nginx's log message."""


class RecordPiece(NamedTuple):
    """A part of a record's content."""

    kind: int
    content: bytes
    starts: bool
    """Whether the record's header has just been read."""
    ends: bool
    """Whether the rest of its content is here."""


_EXPECTED = (
    ((1,), "unsupported FastCGI protocol version"),
    ((STDOUT, STDERR, END_REQUEST), "invalid FastCGI record type"),
    ((0,), "unexpected FastCGI request id high byte"),
    ((1,), "unexpected FastCGI request id low byte"),
)
"""The values of a header's first bytes, and what is said about others."""


class RecordReader:
    """Splits data into pieces of records, as it arrives."""

    def __init__(self) -> None:
        self._header = bytearray()
        """The header so far; empty within a record."""
        self._kind = 0
        self._length = 0
        """Bytes of the content that are missing."""
        self._padding = 0
        self._data = b""
        self._position = 0

    def feed(self, data: bytes) -> None:
        """Add data, when all that was added before has been read."""
        self._data, self._position = data, 0

    def next(self) -> RecordPiece | None:
        """The next piece; None if the data ends. Raises `InvalidRecordError`."""
        if self._length:
            return None if self.is_empty else self._content(starts=False)
        self.skip_padding()
        while len(self._header) < HEADER_SIZE:
            if self.is_empty:
                return None
            byte = self._data[self._position]
            self._position += 1
            self._check(len(self._header), byte)
            self._header.append(byte)
        header = self._header
        self._kind, self._padding = header[1], header[6]
        self._length = header[4] << 8 | header[5]
        header.clear()
        return self._content(starts=True)

    def _check(self, position: int, byte: int) -> None:
        if position < len(_EXPECTED):
            allowed, refusal = _EXPECTED[position]
            if byte not in allowed:
                raise InvalidRecordError(f"upstream sent {refusal}: {byte}")

    def _content(self, *, starts: bool) -> RecordPiece:
        start = self._position
        content = self._data[start : start + self._length]
        self._position += len(content)
        self._length -= len(content)
        return RecordPiece(self._kind, content, starts, not self._length)

    def unread(self, length: int) -> None:
        """Give back the last `length` bytes of a piece's content."""
        self._position -= length
        self._length += length

    def skip_padding(self) -> bool:
        """Skip the padding of a record; returns whether all of it has arrived."""
        skipped = min(self._padding, len(self._data) - self._position)
        self._padding -= skipped
        self._position += skipped
        return not self._padding

    @property
    def rest(self) -> bytes:
        """The data that was not read yet."""
        return self._data[self._position :]

    @property
    def is_empty(self) -> bool:
        return self._position == len(self._data)
