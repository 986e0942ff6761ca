"""Create the upstreams of `upstream {}` blocks and of `proxy_pass`, and resolve their hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..config.addresses import Address
from ..config.blocks import UpstreamBlock
from ..config.directives.core import CoreLocation
from ..config.directives.resolver import ResolverSettings
from ..config.directives.upstream import PeerSettings
from ..config.directives.upstream_target import ProxyPass
from ..config.tree import Place
from ..models import ConfigError
from ..template import VariableLookup
from ..upstream.dynamic import DynamicUpstream
from ..upstream.dynamic_grpc import GrpcUpstream
from ..upstream.pool import IdleMonitor
from ..upstream.selector import Upstream, peer_name
from ..variables import lookup
from .groups import GroupStore, peers_of
from .hosts import resolve_host

if TYPE_CHECKING:
    from ..config.directives.stream_core import StreamCore
    from ..upstream.resolver import Resolver


class UpstreamRegistry:
    """All upstreams of a configuration; locations with the same upstream share its peers."""

    def __init__(
        self,
        groups: Mapping[str, UpstreamBlock],
        next_connection_id: Callable[[], int],
        idle_monitor: IdleMonitor,
        previous: GroupStore | None = None,
        lookup: Callable[[Any], VariableLookup] = lookup,
    ) -> None:
        """`previous` is the groups that were served before; `lookup` returns the function that
        evaluates variables for a request or session. Raises `ConfigError`."""
        self._next_connection_id = next_connection_id
        self._implicit: dict[tuple[str, int], Upstream] = {}
        self._resolvers: dict[ResolverSettings, Resolver] = {}
        self.groups = GroupStore(
            groups, next_connection_id, idle_monitor, self.resolver, previous, lookup
        )
        self._groups = self.groups.upstreams

    def of(self, target: ProxyPass) -> Upstream:
        """The upstream of a `proxy_pass` without variables; raises `ConfigError`."""
        address = target.address
        assert address is not None
        group = self._groups.get(address.host.lower())
        if group is not None:
            return group
        key = (address.host.lower(), address.port)
        if key not in self._implicit:
            place = Place(target.file, target.line)
            if not (address.port or address.is_unix):
                raise ConfigError(
                    f'no port in upstream "{address.host}" in {target.file}:{target.line}'
                )
            settings = PeerSettings(address)
            peers = peers_of(settings, address.host, place)
            self._implicit[key] = Upstream(
                address.name, peers, next_connection_id=self._next_connection_id
            )
        return self._implicit[key]

    def find(self, address: Address) -> Upstream | None:
        """The upstream that a `proxy_pass` with variables refers to by name, if there is one."""
        host = address.host.lower()
        group = None if address.explicit_port else self._groups.get(host)
        return group or self._implicit.get((host, address.port))

    def dynamic(self, target: ProxyPass, core: CoreLocation | StreamCore) -> DynamicUpstream:
        """The upstreams of a `proxy_pass` with variables; raises `ConfigError`."""
        settings = core.resolver
        resolver = None if settings is None else self.resolver(settings)
        kind = GrpcUpstream if target.scheme == "grpc" else DynamicUpstream
        return kind(target, self.find, resolver, core.resolver_timeout, self._next_connection_id)

    @property
    def resolvers(self) -> tuple[Resolver, ...]:
        """All resolvers in use."""
        return tuple(self._resolvers.values())

    def resolver(self, settings: ResolverSettings) -> Resolver:
        """The resolver of a `resolver` directive."""
        from ..upstream.resolver import DNSServer, Resolver

        if settings not in self._resolvers:
            servers = [
                DNSServer(family, sockaddr, peer_name(sockaddr))
                for server in settings.servers
                for family, sockaddr in resolve_host(server, server.url, settings.place, "resolver")
            ]
            self._resolvers[settings] = Resolver(settings, servers)
        return self._resolvers[settings]


def find_name_servers(resolvers: Iterable[ResolverSettings]) -> None:
    """Look up the host names of name servers, in use or not; raises `ConfigError`."""
    for settings in resolvers:
        for server in settings.servers:
            resolve_host(server, server.url, settings.place, "resolver")
