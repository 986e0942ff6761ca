"""Compare configurations by what they mean, whatever their syntax."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..config.model import Config
from ..config.tree import Place

_ABOUT_THE_TEXT = frozenset(
    {"file", "line", "place", "end", "sources", "include_masks", "warnings", "prefix"}
)
"""Fields that say where something is written."""


def same_meaning(one: Config, other: Config) -> bool:
    return next(differences(one, other), None) is None


def differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Where two values differ, apart from their places in a file."""
    if type(one) is not type(other):
        yield path
    elif isinstance(one, Place):
        return
    elif dataclasses.is_dataclass(one) and not isinstance(one, type):
        for field in dataclasses.fields(one):
            if field.name not in _ABOUT_THE_TEXT:
                inner = getattr(one, field.name), getattr(other, field.name)
                yield from differences(*inner, f"{path}.{field.name}")
    elif isinstance(one, Mapping):
        if list(one) != list(other) and set(one) != set(other):
            yield path
            return
        for key in one:
            yield from differences(one[key], other[key], f"{path}[{key!r}]")
    elif isinstance(one, tuple | list):
        if len(one) != len(other):
            yield path
            return
        for index, inner in enumerate(zip(one, other, strict=True)):
            yield from differences(*inner, f"{path}[{index}]")
    elif isinstance(one, re.Pattern):
        if (one.pattern, one.flags) != (other.pattern, other.flags):
            yield path
    elif callable(one) and hasattr(one, "__closure__"):
        if one.__code__ is not other.__code__:
            yield path
    elif _is_record(one):
        for name in type(one).__slots__:
            inner = getattr(one, name, None), getattr(other, name, None)
            yield from differences(*inner, f"{path}.{name}")
    elif one != other:
        yield path


def _is_record(value: Any) -> bool:
    """Whether it has fields, and no comparison of its own."""
    return hasattr(value, "__slots__") and type(value).__eq__ is _IDENTITY


_IDENTITY: Any = object.__eq__
