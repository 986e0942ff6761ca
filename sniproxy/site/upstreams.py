"""`upstream {}` and the hosts of `proxy_pass` → upstreams with addresses."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

from ..config.addresses import Address
from ..config.directives.proxy import ProxyPass
from ..config.directives.upstream import PeerSettings
from ..config.model import Group
from ..config.tree import Place
from ..message import ConfigError
from ..tls.watch import HandshakeWatch
from ..upstream.balancing import balance
from ..upstream.idle import IdleWatch
from ..upstream.keepalive import KeptConnections
from ..upstream.peers import Peer, Upstream


class Upstreams:
    """Every upstream of a site, each once: locations that share one share its peers."""

    def __init__(
        self,
        groups: Mapping[str, Group],
        number: Callable[[], int],
        watch: HandshakeWatch,
        idle: IdleWatch,
    ) -> None:
        self._number = number
        self._watch = watch
        self._groups = {name: _group(group, number, watch, idle) for name, group in groups.items()}
        self._implicit: dict[tuple[str, int], Upstream] = {}

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
            settings = PeerSettings(address)
            peers = _peers(settings, address.host, place)
            self._implicit[key] = Upstream(
                address.host, peers, number=self._number, watch=self._watch
            )
        return self._implicit[key]


def _group(
    group: Group, number: Callable[[], int], watch: HandshakeWatch, idle: IdleWatch
) -> Upstream:
    peers: list[Peer] = []
    backups: list[Peer] = []
    for settings in group.settings.server:
        found = _peers(settings, settings.address.url, group.place)
        (backups if settings.backup else peers).extend(found)
    keeps = group.settings.keepalive.connections > 0
    return Upstream(
        group.name,
        peers,
        backups,
        explicit=True,
        number=number,
        watch=watch,
        balance=balance(group.settings.balancing, peers),
        kept=KeptConnections(group.settings, idle) if keeps else None,
    )


def _peers(settings: PeerSettings, shown: str, place: Place) -> list[Peer]:
    address = settings.address
    if address.is_unix:
        path = address.host[len("unix:") :]
        return [Peer(socket.AF_UNIX, path, address.host, settings)]
    return [
        Peer(family, sockaddr, peer_name(sockaddr), settings)
        for family, sockaddr in look_up(address, shown, place)
    ]


def look_up(
    address: Address, shown: str, place: Place
) -> list[tuple[int, tuple[str, int] | tuple[str, int, int, int]]]:
    """Every address of a host; raises `ConfigError`: `host not found in upstream "…"`."""
    host = address.host.strip("[]")
    flags = socket.AI_NUMERICHOST if address.is_literal else 0
    try:
        found = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError):
        message = f'host not found in upstream "{shown}"'
        raise ConfigError(message, place.file, place.line) from None
    # nginx puts IPv4 addresses first.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return [(entry[0], entry[4]) for entry in found]  # type: ignore[misc]


def peer_name(sockaddr: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """`127.0.0.1:443` or `[::1]:443`."""
    host, port = sockaddr[0], sockaddr[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
