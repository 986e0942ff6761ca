"""Directives of nginx's realip module."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from ..cidr import Network, parse_network
from .core import HSL
from .directive import Args, Repeat, Settings, directive, settings
from .slots import flag, string

MODULE = "ngx_http_realip_module"
FORWARDED_FOR = "x-forwarded-for"
PROXY_PROTOCOL = "proxy_protocol"


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """`set_real_ip_from`: addresses that are trusted to say who the client is."""

    networks: tuple[Network, ...]
    unix: bool = False
    exact: bool = True
    """Whether the host bits of the network were zero."""


def trusted_proxies(args: Args, *, of_stream: bool = False) -> TrustedProxies:
    word = args.first
    if word == "unix:":
        return TrustedProxies((), unix=True)
    parsed = parse_network(word)
    if parsed is not None:
        return TrustedProxies((parsed[0],), exact=parsed[1])
    if "/" in word and not of_stream:
        args.fail(f'invalid parameter "{word}"')
    try:
        found = socket.getaddrinfo(word, None, type=socket.SOCK_STREAM)
    except OSError:
        args.fail(f'host not found in set_real_ip_from "{word}"')
    networks = [parse_network(str(address[4][0]).partition("%")[0]) for address in found]
    return TrustedProxies(tuple(network[0] for network in networks if network is not None))


@settings(MODULE)
class RealIP(Settings):
    """Which field has the client's address, if a trusted proxy sent the request."""

    set_real_ip_from: tuple[TrustedProxies, ...] = directive(
        HSL,
        trusted_proxies,
        "network, host or `unix:` that is trusted to send the client's address",
        repeat=Repeat.APPENDED,
    )
    real_ip_header: str = directive(
        HSL, string, "field with the client's address, or `proxy_protocol`", default="X-Real-IP"
    )
    real_ip_recursive: bool = directive(
        HSL,
        flag,
        "of several addresses in the field, take the last that is not trusted",
        default="off",
    )
