"""Genuine bytes, spoilt: how a fuzz run departs from what a peer should send."""

from __future__ import annotations

import random
from collections.abc import Callable

LENGTHS = (0, 1, 2, 254, 255, 256, 16384, 16385, 65535)


def flip(data: bytes, chance: random.Random) -> bytes:
    """One to four bytes changed."""
    spoilt = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
    return bytes(spoilt)


def truncate(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def repeat(data: bytes, chance: random.Random) -> bytes:
    """A part of it twice."""
    start = chance.randrange(len(data))
    end = chance.randint(start, len(data))
    return data[:end] + data[start:end] + data[end:]


def cut(data: bytes, chance: random.Random) -> bytes:
    """A part of it missing."""
    start = chance.randrange(len(data))
    end = chance.randint(start, min(len(data), start + 64))
    return data[:start] + data[end:]


def insert(data: bytes, chance: random.Random) -> bytes:
    """Random bytes in the midst of it."""
    position = chance.randrange(len(data))
    return data[:position] + chance.randbytes(chance.randint(1, 300)) + data[position:]


def lie(data: bytes, chance: random.Random) -> bytes:
    """Two bytes that may be a length say another one."""
    position = chance.randrange(max(len(data) - 1, 1))
    return data[:position] + chance.choice(LENGTHS).to_bytes(2) + data[position + 2 :]


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    flip,
    truncate,
    repeat,
    cut,
    insert,
    lie,
)


def spoilt(data: bytes, chance: random.Random) -> bytes:
    """`data` as it is, or after one to three mutations."""
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        if data:
            data = chance.choice(MUTATIONS)(data, chance)
    return data


def pieces(data: bytes, chance: random.Random) -> list[bytes]:
    """`data` in one piece, in a few, or byte by byte."""
    if not data:
        return []
    how = chance.random()
    if how < 0.6:
        return [data]
    if how < 0.9 or len(data) > 600:
        cuts = sorted(chance.randrange(len(data)) for _ in range(chance.randint(1, 4)))
        return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]
    return [data[i : i + 1] for i in range(len(data))]
