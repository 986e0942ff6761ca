"""Decimal numbers as nginx parses them (`ngx_atoi`)."""

from __future__ import annotations

MAX_INT = 2**63 - 1


def parse_number(text: str) -> int | None:
    """The value of decimal digits; None for anything else, and for what exceeds 63 bits."""
    if not text.isascii() or not text.isdigit():
        return None
    value = int(text[:20])
    return value if len(text) < 20 and value <= MAX_INT else None
