"""Render access log lines (`log_format`)."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..script import Lookup, Template, Variable

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


def access_line(template: Template, escape: str, lookup: Lookup) -> str:
    """Render the line of a finished request, including the line feed."""
    escaped = ESCAPES[escape]
    parts = [
        escaped(lookup(part.name)) if isinstance(part, Variable) else part
        for part in template.parts
    ]
    return "".join(parts) + "\n"
