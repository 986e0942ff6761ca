"""Encode the fields of HTTP/2 responses, byte for byte as nginx (`ngx_http_v2_filter_module.c`).

nginx never refers to the dynamic table: so an answer has the same length each time, which
`$bytes_sent` shows.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable
from typing import Final

from hpack import Decoder
from hpack.exceptions import InvalidTableIndexError
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

from ..models import Header, Response
from .dates import http_date
from .pages import server_field

_HUFFMAN: Final = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)
_INDEXED_STATUS: Final = {
    b"200": 8, b"204": 9, b"206": 10, b"304": 11, b"400": 12, b"404": 13, b"500": 14,
}  # fmt: skip
_NAME_INDEX: Final = {
    b"content-length": 28,
    b"content-type": 31,
    b"date": 33,
    b"last-modified": 44,
    b"location": 46,
    b"server": 54,
    b"vary": 59,
}
_RAW: Final = frozenset((b"content-length",))
"""Fields whose values nginx does not compress."""

_ONLY_ONCE: Final = frozenset(_NAME_INDEX)

Fields = list[tuple[bytes, bytes]]


def response_fields(response: Response, *, server_tokens: str, vary: bool) -> Fields:
    """The fields of a response in nginx's order, from `:status` on, with names in lower case."""
    # A response of an upstream without a status line has the status 9 in logs only.
    status = response.status if response.status >= 100 else 0
    fields = [(b":status", b"%03d" % status)]
    if response.add_server:
        fields.append((b"server", server_field(server_tokens).encode("latin-1")))
    if response.add_date:
        fields.append((b"date", _date(int(time.time()))))
    if response.status != 204 or response.status_line is not None:
        if response.content_type:
            fields.append((b"content-type", response.content_type.encode("latin-1")))
        if response.content_length is not None:
            fields.append((b"content-length", b"%d" % response.content_length))
        if response.last_modified is not None:
            fields.append((b"last-modified", http_date(response.last_modified).encode("latin-1")))
    if response.location is not None:
        fields.append((b"location", response.location.encode("latin-1")))
    if vary:
        fields.append((b"vary", b"Accept-Encoding"))
    headers = response.headers
    if response.status == 101:
        headers = tuple([field for field in headers if field[0].lower() != "upgrade"])
    fields += encoded_fields(headers)
    return fields


def encoded_fields(headers: Iterable[Header]) -> Fields:
    """Header fields as bytes, with names in lower case."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


@functools.lru_cache(maxsize=2)
def _date(now: int) -> bytes:
    return http_date(now).encode("latin-1")


class FieldDecoder:
    """Decodes the header blocks of a connection, which share a table."""

    def __init__(self, largest: int) -> None:
        """`largest` is the most bytes of fields in a block, each with 32 bytes of overhead."""
        self._decoder = Decoder(max_header_list_size=largest)
        self._largest = largest

    def decode(self, block: bytes) -> list[Header]:
        """Decode a block to latin-1 text. Raises `hpack.HPACKError`."""
        indexed = self._indexed(block)
        fields = self._decoder.decode(block, raw=True) if indexed is None else indexed
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields]

    def _indexed(self, block: bytes) -> Fields | None:
        """Decode a block of indexed fields; None if it has others, or faults.

        A client that repeats a request sends such a block; to hpack it costs ten times as much.
        """
        if not block or min(block) <= 0x80 or max(block) == 0xFF:
            return None
        get = self._decoder.header_table.get_by_index
        try:
            fields = [get(octet & 0x7F) for octet in block]
        except InvalidTableIndexError:
            return None
        size = 32 * len(fields) + sum([len(name) + len(value) for name, value in fields])
        return fields if size <= self._largest else None


class FieldEncoder:
    """Encodes header blocks as nginx does; has the interface of `hpack.Encoder`."""

    def __init__(self) -> None:
        self._table_size = 4096
        self._update_table = False

    @property
    def header_table_size(self) -> int:
        """Size of the dynamic table that the client allows."""
        return self._table_size

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        self._table_size = value
        self._update_table = True

    def encode(self, fields: Iterable[tuple[bytes, bytes]], huffman: bool = True) -> bytes:
        """Encode a header block."""
        block = bytearray()
        if self._update_table:
            self._update_table = False
            block.append(0x20)
        seen: set[bytes] = set()
        for name, value in fields:
            if name == b":status":
                index = _INDEXED_STATUS.get(value)
                block += bytes((0x80 | index,)) if index else b"\x48\x03" + value
                continue
            index = None if name in seen else _NAME_INDEX.get(name)
            if name in _ONLY_ONCE:
                seen.add(name)
            if index is None:
                block += b"\x00" + string_literal(name)
            else:
                block.append(0x40 | index)
            block += _length(0, len(value)) + value if name in _RAW else string_literal(value)
        return bytes(block)


@functools.lru_cache(maxsize=512)
def string_literal(value: bytes) -> bytes:
    """A string literal, compressed if that makes it shorter."""
    compressed = _HUFFMAN.encode(value) if value else b""
    if value and len(compressed) < len(value):
        return _length(0x80, len(compressed)) + compressed
    return _length(0, len(value)) + value


def _length(flag: int, value: int) -> bytes:
    """An integer with a prefix of 7 bits (RFC 7541, section 5.1)."""
    if value < 127:
        return bytes((flag | value,))
    encoded = bytearray((flag | 127,))
    value -= 127
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
