"""What a variable's row says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..facts import Facts


@dataclass(frozen=True, slots=True)
class Variable:
    """`$name`: its value for a request, None where it has none, and what it is.

    A value may be empty: an access line shows that as nothing, and None as `-`.
    """

    name: str
    value: Callable[[Facts], str | None]
    doc: str
    changeable: bool = False
    """Whether nginx lets `set`, `map` and the like redefine it (`NGX_HTTP_VAR_CHANGEABLE`)."""


def seconds(value: float) -> str:
    """As nginx prints times: three decimals."""
    return f"{max(value, 0.0):.3f}"
