"""The header of a cache file, byte for byte as nginx writes it on 64-bit systems.

A file is this header, the line `KEY: …`, the response head as the upstream sent it, and the body
(`ngx_http_file_cache_header_t`, version 5). nginx and sniproxy read each other's files.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

VERSION = 5
MAX_ETAG = 128
MAX_VARY = 128
HEADER_SIZE = 336

_LAYOUT = struct.Struct("=Qqqqqq I HHH B128s B128s 16s 4x".replace(" ", ""))
assert _LAYOUT.size == HEADER_SIZE

NO_TIME = -1
"""A response without Last-Modified."""


@dataclass(slots=True)
class CacheFileHeader:
    """The header of a cache file. Times are POSIX seconds."""

    valid_until: int
    updating: int = 0
    """For how many seconds longer it may be sent while it is updated (`stale-while-revalidate`)."""
    error: int = 0
    """For how many seconds longer it may be sent after an error (`stale-if-error`)."""
    last_modified: int = NO_TIME
    date: int = 0
    """When it was stored or validated."""
    crc32: int = 0
    milliseconds: int = 0
    head_start: int = 0
    body_start: int = 0
    etag: bytes = b""
    vary: bytes = b""
    variant: bytes = bytes(16)
    """The hash of the request fields that `vary` names."""
    version: int = VERSION

    def pack(self) -> bytes:
        etag = self.etag if len(self.etag) <= MAX_ETAG else b""
        vary = self.vary[:MAX_VARY]
        return _LAYOUT.pack(
            self.version,
            self.valid_until,
            self.updating,
            self.error,
            self.last_modified,
            self.date,
            self.crc32,
            self.milliseconds,
            self.head_start,
            self.body_start,
            len(etag),
            etag,
            len(vary),
            vary,
            self.variant,
        )

    @classmethod
    def unpack(cls, data: bytes) -> CacheFileHeader:
        """Read the header at the start of `data`, which has at least `HEADER_SIZE` bytes.

        The lengths of `etag` and `vary` are not trusted: see `vary_length` for the second.
        """
        fields = _LAYOUT.unpack_from(data)
        version, valid_until, updating, error, last_modified, date, crc32 = fields[:7]
        milliseconds, head_start, body_start, etag_length, etag, vary_length, vary = fields[7:14]
        return cls(
            valid_until,
            updating,
            error,
            last_modified,
            date,
            crc32,
            milliseconds,
            head_start,
            body_start,
            etag[:etag_length],
            vary[:vary_length],
            fields[14],
            version,
        )


def vary_length(data: bytes) -> int:
    """The length of Vary as the file has it; more than `MAX_VARY` if the file is corrupt."""
    return data[_VARY_OFFSET]


_VARY_OFFSET = 48 + 4 + 6 + 1 + MAX_ETAG
