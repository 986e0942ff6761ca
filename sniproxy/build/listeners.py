"""Determine the sockets and listeners for `listen` directives, and bind the sockets."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from ..config.directives.core import Listen, ServerName
from ..models import ConfigError
from ..routing import ServerNames
from ..runtime import Listener
from ..system import UNIX_FAMILY, prepare_listening

UNIX = "unix:"
BIND_TRIES = 5
BIND_PAUSE = 0.5
"""Seconds between attempts to bind, as in nginx."""

Key = tuple[str, int]
"""Host (numeric, `*` and `[::]` for any) and port."""


class ListeningServer(Protocol):
    """A virtual server of `http {}` or `stream {}`."""

    @property
    def names(self) -> tuple[ServerName, ...]: ...
    @property
    def listens(self) -> tuple[Listen, ...]: ...
    @property
    def offers_http2(self) -> bool: ...


ServerT = TypeVar("ServerT", bound=ListeningServer)


@dataclass(slots=True)
class ListenAddress(Generic[ServerT]):
    """The combined settings of all `listen`s of an address."""

    key: Key
    listens: list[Listen] = field(default_factory=list)
    servers: list[ServerT] = field(default_factory=list)
    default: ServerT | None = None

    @property
    def text(self) -> str:
        host, port = self.key
        if host.startswith(UNIX):
            return host
        return f"{'0.0.0.0' if host == '*' else host}:{port}"

    def listener(self) -> Listener[ServerT]:
        names = ServerNames(self.servers, self.default or self.servers[0])
        http2 = any(listen.http2 for listen in self.listens)
        return Listener(
            self.text,
            any(listen.ssl for listen in self.listens),
            names,
            any(listen.proxy_protocol for listen in self.listens),
            http2,
            http2 or any(server.offers_http2 for server in self.servers),
        )


@dataclass(frozen=True, slots=True)
class ListenSocket:
    """A listening socket, with the addresses that share it."""

    key: Key
    backlog: int
    ipv6only: bool
    reuseport: bool
    wildcard: Listener[Any] | None
    """The listener for addresses without a `listen` of their own."""
    by_host: Mapping[str, Listener[Any]]
    is_stream: bool = False
    """Whether it belongs to `stream {}`."""
    udp: bool = False

    @property
    def text(self) -> str:
        host, port = self.key
        return host if host.startswith(UNIX) else f"{_host(host)}:{port}"

    @property
    def listeners(self) -> tuple[Listener[Any], ...]:
        own = (self.wildcard,) if self.wildcard is not None else ()
        return (*own, *self.by_host.values())

    def unlink(self) -> None:
        """Remove the file of a UNIX socket."""
        host, _ = self.key
        if host.startswith(UNIX):
            with contextlib.suppress(OSError):
                os.unlink(host.removeprefix(UNIX))

    @property
    def identity(self) -> tuple[bool, Key]:
        """The transport and the address, which identify its socket."""
        return self.udp, self.key

    @property
    def scheme(self) -> str:
        """The scheme of its URLs."""
        if self.udp:
            return "udp"
        if self.is_stream:
            return "tls" if self.ssl else "tcp"
        return "https" if self.ssl else "http"

    @property
    def ssl(self) -> bool:
        """Whether its connections use TLS."""
        return any(listener.ssl for listener in self.listeners)

    def address(self, sock: socket.socket) -> tuple[str, int]:
        """Host and port that the socket is bound to; path and port 0 for a UNIX socket."""
        host, _ = self.key
        return (host, 0) if host.startswith(UNIX) else (_host(host), sock.getsockname()[1])

    def local_address(self, sock: socket.socket) -> tuple[str, int] | None:
        """The local address of all its connections; None if that depends on the connection."""
        host, _ = self.key
        return None if host == "*" or ":" in host else self.address(sock)

    def listener_for(self, host: str) -> Listener[Any]:
        """The listener for the local address of a connection."""
        found = self.by_host.get(host, self.wildcard)
        assert found is not None
        return found


BoundSocket = tuple[ListenSocket, socket.socket]
"""A socket that is listened on."""


def bindings(
    servers: Sequence[ListeningServer], *, is_stream: bool = False, udp: bool = False
) -> list[ListenSocket]:
    """The sockets for `servers`. A wildcard serves all addresses of its port, as in nginx."""
    addresses = _addresses(servers, udp=udp)
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
            ListenSocket(
                key,
                backlog=address.listens[0].backlog,
                ipv6only=all(listen.ipv6only for listen in address.listens),
                reuseport=any(listen.reuseport for listen in address.listens),
                wildcard=listeners[key],
                by_host={k[0].strip("[]"): v for k, v in listeners.items() if k != key},
                is_stream=is_stream,
                udp=udp,
            )
        )
    return made


def _addresses(servers: Sequence[ServerT], *, udp: bool) -> dict[Key, ListenAddress[ServerT]]:
    addresses: dict[Key, ListenAddress[ServerT]] = {}
    for server in servers:
        for listen in server.listens:
            if listen.quic or listen.udp is not udp:
                continue
            for key in _keys(listen):
                address = addresses.setdefault(key, ListenAddress(key))
                address.listens.append(listen)
                if server not in address.servers:
                    address.servers.append(server)
                if listen.default_server:
                    address.default = server
    return addresses


def _keys(listen: Listen) -> Iterator[Key]:
    """The addresses and ports of a `listen`; raises `ConfigError`."""
    first = listen.address.port
    for host in _numeric_hosts(listen):
        for port in range(first, (listen.address.last_port or first) + 1):
            yield host, port


def _numeric_hosts(listen: Listen) -> list[str]:
    address = listen.address
    if address.host in ("", "*", "0.0.0.0"):
        return ["*"]
    if address.is_literal:
        return [address.host]
    try:
        found = socket.getaddrinfo(address.host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        message = f'host not found in "{address.url}" of the "listen" directive'
        raise listen.place.error(message) from None
    # nginx orders IPv4 addresses first.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return [f"[{to[0]}]" if family == socket.AF_INET6 else str(to[0]) for family, *_, to in found]


def _host(host: str) -> str:
    return "0.0.0.0" if host == "*" else host


def bind_all(
    wanted: Iterable[ListenSocket],
    report: Callable[[ConfigError], None],
    previous_sockets: Sequence[BoundSocket] = (),
    workers: int = 1,
) -> list[BoundSocket]:
    """Bind and listen; addresses in use are tried again, and each failure is passed to `report`.

    `previous_sockets` are those of the previous configuration, which are reused. With `reuseport`
    there is a socket for each worker. Raises `ConfigError` with nginx's message.
    """
    open_sockets: dict[tuple[bool, Key], list[socket.socket]] = {}
    for before, sock in previous_sockets:
        open_sockets.setdefault(before.identity, []).append(sock)
    bound: list[BoundSocket] = []
    waiting = [each for each in wanted for _ in range(workers if each.reuseport else 1)]
    try:
        for attempt in range(BIND_TRIES):
            if attempt:
                time.sleep(BIND_PAUSE)
            still: list[ListenSocket] = []
            for binding in waiting:
                try:
                    if open_sockets.get(binding.identity):
                        bound.append((binding, open_sockets[binding.identity].pop(0).dup()))
                    else:
                        bound.append((binding, _bind(binding, listens=True)))
                except OSError as error:
                    failure = _bind_failure(binding, error)
                    if error.errno != errno.EADDRINUSE:
                        raise failure from None
                    report(failure)
                    still.append(binding)
            waiting = still
            if not waiting:
                return bound
        raise ConfigError("still could not bind()")
    except BaseException:
        close_all(bound, previous_sockets)
        raise


def of_worker(bound: Sequence[BoundSocket], index: int) -> list[BoundSocket]:
    """The sockets that one worker accepts on: all, and of those with `reuseport` its own."""
    by_key: dict[tuple[bool, Key], list[BoundSocket]] = {}
    for binding, sock in bound:
        by_key.setdefault(binding.identity, []).append((binding, sock))
    return [sockets[index % len(sockets)] for sockets in by_key.values()]


def close_sockets(bound: Iterable[BoundSocket]) -> None:
    """Close sockets that another process, or another configuration, may listen on further."""
    for _, sock in bound:
        sock.close()


def close_all(bound: Iterable[BoundSocket], previous_sockets: Iterable[BoundSocket] = ()) -> None:
    """Close the sockets, and remove the files of UNIX sockets not among `previous_sockets`."""
    close_sockets(bound)
    keys = {binding.identity for binding, _ in previous_sockets}
    for binding, _ in bound:
        if binding.identity not in keys:
            binding.unlink()


def check_binding(wanted: Iterable[ListenSocket]) -> None:
    """Bind and release all addresses; an address in use is not an error. Raises `ConfigError`."""
    for binding in wanted:
        try:
            _bind(binding, listens=False).close()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise _bind_failure(binding, error) from None
        else:
            binding.unlink()


def _bind_failure(binding: ListenSocket, error: OSError) -> ConfigError:
    return ConfigError(f"bind() to {binding.text} failed", errno=error.errno)


def _bind(binding: ListenSocket, *, listens: bool) -> socket.socket:
    host, port = binding.key
    kind = socket.SOCK_DGRAM if binding.udp else socket.SOCK_STREAM
    if host.startswith(UNIX) and UNIX_FAMILY is not None:
        sock = socket.socket(UNIX_FAMILY, kind)
        where: str | tuple[str, int] = host.removeprefix(UNIX)
    else:
        family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
        sock = socket.socket(family, kind)
        where = (_host(host).strip("[]"), port)
    try:
        sock.setblocking(False)
        if sock.family != UNIX_FAMILY:
            prepare_listening(sock)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, binding.ipv6only)
        if binding.reuseport and sys.platform != "win32":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(where)
        if isinstance(where, str):
            os.chmod(where, 0o666)
        if listens and not binding.udp:
            sock.listen(binding.backlog)
    except BaseException:
        sock.close()
        raise
    return sock
