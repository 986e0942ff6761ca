"""Create the upstreams of `upstream {}` blocks, with the memory that their workers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..config.blocks import UpstreamBlock
from ..config.directives.resolver import ResolverSettings
from ..config.directives.sticky import Sticky
from ..config.directives.upstream import PeerSettings, UpstreamGroup
from ..config.tree import Place
from ..logs.error import ErrorLog
from ..models import ConfigError, Level
from ..shared_zone import ProcessLock
from ..system import unix_family
from ..template import VariableLookup
from ..upstream.balancing import selector_factory
from ..upstream.pool import ConnectionPool, IdleMonitor
from ..upstream.selector import Peer, Upstream, peer_name
from ..variables import lookup
from .hosts import resolve_host

if TYPE_CHECKING:  # imported when a group needs them
    from ..upstream.group_names import GroupNames
    from ..upstream.peer_memory import PeerMemory
    from ..upstream.resolver import Resolver
    from ..upstream.shared_group import SharedGroup
    from ..upstream.sticky import StickySessions


class GroupStore:
    """The groups of a configuration; the next one takes over addresses and sessions."""

    def __init__(
        self,
        groups: Mapping[str, UpstreamBlock],
        next_connection_id: Callable[[], int],
        idle_monitor: IdleMonitor,
        resolver: Callable[[ResolverSettings], Resolver],
        previous: GroupStore | None = None,
        lookup: Callable[[Any], VariableLookup] = lookup,
    ) -> None:
        """`resolver` returns the resolver of a directive. Raises `ConfigError`."""
        self.upstreams: dict[str, Upstream] = {}
        self.names: list[GroupNames] = []
        """Tasks that resolve names while the proxy runs."""
        self._next_connection_id = next_connection_id
        self._idle_monitor = idle_monitor
        self._resolver = resolver
        self._lookup = lookup
        self._previous = previous
        self._turn: ProcessLock | None = None
        self._memories: dict[str, PeerMemory] = {}
        self._shared: dict[tuple[str, str], SharedGroup] = {}
        """By the names of zone and group."""
        self._sessions: dict[str, StickySessions] = {}
        self._passed_on: set[str] = set()
        """Names of the zones of sessions that the next configuration uses too."""
        self._blocks = groups
        for name, block in groups.items():
            self.upstreams[name] = self._group(block)
        self._previous = None

    def load_shared(self, upstream: Upstream) -> str:
        """Load the state of a group's peers from shared memory; returns the name of its zone.

        It is "" if each process has its own state.
        """
        for (zone, name), group in self._shared.items():
            if name == upstream.name.lower() and self.upstreams.get(name) is upstream:
                group.load(upstream)
                return zone
        return ""

    def log_to(self, log: ErrorLog) -> None:
        """Set the main-level log."""
        for sessions in self._sessions.values():
            sessions.log = log

    def close(self) -> None:
        """Give the memory back, but for that which the next configuration uses."""
        for memory in self._memories.values():
            memory.close()
        for zone, sessions in self._sessions.items():
            if zone not in self._passed_on:
                sessions.close()
        if self._turn is not None:
            self._turn.close()

    def _group(self, block: UpstreamBlock) -> Upstream:
        settings = block.settings
        sticky = settings.sticky
        if sticky is not None and sticky.replaced:
            sticky = None
        make_peer: type[Peer] = Peer
        if settings.zone is not None:
            from ..upstream.peer_memory import SharedPeer

            make_peer = SharedPeer
        peers = [
            peer
            for server in settings.server
            if not server.is_resolved
            for peer in peers_of(server, server.address.url, block.place, make_peer)
        ]
        if sticky is not None:
            from ..upstream.sticky import sid_of

            for peer in peers:
                peer.sid = sid_of(peer)
        keeps = settings.keepalive.connections > 0
        upstream = Upstream(
            block.name,
            [peer for peer in peers if not peer.settings.backup],
            [peer for peer in peers if peer.settings.backup],
            explicit=True,
            next_connection_id=self._next_connection_id,
            make_selector=selector_factory(settings.balancing, self._lookup),
            pool=ConnectionPool(settings, self._idle_monitor) if keeps else None,
        )
        if settings.zone is not None:
            self._share(upstream, block, peers, settings.zone.name, is_sticky=sticky is not None)
        if sticky is not None:
            self._make_sticky(upstream, sticky)
        return upstream

    # --- zones ---

    def _share(
        self,
        upstream: Upstream,
        block: UpstreamBlock,
        peers: list[Peer],
        zone: str,
        *,
        is_sticky: bool,
    ) -> None:
        """Move the state of a group's peers to the memory of its zone."""
        from ..upstream.peer_memory import MemoryExhaustedError, SharedPeer
        from ..upstream.shared_group import ResolvedServer, SharedGroup, SharedSelector
        from ..upstream.sticky import sid_of

        settings = block.settings
        memory = self._memories.get(zone) or self._memory(zone)
        sharing = self._sharing(zone)
        number = [one.name for one in sharing].index(block.name)
        first = sum(len(_resolved(one.settings)) for one in sharing[:number])
        resolved = [
            ResolvedServer(server, host) for host, server in enumerate(_resolved(settings), first)
        ]
        balancing = settings.balancing
        try:
            group = SharedGroup(
                memory,
                number,
                [peer for peer in peers if isinstance(peer, SharedPeer)],
                resolved,
                has_backups=not balancing or balancing[-1].has_backups,
                name_peer=sid_of if is_sticky else None,
            )
            old = None
            if self._previous is not None:
                old = self._previous._shared.get((zone, block.name.lower()))
            if old is not None:
                group.take_over(old)
        except MemoryExhaustedError:
            text = f'ngx_slab_alloc() failed: no memory in upstream zone "{zone}"'
            raise ConfigError(text, level=Level.CRIT) from None
        self._shared[zone, block.name.lower()] = group
        make = upstream.make_selector
        upstream.make_selector = lambda upstream, ctx: SharedSelector(group, make, upstream, ctx)
        if resolved:
            from ..upstream.group_names import GroupNames

            assert settings.resolver is not None
            assert settings.resolver_timeout is not None
            self._turn = self._turn or ProcessLock()
            resolver = self._resolver(settings.resolver)
            names = GroupNames(block.name, group, resolver, settings.resolver_timeout, self._turn)
            self.names.append(names)

    def _sharing(self, zone: str) -> list[UpstreamBlock]:
        """The groups whose peers are in a zone."""
        return [
            block
            for block in self._blocks.values()
            if block.settings.zone is not None and block.settings.zone.name == zone
        ]

    def _memory(self, name: str) -> PeerMemory:
        from ..upstream.peer_memory import PeerMemory

        sharing = self._sharing(name)
        size = max(block.settings.zone.size for block in sharing if block.settings.zone is not None)
        hosts = sum(len(_resolved(block.settings)) for block in sharing)
        memory = self._memories[name] = PeerMemory(name, size, len(sharing), hosts)
        return memory

    # --- sticky ---

    def _make_sticky(self, upstream: Upstream, sticky: Sticky) -> None:
        from ..upstream.sticky import StickyRules

        make = upstream.make_selector
        rules = StickyRules(sticky, self._learned(upstream.name, sticky))
        upstream.make_selector = lambda upstream, ctx: rules.selector(make, upstream, ctx)

    def _learned(self, group: str, sticky: Sticky) -> StickySessions | None:
        """The sessions of `sticky learn`, those of the previous configuration if they fit."""
        settings = sticky.sessions
        if settings is None:
            return None
        from ..upstream.sticky import StickySessions

        zone = settings.zone
        old = None if self._previous is None else self._previous._sessions.get(zone)
        if old is not None and old.size == settings.size:
            if old.group != group:
                raise ConfigError(
                    f'sticky zone "{zone}" is used in upstream "{group}" while previously it was'
                    f' used in upstream "{old.group}"'
                )
            assert self._previous is not None
            self._previous._passed_on.add(zone)
            sessions = old.with_timeout(settings.timeout)
        else:
            sessions = StickySessions(zone, settings.size, group, settings.timeout)
        self._sessions[zone] = sessions
        return sessions


def _resolved(group: UpstreamGroup) -> list[PeerSettings]:
    """The servers of a group whose names are resolved at run time."""
    return [server for server in group.server if server.is_resolved]


def peers_of(
    settings: PeerSettings, displayed: str, place: Place, make_peer: type[Peer] = Peer
) -> list[Peer]:
    """The peers of a server, one for each of its addresses; raises `ConfigError`."""
    address = settings.address
    if address.is_unix:
        path = address.host[len("unix:") :]
        return [make_peer(unix_family(), path, address.host, settings)]
    return [
        make_peer(family, sockaddr, peer_name(sockaddr), settings)
        for family, sockaddr in resolve_host(address, displayed, place)
    ]
