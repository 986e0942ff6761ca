"""Patterns that need the real PCRE2, by the optional package `pcre2` (`sniproxy[pcre]`).

The classes have what is used of `re.Pattern` and `re.Match`. nginx matches bytes, without UTF-8, so
text is encoded here with one byte per character.
"""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any, cast

_AT = re.compile(r"compilation failed at position \d+; ")


class PcreError(Exception):
    """PCRE2 rejects the pattern: its message, and the offset."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


def find_pcre() -> ModuleType | None:
    """The package, or None if it is not installed."""
    try:
        import pcre2
    except ImportError:
        return None
    return cast(ModuleType, pcre2)


class PcreMatch:
    """A match of a `PcrePattern` (`re.Match`)."""

    __slots__ = ("_match", "re")

    def __init__(self, pattern: PcrePattern, match: Any) -> None:
        self.re = pattern
        self._match = match

    def __getitem__(self, group: int) -> str | None:
        return _decoded(self._match[group])

    def groupdict(self) -> dict[str, str | None]:
        return {name: _decoded(value) for name, value in self._match.groupdict().items()}

    def start(self) -> int:
        return int(self._match.start())

    def end(self) -> int:
        return int(self._match.end())


class PcrePattern:
    """A pattern compiled by PCRE2 (`re.Pattern`)."""

    __slots__ = ("_error", "_pattern", "groupindex", "groups", "pattern")

    def __init__(self, package: ModuleType, pattern: str, *, caseless: bool) -> None:
        """Raises `PcreError`."""
        self.pattern = pattern
        self._error = package.LibraryError
        flags = package.IGNORECASE if caseless else 0
        try:
            self._pattern = package.compile(pattern.encode("latin-1"), flags)
        except package.PatternError as error:
            raise PcreError(_AT.sub("", str(error)), int(error.pos)) from None
        self.groups = int(self._pattern.groups)
        self.groupindex: dict[str, int] = dict(self._pattern.groupindex)

    def search(self, text: str) -> PcreMatch | None:
        """The first match; None also if PCRE2 gives up, as at its limit of steps."""
        try:
            match = self._pattern.search(text.encode("latin-1"))
        except self._error:
            return None
        return None if match is None else PcreMatch(self, match)


def _decoded(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def compile_pcre(pattern: str, *, caseless: bool) -> re.Pattern[str] | None:
    """Compile a pattern; None if the package is not installed. Raises `PcreError`."""
    package = find_pcre()
    if package is None:
        return None
    return cast("re.Pattern[str]", PcrePattern(package, pattern, caseless=caseless))
