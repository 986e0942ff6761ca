"""The settings of all modules that pass requests to upstreams, as one value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self, cast

from .gateways import FastCGISettings, SCGISettings, UwsgiSettings
from .grpc import GrpcSettings
from .memcached import MemcachedSettings
from .proxy import ProxySettings
from .upstream_settings import UpstreamSettings

UPSTREAM_MODULES: tuple[type[UpstreamSettings], ...] = (
    ProxySettings,
    FastCGISettings,
    UwsgiSettings,
    SCGISettings,
    MemcachedSettings,
    GrpcSettings,
)
"""The classes of the fields of `UpstreamModules`, in their order, which is nginx's."""

PASSES = tuple(f"{module.PREFIX}pass" for module in UPSTREAM_MODULES)
"""The directives that make the content of a location by passing requests."""


@dataclass(frozen=True, slots=True)
class UpstreamModules:
    """The settings of a location, by module."""

    proxy: ProxySettings
    fastcgi: FastCGISettings
    uwsgi: UwsgiSettings
    scgi: SCGISettings
    memcached: MemcachedSettings
    grpc: GrpcSettings

    @classmethod
    def resolve(cls, *levels: Mapping[str, Any]) -> Self:
        """Merge the values of `levels`, given innermost first."""
        return cls(*[cast(Any, module.resolve(*levels)) for module in UPSTREAM_MODULES])

    def below(self, level: Mapping[str, Any], location: str) -> Self:
        """The settings of a nested level, of the location called `location`."""
        present = [name for name, value in level.items() if name in PASSES and value is not None]
        # As in nginx, the last of them makes the content.
        ignored = present[:-1]
        if ignored:
            level = {name: value for name, value in level.items() if name not in ignored}
        merged = type(self)(*[cast(Any, part.merge(level)) for part in self])
        return replace(merged, proxy=merged.proxy.bind_location(location))

    def __iter__(self) -> Iterator[UpstreamSettings]:
        return (getattr(self, part.name) for part in fields(self))

    @property
    def active(self) -> UpstreamSettings | None:
        """The settings of the module that passes the requests of the location, if one does."""
        return next((part for part in self if part.target is not None), None)

    @property
    def targets(self) -> dict[str, Any]:
        """The values of the directives that pass requests, for a block that inherits them."""
        return {
            name: part.target
            for name, part in zip(PASSES, self, strict=True)
            if part.target is not None
        }
