"""MurmurHash2, the hash of nginx's `split_clients`."""

from __future__ import annotations

_FACTOR = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur_hash2(data: bytes) -> int:
    """The 32-bit hash of `data`, with its length as the seed."""
    value = len(data)
    complete = len(data) & ~3
    for start in range(0, complete, 4):
        word = int.from_bytes(data[start : start + 4], "little") * _FACTOR & _MASK
        word = (word ^ word >> 24) * _FACTOR & _MASK
        value = value * _FACTOR & _MASK ^ word
    if complete < len(data):
        value = (value ^ int.from_bytes(data[complete:], "little")) * _FACTOR & _MASK
    value = (value ^ value >> 13) * _FACTOR & _MASK
    return value ^ value >> 15
