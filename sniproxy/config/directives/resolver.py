"""`resolver`: the DNS servers for host names that are resolved at run time."""

from __future__ import annotations

from dataclasses import dataclass

from ..addresses import Address, AddressError, parse_address
from ..tree import Place
from .directive import Args
from .slots import parse_time


@dataclass(frozen=True, slots=True, eq=False)
class ResolverSettings:
    """A `resolver`; each has its own cache."""

    servers: tuple[Address, ...]
    place: Place
    valid: float | None = None
    """Seconds to cache responses; None for the TTL of the response."""
    ipv4: bool = True
    ipv6: bool = True


def resolver(args: Args) -> ResolverSettings:
    servers: list[Address] = []
    valid: float | None = None
    families = {"ipv4": True, "ipv6": True}
    for word in args.words:
        key, equals, text = word.partition("=")
        if equals and key == "valid":
            valid = parse_time(text, whole_seconds=True)
            if valid is None:
                args.fail(f"invalid parameter: {word}")
        elif equals and key in families:
            if text not in ("on", "off"):
                args.fail(f"invalid parameter: {word}")
            families[key] = text == "on"
        else:
            servers.append(_server(args, word))
    if not any(families.values()):
        args.fail('"ipv4" and "ipv6" cannot both be "off"')
    if not servers:
        args.fail("no name servers defined")
    return ResolverSettings(tuple(servers), args.place, valid or None, **families)


def _server(args: Args, word: str) -> Address:
    try:
        return parse_address(word, 53)
    except AddressError as error:
        args.fail(f'{error} in resolver "{word}"')
