"""Values by name, where names may have wildcards: nginx's combined hash, for `map` and servers."""

from __future__ import annotations

from typing import Generic, TypeVar

Value = TypeVar("Value")


class WildcardNames(Generic[Value]):
    """Exact names first, then the longest `*.suffix` (or `.suffix`), then the longest `prefix.*`.

    Of two values for one name the first counts. Names are lower-case here.
    """

    __slots__ = ("_prefixes", "_suffixes", "exact")

    def __init__(self) -> None:
        self.exact: dict[str, Value] = {}
        self._suffixes: dict[str, Value] = {}
        self._prefixes: dict[str, Value] = {}

    def add(self, name: str, value: Value) -> None:
        """Add a name, its wildcard in front or behind included."""
        if name.startswith("*."):
            self._suffixes.setdefault(name[1:], value)
        elif len(name) > 1 and name.startswith("."):
            self.exact.setdefault(name[1:], value)
            self._suffixes.setdefault(name, value)
        elif name.endswith(".*"):
            self._prefixes.setdefault(name[:-1], value)
        else:
            self.exact.setdefault(name, value)

    def add_exact(self, name: str, value: Value) -> None:
        """Add a name as it is, stars and all."""
        self.exact.setdefault(name, value)

    def find(self, name: str) -> Value | None:
        """The value for a name without wildcards, None where it has none."""
        found = self.exact.get(name)
        if found is not None:
            return found
        if not self._suffixes and not self._prefixes:
            return None
        dots = [position for position, char in enumerate(name) if char == "."]
        for dot in dots if self._suffixes else ():
            if name[dot:] in self._suffixes:
                return self._suffixes[name[dot:]]
        for dot in reversed(dots) if self._prefixes else ():
            if name[: dot + 1] in self._prefixes:
                return self._prefixes[name[: dot + 1]]
        return None


def wildcard_kind(name: str) -> tuple[str, str] | None:
    """How a name is kept, and its part without the wildcard; None where it is no name.

    `exact`, `head` (`*.name`), `tail` (`name.*`), or `dotted` (`.name`): exact and head at once.
    """
    if ".." in name or "\0" in name or name.count("*") > 1:
        return None
    if len(name) > 1 and name.startswith("."):
        return "dotted", name[1:]
    if len(name) > 2 and name.startswith("*."):
        return "head", name[2:]
    if len(name) > 2 and name.endswith(".*"):
        return "tail", name[:-2]
    return None if "*" in name else ("exact", name)
