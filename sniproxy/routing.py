"""Selection of virtual servers by name and locations by URI, as in nginx (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

from .config.directives.core import ServerName
from .config.model import Location, iter_locations
from .config.wildcards import WildcardNames


class _WithNames(Protocol):
    """A virtual server."""

    @property
    def names(self) -> tuple[ServerName, ...]: ...


NamedT = TypeVar("NamedT", bound=_WithNames)


class ServerNames(Generic[NamedT]):
    """The virtual servers of a listening address, searched by name.

    Exact names first, then the longest `*.suffix` (or `.suffix`), the longest `prefix.*`, the
    first regular expression in file order, else the default server (`server_name`).
    """

    def __init__(self, servers: Sequence[NamedT], default: NamedT) -> None:
        self.default = default
        self.servers = tuple(servers)
        self._names: WildcardNames[NamedT] = WildcardNames()
        self._patterns: list[tuple[re.Pattern[str], NamedT]] = []
        for server in servers:
            for name in server.names:
                if name.pattern is not None:
                    self._patterns.append((name.pattern, server))
                else:
                    self._names.add(name.name, server)
        self._exact = {name: (server, None) for name, server in self._names.exact.items()}
        """Results of `match` for exact names, the most frequent case."""
        # nginx builds no table of names for a single server, unless its name has captures.
        self._choice = len(servers) > 1 or any(pattern.groups for pattern, _ in self._patterns)

    def find(self, host: str) -> NamedT:
        """The server for a name in lower case, without port and trailing dot."""
        return self.match(host)[0]

    def match(self, host: str) -> tuple[NamedT, re.Match[str] | None]:
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

    def negotiated(self, server_name: str) -> NamedT | None:
        """The server that has the SNI among its names; None also if there is only one server."""
        found = self.negotiated_match(server_name)
        return None if found is None else found[0]

    def negotiated_match(self, server_name: str) -> tuple[NamedT, re.Match[str] | None] | None:
        """As `negotiated`, with the match of the regular expression that chose the server."""
        return self._named(server_name) if self._choice else None

    def _named(self, host: str) -> tuple[NamedT, re.Match[str] | None] | None:
        found = self._names.find(host)
        if found is not None:
            return found, None
        for pattern, server in self._patterns if host else ():
            match = pattern.search(host)
            if match is not None:
                return server, match
        return None


class LocationMatch(NamedTuple):
    """Result of a location search."""

    location: Location | None
    captures: re.Match[str] | None = None
    """Match of the regular expression that selected the location."""
    add_slash: bool = False
    """Whether to redirect to the path with a trailing slash (nginx's `auto_redirect`)."""


@dataclass(frozen=True, slots=True)
class LocationSearch:
    """Result of a location search, with the alternatives that were considered."""

    found: LocationMatch
    prefixes: tuple[Location, ...]
    """The longest matching prefix of each level that was not selected, innermost first."""
    outer: tuple[Location, ...]
    """The locations that contain the selected one, innermost first."""
    patterns: int
    """Number of regular expressions on the levels searched."""


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
            for locations in (self.prefixes, self.exact)  # exact names take precedence
            for name, location in locations.items()
            if name.endswith("/")
            and location.upstreams.active is not None
            and name.removesuffix("/") not in self.prefixes
        }
        """Proxying locations by name without trailing slash: requests for these paths are
        redirected."""

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
        """Search the regular expressions; a match is searched for nested locations."""
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
    """The locations of a virtual server, which may be nested; searched as in nginx."""

    def __init__(self, locations: Iterable[Location]) -> None:
        self._outermost = _Level(locations, patterns_only=False)
        waiting = [self._outermost]
        while waiting:
            level = waiting.pop()
            for location in level.all():
                if location.locations:
                    # nginx searches only these inside a location with a regular expression.
                    patterns_only = location.name.pattern is not None
                    nested = _Level(location.locations, patterns_only=patterns_only)
                    level.nested[location] = nested
                    waiting.append(nested)

        self._is_flat = not (self._outermost.nested or self._outermost.patterns)
        """Whether all locations are exact names or prefixes without nested locations."""
        self._found: dict[Location | None, LocationMatch] = {
            location: LocationMatch(location)
            for location in (None, *self._outermost.prefixes.values())
        }

    def explain(self, path: str) -> LocationSearch:
        """Like `find`, but also return the locations that were considered."""
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
        """The locations that contain `location`, innermost first."""
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
        """The location for a normalized path; the levels searched are added to `passed`.

        An exact name ends the search. Otherwise the longest prefix is remembered, and its nested
        locations are searched; then regular expressions are tried, innermost first, unless the
        prefix is `^~`.
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
