"""The frozen model of a `stream {}`, built from the tree of its blocks."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from .blocks import NOWHERE, NamedServer, UpstreamBlock, upstream_block
from .directives.limits import LimitZone
from .directives.log import LogFormat
from .directives.maps import MapVariable
from .directives.resolver import ResolverSettings
from .directives.stream_core import (
    StreamAccess,
    StreamConnectionLimits,
    StreamContent,
    StreamCore,
    StreamLog,
    StreamRealIP,
    StreamSsl,
)
from .directives.stream_proxy import StreamProxySettings
from .directives.stream_upstream import StreamGroup
from .directives.upstream_target import ProxyPass
from .reader import Block
from .stream_checks import StreamChecks
from .tree import Place

Level = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class StreamServer(NamedServer):
    """A `server {}` block of `stream {}`."""

    core: StreamCore
    ssl: StreamSsl
    proxy: StreamProxySettings
    access: StreamAccess
    connection_limits: StreamConnectionLimits
    real_ip: StreamRealIP
    content: StreamContent
    log: StreamLog
    place: Place
    prefix: str = ""
    """Directory that file names are relative to."""
    map_variables: Mapping[str, MapVariable] = field(default_factory=dict)
    """Variables defined by `map`, `geo` and `split_clients`, by lower-case name."""
    set_variables: Set[str] = frozenset()
    """Variables of `set`, by lower-case name."""

    @property
    def target(self) -> ProxyPass | None:
        """The `proxy_pass`, if it makes the content."""
        content = self.content.content
        return content if isinstance(content, ProxyPass) else None


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """The `stream {}` block."""

    servers: tuple[StreamServer, ...]
    groups: Mapping[str, UpstreamBlock]
    """By lower-case name."""
    log_formats: Mapping[str, LogFormat]
    limit_conn_zones: tuple[LimitZone, ...] = ()
    variables: frozenset[str] = frozenset()
    """Names of all variables that are used anywhere."""
    resolvers: tuple[ResolverSettings, ...] = ()
    """All statements of `resolver`, whether in use or not."""
    end: Place = NOWHERE
    """The closing brace: nginx reports it for errors that concern the block as a whole."""


def stream_model(stream: Block, main: Level, checks: StreamChecks, prefix: str) -> Stream:
    """Build the model of a `stream {}` block."""
    return Stream(
        servers=tuple(
            _server(block, stream.values, main, prefix, checks) for block in stream.named("server")
        ),
        groups={
            block.value[0].lower(): upstream_block(block, StreamGroup, stream.values)
            for block in stream.named("upstream")
        },
        log_formats=checks.log_formats,
        limit_conn_zones=stream.values.get("limit_conn_zone", ()),
        variables=frozenset(checks.variables),
        resolvers=tuple(checks.resolvers),
        end=stream.end,
    )


def _server(
    block: Block, stream: Level, main: Level, prefix: str, checks: StreamChecks
) -> StreamServer:
    levels = (block.values, stream)
    return StreamServer(
        StreamCore.resolve(*levels),
        StreamSsl.resolve(*levels),
        StreamProxySettings.resolve(*levels),
        StreamAccess.resolve(*levels),
        StreamConnectionLimits.resolve(*levels),
        StreamRealIP.resolve(*levels),
        StreamContent.resolve(block.values),
        StreamLog.resolve(*levels, main),
        block.place,
        prefix,
        checks.map_variables,
        checks.set_variables,
    )
