"""The upstream of a location (`proxy_pass`, `fastcgi_pass`, …) and the address to connect from."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import NamedTuple

from ...template import Template
from ..addresses import Address
from .directive import Args
from .slots import compiled

TLS_SCHEMES = frozenset(("https", "grpcs", "suwsgi"))


@dataclass(frozen=True, slots=True)
class ProxyPass:
    """The target of `proxy_pass`, `fastcgi_pass` and their kin.

    It is a fixed address or (if `template` is set) one per request.
    """

    url: str
    scheme: str
    """As in log lines: `http`, `fastcgi`, …; "" if it depends on variables."""
    address: Address | None
    template: Template | None
    file: str
    line: int

    @property
    def tls(self) -> bool:
        return self.scheme in TLS_SCHEMES

    @property
    def proxy_host(self) -> str:
        """`$proxy_host`: host, and port unless it is the scheme's default."""
        if self.address is None:
            return ""
        if self.address.is_unix:
            return "localhost"
        default = 443 if self.tls else 80
        if self.address.port == default:
            return self.address.host
        return f"{self.address.host}:{self.address.port}"

    @property
    def proxy_port(self) -> str:
        """`$proxy_port`; "" for a UNIX socket."""
        return str(self.address.port or "") if self.address is not None else ""


class LocalAddress(NamedTuple):
    """Local address for connections to the upstream."""

    text: str
    """As written."""
    host: str
    port: int
    """0 for any."""


@dataclass(frozen=True, slots=True)
class Bind:
    """`proxy_bind` and its kin."""

    address: Template


def local_address(text: str) -> LocalAddress | None:
    """Parse an address with optional port (`[2001:db8::1]:80`); None if invalid."""
    host, port = text, ""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        port = rest[1:]
        if not closed or (rest and not (rest.startswith(":") and port)):
            return None
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None
    if port and not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        return None
    return LocalAddress(text, host, int(port or 0))


def bind_address(args: Args) -> Bind | None:
    if args.words == ("off",):
        return None
    address = compiled(args, args.first)
    if address.is_constant and local_address(args.first) is None:
        args.fail(f'invalid address "{args.first}"')
    for word in args.words[1:]:
        if word == "transparent":
            args.unsupported('parameter "transparent" is not supported by sniproxy yet')
        else:
            args.fail(f'invalid parameter "{word}"')
    return Bind(address)
