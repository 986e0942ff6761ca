"""The words of other OpenSSL releases than the one that is linked (`ssl_error_dialect`).

Releases differ in three things: their words (`sslv3 alert …`, `ssl/tls alert …`), how a code is
packed (1.1.1 puts a function into it, and names it), and which errors they queue at all for
one and the same failure. The tables in `words/` say all three; they were made by provoking the
same failures in every release (`tests/tls/make_dialects.py`), and are not edited by hand.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from .errors import NATIVE, USUAL_DATA, Dialect, ErrorContext, FormattedError, with_data
from .openssl import LIB_SSL, QueuedError

NAMES = ("native", "3.5", "3.0", "1.1.1")
"""The values of `ssl_error_dialect`."""

COMMON = 0x80000
"""OpenSSL 3 puts this bit into the reasons that all libraries share; 1.1.1 numbers them anew."""
SYSTEM_LIBRARY = 2


@cache
def find_dialect(name: str) -> Dialect:
    """The dialect of one of NAMES."""
    if name == "native":
        return NATIVE
    return ReleaseDialect(
        json.loads(files(__package__).joinpath("dialect_tables", f"{name}.json").read_bytes())
    )


class ReleaseDialect:
    """One release, as its table describes it.

    `Packed code` is a number as that release packs it, `numbers` are (library, reason), where
    the reason of a system error is 0.
    """

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.name: str = table["release"]
        self.reference: str = table["beside"]
        """The release that it was compared with: the one linked then."""
        self._libraries: dict[int, str] = _by_number(table["libraries"])
        self._reasons: dict[int, dict[int, str]] = {
            n: _by_number(own) for n, own in _by_number(table["reasons"]).items()
        }
        self._common = {words: n for n, words in reversed(self._reasons[0].items())}
        self._functions: dict[int, dict[int, str]] = {
            n: _by_number(own) for n, own in _by_number(table["functions"]).items()
        }
        self._verify: dict[int, str] = _by_number(table["verify"])
        self._places: Mapping[str, Mapping[str, int]] = table["places"]
        self._queues: Mapping[str, Mapping[str, str]] = table["queues"]
        self.has_functions = bool(self._functions)
        self.needs_record_header = self.name.startswith("OpenSSL 3.5")

    # --- the dialect ---

    def format_errors(
        self, queue: Sequence[QueuedError], where: ErrorContext
    ) -> Sequence[FormattedError]:
        place = _place(where)
        if queue and self.needs_record_header and is_too_long(where.header):
            codes: Sequence[int] = TOO_LONG
        else:
            codes = self._substitute_queue(queue, place) or self.packed(
                queue, place, where.operation
            )
        return [self._format(code, where) for code in codes]

    def verify(self, result: int) -> str:
        return self._verify.get(result, "unknown certificate verification error")

    # --- which errors it queues ---

    def packed(self, queue: Iterable[QueuedError], place: str, operation: str) -> list[int]:
        """`queue` as this release packs it: an error that it has no words for is not queued by
        it, unless nothing else is told."""
        numbered = [self._numbered(error) for error in queue]
        known = [(library, n) for library, n in numbered if self.knows(library, n)]
        codes = (self._packed(library, n) for library, n in known or numbered)
        return [self._with_function(code, place, operation) for code in codes]

    def _numbered(self, error: QueuedError) -> tuple[int, int]:
        reason = error.reason_number
        if self.has_functions and not error.is_system and reason & COMMON:
            reason = self._common.get(error.reason, reason & 0xFFF)
        return error.library_number, reason

    def knows(self, library: int, reason: int) -> bool:
        """Whether it has words for that."""
        if library == SYSTEM_LIBRARY:
            return True
        return library in self._libraries and bool(self._words(library, reason))

    def words(self, code: int) -> str:
        """The reason of a packed code, `reason(1121)` for want of words."""
        library, reason = self._unpacked(code)
        return self._words(library, reason) or f"reason({reason})"

    def _words(self, library: int, reason: int) -> str:
        if library == SYSTEM_LIBRARY:
            return os.strerror(reason)
        own = self._reasons.get(library, {}).get(reason)
        return own or self._reasons[0].get(reason, "")

    def _substitute_queue(self, queue: Sequence[QueuedError], place: str) -> list[int]:
        by_place = self._queues.get(" ".join(f"{error.code:08X}" for error in queue))
        if by_place is None:
            return []
        return [int(code, 16) for code in by_place.get(place, by_place.get("", "")).split()]

    # --- codes ---

    def _packed(self, library: int, reason: int) -> int:
        if self.has_functions:
            return library << 24 | reason
        return 1 << 31 | reason if library == SYSTEM_LIBRARY else library << 23 | reason

    def _unpacked(self, code: int) -> tuple[int, int]:
        if self.has_functions:
            return code >> 24, code & 0xFFF
        if code >> 31:
            return SYSTEM_LIBRARY, code & 0x7FFFFFFF
        return code >> 23, code & 0x7FFFFF

    def numbers(self, code: int) -> tuple[int, int]:
        library, reason = self._unpacked(code)
        return library, 0 if library == SYSTEM_LIBRARY else reason

    def function_named(self, library: int, name: str) -> int:
        """0 where the library has no such function."""
        own = self._functions.get(library, {})
        return next((number for number, function in own.items() if function == name), 0)

    def function_number(self, code: int) -> int:
        return code >> 12 & 0xFFF if self.has_functions else 0

    def _with_function(self, code: int, place: str, operation: str) -> int:
        if not self.has_functions:
            return code
        library, reason = self.numbers(code)
        by_place = self._places.get(f"{library}:{reason}")
        if by_place is not None:
            number = by_place.get(place, by_place[""])
        else:
            # Nobody has provoked it: the function that was called, or where most is found.
            number = self.function_named(library, DEFAULT_FUNCTION.get(operation, operation))
        return code | number << 12

    # --- words ---

    def _format(self, code: int, where: ErrorContext) -> FormattedError:
        library, reason = self._unpacked(code)
        function = ""
        if self.has_functions:
            number = self.function_number(code)
            function = self._functions.get(library, {}).get(number, f"func({number})")
        name = self._libraries.get(library, f"lib({library})")
        text = f"error:{code:08X}:{name}:{function}:{self.words(code)}"
        # DATA is known by codes of OpenSSL 3.
        known = 1 << 31 | reason if library == SYSTEM_LIBRARY else library << 23 | reason
        if self.has_functions:
            text = with_data(text, known, _data_before_3_0(where.data), DATA_BEFORE_3_0)
        else:
            text = with_data(text, known, where.data, USUAL_DATA)
        return FormattedError(reason, text)


DEFAULT_FUNCTION = {
    "SSL_do_handshake": "state_machine",
    "SSL_read": "ssl3_read_bytes",
    "SSL_write": "ssl3_write_bytes",
}
"""Where 1.1.1 finds most of what goes wrong in an operation."""

DATA_BEFORE_3_0 = {0x0480006C: "Expecting: ANY PRIVATE KEY", 0x1400006B: "while reading strings"}
"""DATA that 1.1.1 always gives to these errors where nginx meets them."""

_FOPEN = "calling fopen("


def _data_before_3_0(data: Mapping[int, str]) -> dict[int, str]:
    return {
        code: f"fopen('{text[len(_FOPEN) : -len(', r)')]}','r')"
        if text.startswith(_FOPEN)
        else text
        for code, text in data.items()
    }


def _by_number(table: Mapping[str, Any]) -> dict[int, Any]:
    return {int(number): entry for number, entry in table.items()}


def _place(where: ErrorContext) -> str:
    return f"{where.side.value if where.side else 'start'} {where.operation}"


# 3.5 judges the length of a record before all else, also of what is no TLS record at all; 3.3
# and 4.0 look at its version first. So "HTTP/1.1 400 …" is a packet too long there.
MAX_RECORD = 16711
TOO_LONG = (LIB_SSL << 23 | 198, LIB_SSL << 23 | 313)
"""`packet length too long`, `record layer failure`."""


def is_too_long(header: bytes) -> bool:
    return len(header) == 5 and int.from_bytes(header[3:]) > MAX_RECORD
