"""Host names that are resolved while the configuration is loaded."""

from __future__ import annotations

import socket

from ..config.addresses import Address
from ..config.tree import Place
from ..models import ConfigError


def resolve_host(
    address: Address, displayed: str, place: Place, what: str = "upstream"
) -> list[tuple[int, tuple[str, int] | tuple[str, int, int, int]]]:
    """Every address of a host; raises `ConfigError`: `host not found in upstream "…"`.

    `what` is the directive, as named in the message.
    """
    host = address.host.strip("[]")
    flags = socket.AI_NUMERICHOST if address.is_literal else 0
    try:
        found = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError):
        message = f'host not found in {what} "{displayed}"'
        raise ConfigError(message, place.file, place.line) from None
    # nginx puts IPv4 addresses first.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return [(entry[0], entry[4]) for entry in found]  # type: ignore[misc]
