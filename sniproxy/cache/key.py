"""The key of a cached response, and the file that it names (`proxy_cache_key`)."""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from ..temp_files import in_levels
from .file_format import HEADER_SIZE

KEY_MARK = b"\nKEY: "


@dataclass(frozen=True, slots=True)
class CacheKey:
    """A key, with the numbers that nginx derives from it."""

    text: bytes
    digest: bytes
    """MD5 of the text."""
    crc32: int

    @classmethod
    def of(cls, text: str) -> CacheKey:
        data = text.encode("latin-1")
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        return cls(data, digest, binascii.crc32(data))

    @property
    def line(self) -> bytes:
        """The line after the header of a cache file."""
        return KEY_MARK + self.text + b"\n"

    @property
    def head_start(self) -> int:
        """Offset of the response head in the file."""
        return HEADER_SIZE + len(KEY_MARK) + len(self.text) + 1


def file_of(folder: str, digest: bytes, levels: Sequence[int]) -> str:
    """The path of a cache file: `folder/c/29/b7f5…29c` for the levels 1 and 2."""
    name = digest.hex()
    return f"{folder}/{in_levels(name, levels) if levels else name}"
