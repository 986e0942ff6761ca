"""The definition of a variable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..context import RequestContext


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable: its name, how to evaluate it, and a description.

    A value may be empty or None; access logs show None as `-`.
    """

    name: str
    value: Callable[[RequestContext], str | None]
    doc: str
    changeable: bool = False
    """Whether nginx lets `set`, `map` and the like redefine it (`NGX_HTTP_VAR_CHANGEABLE`)."""


def seconds(value: float) -> str:
    """Format a time as nginx does, with three decimals."""
    return f"{max(value, 0.0):.3f}"
