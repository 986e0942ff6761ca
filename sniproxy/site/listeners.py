"""`listen` directives → sockets to bind, and who answers on which address of them."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..config.directives.core import Listen
from ..config.model import Server
from ..message import ConfigError
from ..routing import ServerNames
from ..running import Listener

BIND_TRIES = 5
BIND_PAUSE = 0.5
"""Seconds. nginx tries a port in use as often and waits as long."""

Key = tuple[str, int]
"""Host (numeric, `*` and `[::]` for any) and port."""


@dataclass(slots=True)
class Address:
    """What all `listen`s of one address say together."""

    key: Key
    listens: list[Listen] = field(default_factory=list)
    servers: list[Server] = field(default_factory=list)
    default: Server | None = None

    @property
    def text(self) -> str:
        host, port = self.key
        if host.startswith("unix:"):
            return host
        return f"{'0.0.0.0' if host == '*' else host}:{port}"

    def listener(self) -> Listener:
        names = ServerNames(self.servers, self.default or self.servers[0])
        return Listener(self.text, any(listen.ssl for listen in self.listens), names)


@dataclass(frozen=True, slots=True)
class Binding:
    """One socket to listen on, with the addresses that share it."""

    key: Key
    backlog: int
    ipv6only: bool
    reuseport: bool
    wildcard: Listener | None
    """Who answers on addresses that no `listen` names."""
    by_host: Mapping[str, Listener]

    @property
    def text(self) -> str:
        host, port = self.key
        return host if host.startswith("unix:") else f"{_host(host)}:{port}"

    @property
    def listeners(self) -> tuple[Listener, ...]:
        own = (self.wildcard,) if self.wildcard is not None else ()
        return (*own, *self.by_host.values())

    def listener_for(self, host: str) -> Listener:
        """The listener for the local address that a client has called."""
        found = self.by_host.get(host, self.wildcard)
        assert found is not None
        return found


def bindings(servers: Sequence[Server]) -> list[Binding]:
    """The sockets of a site. A wildcard serves the addresses of its port too, as in nginx."""
    addresses = _addresses(servers)
    wildcards = {key[1] for key in addresses if key[0] == "*"}
    made = []
    for key, address in addresses.items():
        host, port = key
        if host != "*" and port in wildcards and ":" not in host:
            continue
        sharing = {key: address}
        if host == "*":
            sharing |= {
                k: a for k, a in addresses.items() if k[1] == port and ":" not in k[0] and k != key
            }
        listeners = {k: a.listener() for k, a in sharing.items()}
        made.append(
            Binding(
                key,
                backlog=address.listens[0].backlog,
                ipv6only=all(listen.ipv6only for listen in address.listens),
                reuseport=any(listen.reuseport for listen in address.listens),
                wildcard=listeners[key],
                by_host={k[0].strip("[]"): v for k, v in listeners.items() if k != key},
            )
        )
    return made


def _addresses(servers: Sequence[Server]) -> dict[Key, Address]:
    addresses: dict[Key, Address] = {}
    for server in servers:
        for listen in server.core.listen:
            last = listen.address.last_port or listen.address.port
            for port in range(listen.address.port, last + 1):
                host = listen.address.host
                key = ("*" if host in ("", "0.0.0.0") else host, port)
                address = addresses.setdefault(key, Address(key))
                address.listens.append(listen)
                if server not in address.servers:
                    address.servers.append(server)
                if listen.default_server:
                    address.default = server
    return addresses


def _host(host: str) -> str:
    return "0.0.0.0" if host == "*" else host


def bind_all(
    wanted: Iterable[Binding], report: Callable[[ConfigError], None]
) -> list[tuple[Binding, socket.socket]]:
    """Bind and listen; what is in use is tried again, each failure told to `report`.

    Raises `ConfigError` in nginx's words.
    """
    bound: list[tuple[Binding, socket.socket]] = []
    waiting = list(wanted)
    try:
        for attempt in range(BIND_TRIES):
            if attempt:
                time.sleep(BIND_PAUSE)
            still: list[Binding] = []
            for binding in waiting:
                try:
                    bound.append((binding, _bind(binding)))
                except OSError as error:
                    failure = ConfigError(f"bind() to {binding.text} failed", errno=error.errno)
                    if error.errno != errno.EADDRINUSE:
                        raise failure from None
                    report(failure)
                    still.append(binding)
            waiting = still
            if not waiting:
                return bound
        raise ConfigError("still could not bind()")
    except BaseException:
        for _, sock in bound:
            sock.close()
        raise


def _bind(binding: Binding) -> socket.socket:
    host, port = binding.key
    if host.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        where: str | tuple[str, int] = host[len("unix:") :]
    else:
        family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        where = (_host(host).strip("[]"), port)
    try:
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, binding.ipv6only)
        if binding.reuseport:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(where)
        sock.listen(binding.backlog)
    except BaseException:
        sock.close()
        raise
    return sock
