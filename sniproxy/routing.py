"""Which server, which location: nginx's choices as pure functions of names and URIs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .config.model import Location, Server
from .config.wildcards import WildcardNames


class ServerNames:
    """The servers of one listening address, found by name.

    Exact names first, then the longest `*.suffix` (or `.suffix`), the longest `prefix.*`, the
    first regular expression in file order, else the default server (`server_name`).
    """

    def __init__(self, servers: Sequence[Server], default: Server) -> None:
        self.default = default
        self.servers = tuple(servers)
        self._names: WildcardNames[Server] = WildcardNames()
        self._patterns: list[tuple[re.Pattern[str], Server]] = []
        for server in servers:
            for name in server.names:
                if name.pattern is not None:
                    self._patterns.append((name.pattern, server))
                else:
                    self._names.add(name.name, server)
        # nginx makes no table of names for one server, unless its name has captures.
        self._choice = len(servers) > 1 or any(pattern.groups for pattern, _ in self._patterns)

    def find(self, host: str) -> Server:
        """The server for a name that is lower-case and has neither port nor trailing dot."""
        return self.match(host)[0]

    def match(self, host: str) -> tuple[Server, re.Match[str] | None]:
        """The server for a name, and the match of the regular expression that chose it."""
        return self._named(host) or (self.default, None)

    def negotiated(self, server_name: str) -> Server | None:
        """The server that has an SNI among its names; None as well where there is no choice."""
        found = self._named(server_name) if self._choice else None
        return None if found is None else found[0]

    def _named(self, host: str) -> tuple[Server, re.Match[str] | None] | None:
        found = self._names.find(host)
        if found is not None:
            return found, None
        for pattern, server in self._patterns if host else ():
            match = pattern.search(host)
            if match is not None:
                return server, match
        return None


@dataclass(frozen=True, slots=True)
class Found:
    """What a path leads to."""

    location: Location | None
    captures: re.Match[str] | None = None
    """Of the regular expression that chose the location."""
    add_slash: bool = False
    """The path lacks the slash at its end that a proxying location's name has: a redirect."""


class Locations:
    """The locations of one level, searched as nginx does."""

    def __init__(self, locations: Iterable[Location], *, patterns_only: bool = False) -> None:
        """`patterns_only`: nginx looks at no other locations inside a regular expression's."""
        self._exact: dict[str, Location] = {}
        self._prefixes: dict[str, Location] = {}
        self._patterns: list[tuple[re.Pattern[str], Location]] = []
        self._nested: dict[Location, Locations] = {}
        for location in locations:
            name = location.name
            if name.pattern is not None:
                self._patterns.append((name.pattern, location))
            elif patterns_only:
                continue
            elif name.modifier == "=":
                self._exact[name.name] = location
            elif name.modifier != "@":
                self._prefixes[name.name] = location
            if location.locations:
                self._nested[location] = Locations(
                    location.locations, patterns_only=name.pattern is not None
                )
        self._lengths = sorted({len(name) for name in self._prefixes}, reverse=True)

    def find(self, path: str) -> Found:
        """The location for a normalised path.

        An exact one ends the search. Else the longest prefix counts, and what is nested in it
        beats it; then come regular expressions, unless that prefix is `^~`.
        """
        exact = self._exact.get(path)
        if exact is not None:
            return Found(exact)
        prefix = self._longest_prefix(path)
        slashed = self._lacking_slash(path)
        if slashed is not None:
            return Found(slashed, add_slash=True)
        found = Found(prefix)
        if prefix is not None and prefix in self._nested:
            nested = self._nested[prefix].find(path)
            if nested.add_slash or nested.captures is not None:
                return nested
            if nested.location is not None:
                if nested.location.name.modifier == "=":
                    return nested
                found = nested
        if prefix is None or prefix.name.modifier != "^~":
            for pattern, location in self._patterns:
                match = pattern.search(path)
                if match is not None:
                    return self._inside(location, path, match)
        return found

    def _longest_prefix(self, path: str) -> Location | None:
        for length in self._lengths:
            location = self._prefixes.get(path[:length])
            if location is not None and length <= len(path):
                return location
        return None

    def _lacking_slash(self, path: str) -> Location | None:
        """The proxying location that `path` would lead to with a slash at its end."""
        if path in self._prefixes:
            return None
        for locations in (self._exact, self._prefixes):
            location = locations.get(path + "/")
            if location is not None and location.proxy.proxy_pass is not None:
                return location
        return None

    def _inside(self, location: Location, path: str, match: re.Match[str]) -> Found:
        nested = self._nested.get(location)
        if nested is not None:
            found = nested.find(path)
            if found.location is not None:
                return found
        return Found(location, match)
