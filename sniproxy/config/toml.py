"""TOML → the same statements as nginx.conf's."""

from __future__ import annotations

from collections.abc import Iterator

from .tree import Item


def read_toml(text: str, file: str) -> Iterator[Item]:
    raise NotImplementedError
