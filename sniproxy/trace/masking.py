"""Mask secrets in traces (pure).

Header fields are masked by name. The values of masked fields are also masked in all other texts: in
other fields, variables and log lines.
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
"""Minimum length of values to mask elsewhere: shorter ones occur in many texts by chance."""

Value = TypeVar("Value")


def masked_fields(fields: Iterable[Header]) -> tuple[Header, ...]:
    """Mask the values of secret fields."""
    return tuple((n, MASK if n.lower() in SECRET_FIELDS else value) for n, value in fields)


def is_secret_variable(name: str) -> bool:
    """Whether a variable is secret, by its name."""
    return name.startswith(_SECRET_VARIABLES) or any(
        name.startswith(prefix) and name[len(prefix) :].replace("_", "-") in SECRET_FIELDS
        for prefix in _OF_FIELDS
    )


def secrets(fields: Iterable[Header]) -> tuple[str, ...]:
    """The values to mask in other texts, the longest first."""
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
    """Mask the texts `hidden` in all texts of `value`, an immutable dataclass."""
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
