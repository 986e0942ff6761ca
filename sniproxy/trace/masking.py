"""Secrets of a trace: their values are never shown, wherever they turn up (pure).

The fields that carry them are masked by name. A value that was in one of them is also masked
where it stands in any other text: under another name, in a variable, in a log line.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import TypeVar, cast

from ..models import Header

MASK = "(masked)"
SECRET_FIELDS = frozenset(("authorization", "proxy-authorization", "cookie", "set-cookie"))
_SECRET_VARIABLES = ("cookie_", "upstream_cookie_")
_OF_FIELDS = ("http_", "sent_http_", "upstream_http_")
SHORTEST = 6
"""Characters: shorter values stand in too many texts by chance."""

Value = TypeVar("Value")


def masked_fields(fields: Iterable[Header]) -> tuple[Header, ...]:
    """The fields of a head, the values of secret ones masked."""
    return tuple((n, MASK if n.lower() in SECRET_FIELDS else value) for n, value in fields)


def is_secret_variable(name: str) -> bool:
    """Whether a variable is a secret by its name."""
    return name.startswith(_SECRET_VARIABLES) or any(
        name.startswith(prefix) and name[len(prefix) :].replace("_", "-") in SECRET_FIELDS
        for prefix in _OF_FIELDS
    )


def secrets(fields: Iterable[Header]) -> tuple[str, ...]:
    """The values to be masked in other texts, the longest first."""
    found: set[str] = set()
    for name, value in fields:
        match name.lower():
            case "authorization" | "proxy-authorization":
                found |= {value, value.partition(" ")[2].strip()}
            case "cookie":
                found.add(value)
                found |= {pair.partition("=")[2].strip() for pair in value.split(";")}
            case "set-cookie":
                found |= {value, value.partition(";")[0].partition("=")[2].strip()}
    return tuple(sorted((one for one in found if len(one) >= SHORTEST), key=len, reverse=True))


def masked(value: Value, hidden: Iterable[str]) -> Value:
    """`value`, a frozen dataclass, with `hidden` masked in all its texts."""
    hidden = tuple(hidden)

    def without(text: str) -> str:
        for secret in hidden:
            text = text.replace(secret, MASK)
        return text

    return cast(Value, _changed(value, without)) if hidden else value


def _changed(value: object, change: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, tuple):
        return tuple([_changed(one, change) for one in value])
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [one.name for one in dataclasses.fields(value) if one.init]
        return dataclasses.replace(
            value, **{name: _changed(getattr(value, name), change) for name in fields}
        )
    return value
