"""A map whose keys may be wildcard host names (nginx's combined hash): `map`, `server_name`."""

from __future__ import annotations

from typing import Generic, TypeVar

Value = TypeVar("Value")


class WildcardNames(Generic[Value]):
    """Prefers exact names, then the longest `*.suffix` or `.suffix`, then the longest `prefix.*`.

    If a name is added twice the first value is kept. Names are lower-case.
    """

    __slots__ = ("_prefixes", "_suffixes", "exact")

    def __init__(self) -> None:
        self.exact: dict[str, Value] = {}
        self._suffixes: dict[str, Value] = {}
        self._prefixes: dict[str, Value] = {}

    def add(self, name: str, value: Value) -> None:
        """Add a name that may have a wildcard."""
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
        """Add a name literally, even if it contains `*`."""
        self.exact.setdefault(name, value)

    def find(self, name: str) -> Value | None:
        """Look up a name; None if nothing matches."""
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
    """Classify a name and strip its wildcard; None if the wildcard is invalid.

    Kinds: `exact`, `head` (`*.name`), `tail` (`name.*`), `dotted` (`.name`: both exact and head).
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
