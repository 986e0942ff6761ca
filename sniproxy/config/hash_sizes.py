"""The sizes of nginx's hash tables (`ngx_hash_init()`): keys may be too long, or too many.

sniproxy's tables have no such limits; a configuration that nginx refuses is refused nevertheless.
"""

from __future__ import annotations

from collections.abc import Collection

from ..models import ConfigError

_POINTER = 8
_CACHE_LINE = 64
_HASH_BITS = (1 << 64) - 1


def check_hash(
    what: str,
    keys: Collection[str],
    max_size: int,
    bucket_size: int | None,
    *,
    labels: Collection[str] = (),
) -> str | None:
    """Return nginx's warning about the hash table `what`, or None.

    `bucket_size` is None for the default; `labels` are the keys of the tables of wildcards. Raises
    `ConfigError` if a key does not fit a bucket.
    """
    bucket = _CACHE_LINE if bucket_size is None else -(-bucket_size // _CACHE_LINE) * _CACHE_LINE
    sizes = [_element_size(key) for key in keys]
    longest = max([*sizes, *map(_element_size, labels)], default=0)
    if longest and bucket < longest + _POINTER:
        raise ConfigError(
            f"could not build {what}, you should increase {what}_bucket_size: {bucket}"
        )
    if _fits([_hash(key) for key in keys], sizes, max_size, bucket - _POINTER):
        return None
    return (
        f"could not build optimal {what}, you should increase either {what}_max_size: {max_size} "
        f"or {what}_bucket_size: {bucket}; ignoring {what}_bucket_size"
    )


def _element_size(key: str) -> int:
    return _POINTER - (-(len(key) + 2) // _POINTER) * _POINTER


def _hash(key: str) -> int:
    value = 0
    for byte in key.encode("latin-1"):
        value = (value * 31 + byte) & _HASH_BITS
    return value


def _fits(hashes: list[int], sizes: list[int], max_size: int, bucket: int) -> bool:
    """Whether with some number of buckets none overflows."""
    start = len(hashes) // (bucket // (2 * _POINTER)) if bucket >= 2 * _POINTER else 0
    if max_size > 10000 and hashes and max_size // len(hashes) < 100:
        start = max_size - 1000
    if sum(sizes) > max_size * bucket:
        return False
    return any(
        _fits_in(count, hashes, sizes, bucket) for count in range(max(start, 1), max_size + 1)
    )


def _fits_in(count: int, hashes: list[int], sizes: list[int], bucket: int) -> bool:
    filled: dict[int, int] = {}
    for value, size in zip(hashes, sizes, strict=True):
        index = value % count
        filled[index] = length = filled.get(index, 0) + size
        if length > bucket:
            return False
    return True
