"""Which server, which location: nginx's choices as pure functions of names and URIs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .config.directives.core import ServerName
from .config.model import Location, Server, iter_locations
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
        self._exact = {name: (server, None) for name, server in self._names.exact.items()}
        """The commonest case of `match`, without a further call."""
        # nginx makes no table of names for one server, unless its name has captures.
        self._choice = len(servers) > 1 or any(pattern.groups for pattern, _ in self._patterns)

    def find(self, host: str) -> Server:
        """The server for a name that is lower-case and has neither port nor trailing dot."""
        return self.match(host)[0]

    def match(self, host: str) -> tuple[Server, re.Match[str] | None]:
        """The server for a name, and the match of the regular expression that chose it."""
        found = self._exact.get(host)
        if found is not None:
            return found
        return self._named(host) or (self.default, None)

    def reason(self, host: str) -> ServerName | None:
        """The name by which `match` chooses a server for `host`; None for the default server."""
        server, match = self.match(host)
        if match is not None:
            return next(name for name in server.names if name.pattern is match.re)
        own: WildcardNames[ServerName] = WildcardNames()
        for name in server.names:
            if name.pattern is None:
                own.add(name.name, name)
        return own.find(host)

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


class LocationMatch(NamedTuple):
    """What a path leads to."""

    location: Location | None
    captures: re.Match[str] | None = None
    """Of the regular expression that chose the location."""
    add_slash: bool = False
    """The path lacks the slash at its end that a proxying location's name has: a redirect."""


@dataclass(frozen=True, slots=True)
class LocationSearch:
    """What a path leads to, and what else there was."""

    found: LocationMatch
    prefixes: tuple[Location, ...]
    """Longest prefixes of their levels, innermost first, that are not chosen."""
    outer: tuple[Location, ...]
    """Those that the chosen location is nested in, innermost first."""
    patterns: int
    """Regular expressions beside those prefixes."""


class _Level:
    """The locations of one level, by kind."""

    __slots__ = ("exact", "lengths", "nested", "patterns", "prefixes", "redirected")

    def __init__(self, locations: Iterable[Location], *, patterns_only: bool) -> None:
        self.exact: dict[str, Location] = {}
        self.prefixes: dict[str, Location] = {}
        self.patterns: list[tuple[re.Pattern[str], Location]] = []
        self.nested: dict[Location, _Level] = {}
        for location in locations:
            name = location.name
            if name.pattern is not None:
                self.patterns.append((name.pattern, location))
            elif patterns_only:
                continue
            elif name.modifier == "=":
                self.exact[name.name] = location
            elif name.modifier != "@":
                self.prefixes[name.name] = location
        self.lengths = sorted({len(name) for name in self.prefixes}, reverse=True)
        self.redirected = {
            name.removesuffix("/"): location
            for locations in (self.prefixes, self.exact)  # an exact one has precedence
            for name, location in locations.items()
            if name.endswith("/")
            and location.proxy.proxy_pass is not None
            and name.removesuffix("/") not in self.prefixes
        }
        """Proxying locations, by their names without the slash at the end: such a path gets a
        redirect."""

    def all(self) -> tuple[Location, ...]:
        patterns = [location for _, location in self.patterns]
        return (*self.exact.values(), *self.prefixes.values(), *patterns)

    def longest_prefix(self, path: str) -> Location | None:
        for length in self.lengths:
            location = self.prefixes.get(path[:length])
            if location is not None and length <= len(path):
                return location
        return None

    def matching(self, path: str) -> LocationMatch | None:
        """The first regular expression that matches, and what is nested in it."""
        found: LocationMatch | None = None
        level: _Level | None = self
        while level is not None:
            for pattern, location in level.patterns:
                match = pattern.search(path)
                if match is not None:
                    found = LocationMatch(location, match)
                    level = level.nested.get(location)
                    break
            else:
                break
        return found


class Locations:
    """The locations of a server, searched as nginx does. They may be nested to any depth."""

    def __init__(self, locations: Iterable[Location]) -> None:
        self._outermost = _Level(locations, patterns_only=False)
        waiting = [self._outermost]
        while waiting:
            level = waiting.pop()
            for location in level.all():
                if location.locations:
                    # nginx looks at nothing else inside of a regular expression's.
                    patterns_only = location.name.pattern is not None
                    nested = _Level(location.locations, patterns_only=patterns_only)
                    level.nested[location] = nested
                    waiting.append(nested)

        self._is_flat = not (self._outermost.nested or self._outermost.patterns)
        """Whether there are exact names and prefixes only, none of them nested."""
        self._found: dict[Location | None, LocationMatch] = {
            location: LocationMatch(location)
            for location in (None, *self._outermost.prefixes.values())
        }

    def explain(self, path: str) -> LocationSearch:
        """`find` with what it has passed by."""
        passed: list[tuple[_Level, Location | None]] = []
        found = self.find(path, passed)
        outer = dict.fromkeys(self._outer(found.location))
        prefixes = [prefix for _, prefix in reversed(passed) if prefix is not None]
        return LocationSearch(
            found,
            tuple(one for one in prefixes if one is not found.location and one not in outer),
            tuple(outer),
            sum(len(level.patterns) for level, _ in passed),
        )

    def _outer(self, location: Location | None) -> Iterator[Location]:
        """Those that a location is nested in, innermost first."""
        around = {
            nested: one
            for outermost in self._outermost.all()
            for one in iter_locations(outermost)
            for nested in one.locations
        }
        while location in around:
            location = around[location]
            yield location

    def find(
        self, path: str, passed: list[tuple[_Level, Location | None]] | None = None
    ) -> LocationMatch:
        """The location for a normalised path; `passed` is told the levels and their prefixes.

        An exact one ends the search. Else the longest prefix counts, and what is nested in it
        beats it; then come regular expressions, innermost first, unless that prefix is `^~`.
        """
        if passed is None:
            if self._is_flat and path not in self._outermost.exact:
                prefix = self._outermost.longest_prefix(path)
                if path not in self._outermost.redirected:
                    return self._found[prefix]
            passed = []
        level: _Level | None = self._outermost
        while level is not None:
            exact = level.exact.get(path)
            if exact is not None:
                return LocationMatch(exact)
            prefix = level.longest_prefix(path)
            slashed = level.redirected.get(path)
            if slashed is not None:
                return LocationMatch(slashed, add_slash=True)
            passed.append((level, prefix))
            level = level.nested.get(prefix) if prefix is not None else None
        best: Location | None = None
        for level, prefix in reversed(passed):
            best = best or prefix
            if level.patterns and (prefix is None or prefix.name.modifier != "^~"):
                found = level.matching(path)
                if found is not None:
                    return found
        return LocationMatch(best)
