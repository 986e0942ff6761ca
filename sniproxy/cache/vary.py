"""Which requests a response with a Vary field is for (`ngx_http_file_cache_vary`)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from ..models import Header

_NAME = re.compile(rb"[^ ,]+")
_LISTS = frozenset((b"accept-charset", b"accept-encoding", b"accept-language"))
"""Fields whose spaces and empty elements do not matter."""


def variant_of(digest: bytes, vary: bytes, headers: Sequence[Header]) -> bytes:
    """The hash of a request's fields that `vary` names; `digest` is that of the cache key."""
    variant = hashlib.md5(digest, usedforsecurity=False)
    for name in _NAME.findall(vary.lower()):
        variant.update(name + b":")
        wanted = name.decode("latin-1")
        values: list[bytes] = []
        for field, value in headers:
            if field.lower() == wanted:
                data = value.encode("latin-1")
                values += _NAME.findall(data) if name in _LISTS else [data]
        variant.update(b",".join(values) + b"\r\n")
    return variant.digest()
