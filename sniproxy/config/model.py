"""The frozen configuration model: settings merged down nginx's levels; no file opened yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .blocks import NOWHERE, NamedServer, UpstreamBlock
from .directives.access import Access
from .directives.cache import CachePath
from .directives.core import CoreLocation, CoreServer, LocationName
from .directives.files import Files
from .directives.filters import FilterSettings
from .directives.gzip import Gzip
from .directives.headers import Headers
from .directives.http2 import Http2
from .directives.limits import ConnectionLimits, LimitZone, RequestLimits
from .directives.log import ErrorLogDirective, Log, LogFormat
from .directives.main import Events, Main
from .directives.maps import MapVariable
from .directives.proxy import ProxySettings
from .directives.real_ip import RealIP
from .directives.resolver import ResolverSettings
from .directives.rewrite import Condition, Rewrite, RewriteStatement
from .directives.ssl import Ssl
from .directives.upstream_modules import UpstreamModules
from .tree import Place

if TYPE_CHECKING:  # imported if there is a `stream {}`
    from .stream_model import Stream


@dataclass(frozen=True, slots=True, eq=False)
class If(RewriteStatement):
    """`if (CONDITION) { … }`; the settings inside form a location of their own."""

    condition: Condition
    location: Location


@dataclass(frozen=True, slots=True, eq=False)
class LimitExcept:
    """`limit_except METHOD … { … }`; the settings inside form a location of their own."""

    methods: frozenset[str]
    """The methods that are not limited."""
    location: Location


@dataclass(frozen=True, slots=True, eq=False)
class Location:
    """A location, or (without a name) the settings of a server outside all locations."""

    name: LocationName
    core: CoreLocation
    log: Log
    upstreams: UpstreamModules
    """The settings of the modules that pass requests."""
    rewrite: Rewrite
    files: Files
    headers: Headers | None
    """None if no header fields are added."""
    access: Access
    request_limits: RequestLimits
    connection_limits: ConnectionLimits
    real_ip: RealIP
    gzip: Gzip
    filters: FilterSettings
    missing_content: str
    """The directive, left out since sniproxy lacks it, that would have made the content; or ""."""
    limit_except: LimitExcept | None
    """Settings that replace these for some methods."""
    locations: tuple[Location, ...]
    """Nested locations in file order."""
    place: Place

    @property
    def proxy(self) -> ProxySettings:
        return self.upstreams.proxy

    def with_proxy(self, proxy: ProxySettings) -> Location:
        """The same location with other settings of the proxy module."""
        return replace(self, upstreams=replace(self.upstreams, proxy=proxy))

    @property
    def conditional(self) -> tuple[Location, ...]:
        """The locations made from `if` and `limit_except` blocks."""
        inside = [one.location for one in self.rewrite.statements if isinstance(one, If)]
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
class Server(NamedServer):
    """A `server {}` block of `http {}`."""

    core: CoreServer
    ssl: Ssl
    http2: Http2
    default_location: Location
    """Settings for requests that match no location; its `locations` are the server's locations."""
    place: Place
    prefix: str = ""
    """Directory that file names are relative to."""
    map_variables: Mapping[str, MapVariable] = field(default_factory=dict)
    """Variables defined by `map`, `geo` and `split_clients`, by lower-case name."""
    set_variables: Set[str] = frozenset()
    """Variables of `set`, by lower-case name."""

    @property
    def offers_http2(self) -> bool:
        return self.http2.http2


@dataclass(frozen=True, slots=True, eq=False)
class Http:
    """The `http {}` block."""

    servers: tuple[Server, ...]
    groups: Mapping[str, UpstreamBlock]
    """By lower-case name."""
    log_formats: Mapping[str, LogFormat]
    cache_paths: tuple[CachePath, ...] = ()
    limit_req_zones: tuple[LimitZone, ...] = ()
    limit_conn_zones: tuple[LimitZone, ...] = ()
    variables: frozenset[str] = frozenset()
    """Names of all variables that are used anywhere."""
    resolvers: tuple[ResolverSettings, ...] = ()
    """All statements of `resolver`, whether in use or not."""
    end: Place = NOWHERE
    """The closing brace: nginx reports it for errors that concern the block as a whole."""


@dataclass(frozen=True, slots=True, eq=False)
class Config:
    """A complete configuration."""

    file: str
    main: Main
    events: Events
    error_log: tuple[ErrorLogDirective, ...]
    """The main level's; empty if there is none."""
    http: Http | None
    sources: tuple[tuple[str, str], ...]
    """Names and texts of all files that were read, for `-T`."""
    include_masks: tuple[str, ...] = ()
    """The names with wildcards of `include`, whose files may become more."""
    warnings: tuple[str, ...] = ()
    """Messages of level `warn`, with file and line."""
    notices: tuple[str, ...] = ()
    """Messages of level `notice`."""
    stream: Stream | None = None
