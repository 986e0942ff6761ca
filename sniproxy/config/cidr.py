"""Networks in nginx's reading (`ngx_ptocidr`): for `allow`, `deny` and `geo`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import NamedTuple

from ..names import is_ipv4
from .directives.slots import parse_number


@dataclass(frozen=True, slots=True)
class Network:
    """Addresses that share their first bits."""

    version: int
    """4 or 6."""
    address: int
    mask: int

    def __contains__(self, address: IP) -> bool:
        return address.version == self.version and address.number & self.mask == self.address


class IP(NamedTuple):
    """An address as a number."""

    version: int
    number: int


def parse_ip(text: str) -> IP | None:
    """The address that `text` writes; an IPv6 one that stands for an IPv4 one is that one.

    None for anything else, `unix:` included.
    """
    if is_ipv4(text):
        return IP(4, _ipv4(text))
    try:
        address = ipaddress.IPv6Address(text.partition("%")[0])
    except ValueError:
        return None
    if address.ipv4_mapped is not None:
        return IP(4, int(address.ipv4_mapped))
    return IP(6, int(address))


def parse_network(text: str) -> tuple[Network, bool] | None:
    """`192.0.2.0/24`, `2001:db8::/32`, or an address; None where nginx refuses it.

    With it goes whether all bits behind the mask are zero, as they should be.
    """
    host, slash, bits = text.partition("/")
    if is_ipv4(host) and host != "255.255.255.255":
        version, number = 4, _ipv4(host)
    else:
        try:
            version, number = 6, int(ipaddress.IPv6Address(host))
        except ValueError:
            return None
        if "%" in host:
            return None
    size = 32 if version == 4 else 128
    length = parse_number(bits) if slash else size
    if length is None or length > size:
        return None
    mask = (1 << size) - (1 << size - length)
    return Network(version, number & mask, mask), number & mask == number


def _ipv4(text: str) -> int:
    # Leading zeros mean nothing: Python's own parser refuses them.
    return int.from_bytes([int(part) for part in text.split(".")])
