"""UTF-8 as nginx decodes it: also sequences that Python refuses (`ngx_utf8_decode()`)."""

from __future__ import annotations

_LEADS = ((0xF0, 0x07, 3, 0xFFFF), (0xE0, 0x0F, 2, 0x7FF), (0xC2, 0x1F, 1, 0x7F))
"""Least lead byte, its bits, the number of bytes that follow, and the largest value that is not
allowed, since a shorter sequence has it."""


def decode_symbol(sequence: bytes) -> int | None:
    """The code point of a sequence of several bytes; None if it is invalid or incomplete."""
    lead = sequence[0] if sequence else 0
    if lead >= 0xF8:
        return None
    for least, bits, following, too_small in _LEADS:
        if lead >= least:
            if len(sequence) <= following:
                return None
            symbol = lead & bits
            for byte in sequence[1 : following + 1]:
                if byte < 0x80:
                    return None
                symbol = symbol << 6 | byte & 0x3F
            return symbol if symbol > too_small else None
    return None
