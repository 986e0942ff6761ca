"""Encode and decode header blocks of HTTP/2 upstreams as nginx does (pure).

nginx allows upstreams no dynamic table and decodes one field after the other as the bytes arrive
(`ngx_http_grpc_parse_fragment`, `ngx_http_proxy_v2_parse_fragment`). The errors are its own.
"""

from __future__ import annotations

import functools
import re
from typing import Final

from hpack.exceptions import HPACKDecodingError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from ..models import Header
from .http2_fields import string_literal

_STATIC: Final[tuple[Header, ...]] = tuple(
    (bytes(name).decode("latin-1"), bytes(value).decode("latin-1"))
    for name, value in HeaderTable.STATIC_TABLE
)
_REFUSED_NAME: Final = re.compile(r"(?<!^):|[A-Z\x00-\x20\x7f]")
_REFUSED_VALUE: Final = re.compile(r"[\x00\r\n]")
_METHODS: Final = {"GET": b"\x82", "POST": b"\x83"}
_SCHEMES: Final = {False: b"\x86", True: b"\x87"}


class HeaderBlockError(ValueError):
    """The header block is malformed; `str(error)` is nginx's message, at level error."""


class _IncompleteError(Exception):
    """The field continues in bytes that have not arrived."""


class HeaderBlockDecoder:
    """Decodes one header block that arrives in pieces."""

    def __init__(self, limit: int) -> None:
        """`limit` is the maximum size of all names and values together, in bytes."""
        self._limit = limit
        self._buffer = bytearray()
        self._position = 0

    @property
    def is_incomplete(self) -> bool:
        """Whether a part of a field was received."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add bytes of the block."""
        self._buffer += data

    def next_field(self) -> Header | None:
        """The next field; None if it has not arrived completely. Raises `HeaderBlockError`."""
        self._position = 0
        try:
            name, value = self._field()
        except _IncompleteError:
            return None
        del self._buffer[: self._position]
        size = len(name) + len(value)
        if size > self._limit:
            raise HeaderBlockError("upstream sent too large http2 header")
        self._limit -= size
        return name, value

    def _field(self) -> Header:
        first = self._skip_size_updates()
        if first & 0x80:
            index = first & 0x7F
            if not 1 <= index <= len(_STATIC):
                raise _invalid_index(index)
            return _STATIC[index - 1]
        index = first & 0x3F
        if not first & 0x40:
            index = first & 0x0F
            if index == 0x0F:
                index = self._long_index()
        elif index > len(_STATIC):
            raise _invalid_index(index)
        name = _STATIC[index - 1][0] if index else self._string("name")
        value = self._string("value")
        if (not index and _REFUSED_NAME.search(name)) or _REFUSED_VALUE.search(value):
            raise HeaderBlockError(f'upstream sent invalid header: "{name}: {value}"')
        return name, value

    def _skip_size_updates(self) -> int:
        """The first byte of the next field, after changes of the size of the dynamic table."""
        while True:
            first = self._byte()
            if first & 0xE0 != 0x20:
                return first
            if first & 0x1F:
                raise HeaderBlockError(
                    f"upstream sent invalid http2 dynamic table size update: {first & 0x1F}"
                )
            del self._buffer[: self._position]
            self._position = 0

    def _long_index(self) -> int:
        byte = self._byte()
        if byte & 0x80:
            raise HeaderBlockError("upstream sent http2 table index with continuation flag")
        if 0x0F + byte > len(_STATIC):
            raise _invalid_index(0x0F + byte)
        return 0x0F + byte

    def _string(self, what: str) -> str:
        """Read a string literal; `what` is `name` or `value`."""
        first = self._byte()
        length = first & 0x7F
        if length == 0x7F:
            length += self._long_length(what)
        elif not length:
            if what == "value":
                return ""
            raise HeaderBlockError("upstream sent zero http2 header name length")
        start = self._position
        if start == len(self._buffer):
            raise _IncompleteError
        room = length * 8 // 5 if first & 0x80 else length
        if room > self._limit:
            raise HeaderBlockError(f"upstream sent too large http2 header {what} length: {room}")
        end = start + length
        if len(self._buffer) < end:
            raise _IncompleteError
        self._position = end
        encoded = bytes(self._buffer[start:end])
        if not first & 0x80:
            return encoded.decode("latin-1")
        try:
            return bytes(decode_huffman(encoded)).decode("latin-1")
        except HPACKDecodingError:
            raise HeaderBlockError("upstream sent invalid encoded header") from None

    def _long_length(self, what: str) -> int:
        """The rest of a length, in up to three bytes."""
        length = 0
        for shift in (0, 7, 14):
            byte = self._byte()
            length += (byte & 0x7F) << shift
            if not byte & 0x80:
                return length
        raise HeaderBlockError(f"upstream sent too large http2 header {what} length")

    def _byte(self) -> int:
        position = self._position
        if position == len(self._buffer):
            raise _IncompleteError
        self._position += 1
        return self._buffer[position]


def _invalid_index(index: int) -> HeaderBlockError:
    return HeaderBlockError(f"upstream sent invalid http2 table index: {index}")


def encoded_request(method: str, *, tls: bool, target: str, authority: str | None) -> bytes:
    """The pseudo-fields of a request; `authority` is None if the field Host replaces it."""
    block = _METHODS.get(method) or b"\x42" + string_literal(method.encode("latin-1"))
    block += _SCHEMES[tls]
    block += b"\x84" if target == "/" else b"\x44" + string_literal(target.encode("latin-1"))
    if authority is not None:
        block += _encoded_authority(authority)
    return block


@functools.lru_cache(maxsize=128)
def _encoded_authority(authority: str) -> bytes:
    return b"\x41" + string_literal(authority.encode("latin-1"))


def encoded_field(name: str, value: str) -> bytes:
    """A field of a request, without indexing; the name in lower case."""
    return (
        b"\x00"
        + string_literal(name.lower().encode("latin-1"))
        + string_literal(value.encode("latin-1"))
    )
