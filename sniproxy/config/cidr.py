"""Parse networks and addresses as nginx does (`ngx_ptocidr`): `allow`, `deny`, `geo`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import NamedTuple

from ..server_name import is_ipv4
from .numbers import parse_number


@dataclass(frozen=True, slots=True)
class Network:
    """An IPv4 or IPv6 network."""

    version: int
    """4 or 6."""
    address: int
    mask: int

    def __contains__(self, address: IP) -> bool:
        return address.version == self.version and address.number & self.mask == self.address


class IP(NamedTuple):
    """An IPv4 or IPv6 address as a number."""

    version: int
    number: int
    mapped: bool = False
    """Whether it was given as an IPv4-mapped IPv6 address, which it is in logs then."""


def parse_ip(text: str) -> IP | None:
    """Parse an address; IPv4-mapped IPv6 addresses become IPv4.

    Returns None for anything else, including `unix:`.
    """
    if is_ipv4(text):
        return IP(4, _ipv4(text))
    try:
        address = ipaddress.IPv6Address(text.partition("%")[0])
    except ValueError:
        return None
    if address.ipv4_mapped is not None:
        return IP(4, int(address.ipv4_mapped), mapped=True)
    return IP(6, int(address))


def format_ip(address: IP) -> str:
    """The text of an address."""
    if address.version == 4:
        return "::ffff:" * address.mapped + str(ipaddress.IPv4Address(address.number))
    return str(ipaddress.IPv6Address(address.number))


def parse_network(text: str) -> tuple[Network, bool] | None:
    """Parse `192.0.2.0/24`, `2001:db8::/32` or an address; None if nginx rejects the text.

    The second item tells whether the host bits of the text are all zero.
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
    # nginx ignores leading zeros; `ipaddress` rejects them.
    return int.from_bytes([int(part) for part in text.split(".")])
