"""Render access log lines (`log_format`)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ..template import Template
from ..variables import getter

_DEFAULT_UNSAFE = re.compile(r'["\\\x00-\x1f\x7f-\xff]')
_JSON_UNSAFE = re.compile(r'["\\\x00-\x1f]')
_JSON_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


def escape_default(value: str | None) -> str:
    """Escape `"`, `\\` and everything outside printable ASCII as `\\xHH`; None becomes `-`."""
    if value is None:
        return "-"
    return _DEFAULT_UNSAFE.sub(lambda match: f"\\x{ord(match[0]):02X}", value)


def escape_json(value: str | None) -> str:
    """Escape for JSON strings; None becomes empty."""
    return _JSON_UNSAFE.sub(
        lambda match: (
            "\\" + match[0]
            if match[0] in '"\\'
            else _JSON_SHORT.get(match[0], f"\\u{ord(match[0]):04X}")
        ),
        value or "",
    )


def escape_none(value: str | None) -> str:
    """No escaping; None becomes empty."""
    return value or ""


ESCAPES: dict[str, Callable[[str | None], str]] = {
    "default": escape_default,
    "json": escape_json,
    "none": escape_none,
}


class AccessFormat:
    """A `log_format`, compiled: the line of one request, piece by piece."""

    __slots__ = ("_escape", "_parts", "_unsafe")

    def __init__(
        self,
        template: Template,
        escape: str = "default",
        getter: Callable[[str], Callable[[Any], str | None]] = getter,
    ) -> None:
        """`getter` returns the function that evaluates a variable."""
        self._escape = ESCAPES[escape]
        self._unsafe = _DEFAULT_UNSAFE if escape == "default" else None
        self._parts: list[str | Callable[[Any], str | None]] = [
            part if isinstance(part, str) else getter(part.name) for part in template.parts
        ]

    def line(self, ctx: Any) -> str:
        """The line of one request or session, with its line feed."""
        escape, unsafe = self._escape, self._unsafe
        line = ""
        for part in self._parts:
            if isinstance(part, str):
                line += part
                continue
            value = part(ctx)
            # Most values need no escaping: the call is saved.
            if value is not None and unsafe is not None and unsafe.search(value) is None:
                line += value
            else:
                line += escape(value)
        return line + "\n"
