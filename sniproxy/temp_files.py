"""Numbered temporary files, in folders of several levels (nginx's `ngx_create_temp_file`)."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from typing import IO

from .system import O_BINARY, O_CLOEXEC

COLLISION_STEP = 123456
"""How far nginx's numbers jump where a file exists."""

_number = itertools.count(1)
_collisions = 0


def in_levels(name: str, levels: Sequence[int]) -> str:
    """`name` in folders of its last characters: `2/01/0000000012` for levels 1 and 2."""
    end = len(name)
    folders = []
    for level in levels:
        folders.append(name[end - level : end])
        end -= level
    return "/".join((*folders, name))


def next_number() -> int:
    """The number of the next temporary file, with at most ten digits."""
    return (next(_number) + _collisions * COLLISION_STEP) % 10**10


def make_numbered_file(folder: str, levels: Sequence[int] = ()) -> tuple[IO[bytes], str]:
    """Create a file below `folder`; returns it with its name. Raises `OSError`."""
    while True:
        path = os.path.join(folder, in_levels(f"{next_number():010d}", levels))
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        try:
            return open_new(path), path
        except FileExistsError:
            skip_numbers()


def make_file_beside(path: str) -> tuple[IO[bytes], str]:
    """Create `PATH.NUMBER`, to be renamed to `path`. Raises `OSError`."""
    while True:
        name = f"{path}.{next_number():010d}"
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        try:
            return open_new(name), name
        except FileExistsError:
            skip_numbers()


def open_new(path: str) -> IO[bytes]:
    """Create a file that only its owner may read and write."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | O_CLOEXEC | O_BINARY, 0o600)
    return os.fdopen(descriptor, "wb+")


def skip_numbers() -> None:
    """Continue far from the present number, which another process uses too."""
    global _collisions
    _collisions += 1
