"""The frozen configuration: what was said, merged down nginx's levels, nothing opened yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .directives.access import Access
from .directives.core import CoreLocation, CoreServer, LocationName, ServerName
from .directives.files import Files
from .directives.headers import Headers
from .directives.log import ErrorLogDirective, Log, LogFormat
from .directives.main import Events, Main
from .directives.maps import MapVariable
from .directives.proxy import Proxy
from .directives.rewrite import If, Rewrite
from .directives.ssl import Ssl
from .directives.upstream import UpstreamGroup
from .tree import Place

NOWHERE = Place("", 0)


@dataclass(frozen=True, slots=True, eq=False)
class LimitExcept:
    """`limit_except METHOD … { … }`: what stands inside is a location of its own."""

    methods: frozenset[str]
    """Those that it is not for."""
    location: Location


@dataclass(frozen=True, slots=True, eq=False)
class Location:
    """One location, or (without a name) what a server says outside of any."""

    name: LocationName
    core: CoreLocation
    log: Log
    proxy: Proxy
    rewrite: Rewrite
    files: Files
    headers: Headers | None
    """None where nothing is added."""
    access: Access
    limit_except: LimitExcept | None
    """What counts for some methods instead."""
    locations: tuple[Location, ...]
    """Nested ones, in file order."""
    place: Place

    @property
    def conditional(self) -> tuple[Location, ...]:
        """Those inside an `if` or a `limit_except` here."""
        inside = [said.location for said in self.rewrite.statements if isinstance(said, If)]
        if self.limit_except is not None:
            inside.append(self.limit_except.location)
        return tuple(inside)


def iter_locations(location: Location) -> Iterator[Location]:
    """`location` itself and every location nested in it, depth first in file order.

    The bodies of `if` and `limit_except` count as nested locations.
    """
    stack = [location]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(reversed((*current.conditional, *current.locations)))


@dataclass(frozen=True, slots=True, eq=False)
class Server:
    """One `server {}`."""

    core: CoreServer
    ssl: Ssl
    outside: Location
    """The settings for requests that no location matches; its `locations` are the server's."""
    place: Place
    prefix: str = ""
    """Where relative names of files start from."""
    map_variables: Mapping[str, MapVariable] = field(default_factory=dict)
    """The variables that tables define, by lower-cased name."""

    @property
    def names(self) -> tuple[ServerName, ...]:
        """Every `server_name`; a server without one answers to the empty name."""
        return tuple(n for said in self.core.server_name for n in said) or (ServerName(""),)

    @property
    def name(self) -> str:
        """The first `server_name` as log lines and `$server_name` show it."""
        first = self.names[0]
        return first.name.removeprefix(".") if first.pattern is None else f"~{first.name}"


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """One `upstream NAME {}`."""

    name: str
    settings: UpstreamGroup
    place: Place


@dataclass(frozen=True, slots=True, eq=False)
class Http:
    """The `http {}` block."""

    servers: tuple[Server, ...]
    groups: Mapping[str, Group]
    """By lower-cased name."""
    log_formats: Mapping[str, LogFormat]
    variables: frozenset[str] = frozenset()
    """All that are used somewhere."""
    end: Place = NOWHERE
    """The closing brace, which nginx names where only the whole tells."""


@dataclass(frozen=True, slots=True, eq=False)
class Config:
    """A whole configuration."""

    file: str
    main: Main
    events: Events
    error_log: tuple[ErrorLogDirective, ...]
    """Of the main level; empty where it says nothing."""
    http: Http | None
    sources: tuple[tuple[str, str], ...]
    """Every file that was read with its text, for `-T`."""
    warnings: tuple[str, ...] = ()
    """What nginx would say at `[warn]`, with its place."""
