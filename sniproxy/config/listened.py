"""The addresses that the servers of a configuration listen on, compared while parsing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from .addresses import Address
from .directives.core import Listen
from .directives.directive import Args
from .directives.maps import Warn
from .reader import Block

DEFAULT_PORT = 80 if not hasattr(os, "getuid") or os.getuid() == 0 else 8000
"""Port of a server without `listen`: binding port 80 requires root."""


@dataclass(slots=True, eq=False)
class ListenedAddress:
    """An address and port with the servers that listen on it."""

    text: str
    """As in messages: `127.0.0.1:80`."""
    wildcard: bool
    servers: list[Block] = field(default_factory=list)
    marked_default: Block | None = None
    """The server with `default_server`."""
    options: bool = False
    """Whether socket options were given."""
    protocols: frozenset[str] = frozenset()
    """`ssl` and `proxy_protocol`, where they are given."""
    quic: bool = False
    # nginx's state for the warning "protocol options redefined".
    protocols_before: frozenset[str] | None = None
    protocols_changed: bool = False

    @property
    def ssl(self) -> bool:
        return "ssl" in self.protocols

    @property
    def default_server(self) -> Block:
        return self.marked_default or self.servers[0]


class ListenedAddresses:
    """All addresses and ports of `listen`, in file order."""

    def __init__(self) -> None:
        self._addresses: dict[tuple[str, int, str], ListenedAddress] = {}

    def __iter__(self) -> Iterator[ListenedAddress]:
        return iter(self._addresses.values())

    def add(self, listen: Listen, args: Args, server: Block, warn: Warn) -> None:
        """Add the addresses of a `listen`. Raises `ConfigError` for those that exclude others."""
        if "http2" in args.words[1:]:
            warn(
                'the "listen ... http2" directive is deprecated, use the "http2" directive instead',
                args.place,
            )
        if listen.quic and not any(known.quic for known in self):
            warn(
                'HTTP/3 is not served: the "quic" parameter of "listen" opens no UDP port',
                args.place,
            )
        first = listen.address.port
        for port in range(first, (listen.address.last_port or first) + 1):
            self._add_port(listen, port, args, server, warn)

    def _add_port(self, listen: Listen, port: int, args: Args, server: Block, warn: Warn) -> None:
        text = address_text(listen.address, port)
        transport = "quic" if listen.quic else "udp" if listen.udp else "tcp"
        known = self._addresses.get((text, port, transport))
        if known is None:
            self._addresses[text, port, transport] = ListenedAddress(
                text,
                text.startswith(("0.0.0.0:", "[::]:")),
                [server],
                server if listen.default_server else None,
                bool(listen.socket_options or listen.reuseport),
                protocols_of(listen),
                listen.quic,
            )
            return
        if server in known.servers:
            args.fail(f"a duplicate listen {text}")
        known.servers.append(server)
        options = bool(listen.socket_options or listen.reuseport)
        if options and known.options:
            args.fail(f"duplicate listen options for {text}")
        if listen.default_server:
            if known.marked_default:
                args.fail(f"a duplicate default server for {text}")
            known.marked_default = server
        known.options = known.options or options
        protocols = protocols_of(listen)
        if _protocols_redefined(known, protocols, options):
            warn(f"protocol options redefined for {text}", args.place)
        known.protocols |= protocols


def address_text(address: Address, port: int) -> str:
    """The address of a `listen` as nginx prints it; host names are not resolved."""
    if address.is_unix:
        return address.host
    host = "0.0.0.0" if address.host in ("*", "") else address.host.lower()
    return f"{host}:{port}"


def protocols_of(listen: Listen) -> frozenset[str]:
    """The protocols that a `listen` adds to an address."""
    given = {"ssl": listen.ssl, "proxy_protocol": listen.proxy_protocol}
    return frozenset(name for name, wanted in given.items() if wanted)


def _protocols_redefined(known: ListenedAddress, new: frozenset[str], options: bool) -> bool:
    """Whether nginx warns that a `listen` changes the protocols of a known address."""
    before = known.protocols
    if new - before:
        warn = (known.options and not options) or known.protocols_changed or bool(before - new)
        known.protocols_before, known.protocols_changed = before, True
        return warn
    warn = known.protocols_before is not None and known.protocols_before != new
    if before - new:
        warn = warn or options
        known.protocols_changed = True
    else:
        warn = warn or (options and known.protocols_changed)
    known.protocols_before = new
    return warn
