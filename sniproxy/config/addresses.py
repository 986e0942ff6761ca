"""Parse `HOST:PORT/URI` as nginx does (`ngx_parse_url`): `listen`, `server` and `proxy_pass`."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from ..server_name import is_ipv4
from ..system import UNIX_FAMILY
from .numbers import parse_number


class AddressError(Exception):
    """The address is invalid; `str()` is nginx's reason, for example `invalid port`."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address to connect to or listen on, as written; host names are not resolved."""

    url: str
    """The text that was parsed."""
    host: str
    """Host name, address (IPv6 in brackets), `unix:/path`, or `*` for any address."""
    port: int
    """0 for UNIX sockets."""
    explicit_port: bool = False
    last_port: int = 0
    """Last port of a range (`listen` only), else 0."""
    uri: str = ""
    """Path and query that follow the address."""

    @property
    def is_unix(self) -> bool:
        return self.host.startswith("unix:")

    @property
    def name(self) -> str:
        """The host without the `unix:` of a UNIX socket."""
        return self.host.removeprefix("unix:")

    @property
    def is_literal(self) -> bool:
        """Whether `host` is an address and need not be resolved."""
        return self.is_unix or self.host.startswith("[") or is_ipv4(self.host)


def parse_address(
    text: str, default_port: int, *, listen: bool = False, uri_allowed: bool = False
) -> Address:
    """Parse `text`. Raises `AddressError`.

    If a URI is allowed, the path of a UNIX socket ends at a colon (`http://unix:/s.sock:/uri`).
    """
    if text[:5].lower() == "unix:":
        return _unix(text, uri_allowed)
    if text.startswith("["):
        return _ipv6(text, default_port, listen, uri_allowed)
    return _named(text, default_port, listen, uri_allowed)


def _unix(text: str, uri_allowed: bool) -> Address:
    if UNIX_FAMILY is None:
        raise AddressError("the unix domain sockets are not supported on this platform")
    path, _, uri = text[5:].partition(":") if uri_allowed else (text[5:], "", "")
    if not path:
        raise AddressError("no path in the unix domain socket")
    if len(path) > 107:
        raise AddressError("too long path in the unix domain socket")
    return Address(text, "unix:" + path, 0, uri=uri)


def _ipv6(text: str, default_port: int, listen: bool, uri_allowed: bool) -> Address:
    host, closed, rest = text[1:].partition("]")
    if not closed:
        raise AddressError("invalid host")
    address, uri = _split_uri(rest, listen, uri_allowed)
    if address and not address.startswith(":"):
        raise AddressError("invalid host")
    first, last = _ports(address[1:], listen) if address else (default_port, 0)
    if not host:
        raise AddressError("no host")
    if "%" in host:
        raise AddressError("invalid IPv6 address")
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        raise AddressError("invalid IPv6 address") from None
    return Address(text, f"[{host}]", first, bool(address), last, uri)


def _named(text: str, default_port: int, listen: bool, uri_allowed: bool) -> Address:
    address, uri = _split_uri(text, listen, uri_allowed)
    host, colon, port = address.partition(":")
    if colon:
        first, last = _ports(port, listen)
        if not host:
            raise AddressError("no host")
        return Address(text, host, first, True, last, uri)
    if listen and re.fullmatch(r"[0-9]+(-[0-9]+)?", address):
        first, last = _ports(address, listen)
        return Address(text, "*", first, True, last)
    if not host:
        raise AddressError("no host")
    return Address(text, host, default_port, uri=uri)


def _split_uri(text: str, listen: bool, uri_allowed: bool) -> tuple[str, str]:
    match = re.search(r"[/?]", text)
    if match is None:
        return text, ""
    if listen or not uri_allowed:
        raise AddressError("invalid host")
    return text[: match.start()], text[match.start() :]


def _ports(text: str, listen: bool) -> tuple[int, int]:
    first_text, dash, last_text = text.partition("-") if listen else (text, "", "")
    last = _port(last_text) if dash else 0
    first = _port(first_text)
    if last and first > last:
        raise AddressError("invalid port range")
    return first, last


def _port(text: str) -> int:
    port = parse_number(text)
    if port is None or not 1 <= port <= 65535:
        raise AddressError("invalid port")
    return port
