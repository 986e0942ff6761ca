"""Evaluate the variables defined by `map`, `geo` and `split_clients`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol, cast

from ..config.cidr import IP, Network, parse_ip
from ..config.directives.maps import Geo, Map, MapVariable, SplitClients
from ..context import Connection
from ..models import RequestHead
from ..server_name import is_ipv4
from ..template import VariableLookup
from .murmur import murmur_hash2


class Evaluated(Protocol):
    """The state of a request, or of a session, for which a variable is evaluated."""

    @property
    def variables(self) -> dict[str, str]: ...
    @property
    def connection(self) -> Connection: ...
    def set_captures(self, match: re.Match[str]) -> None: ...


class _WithHead(Protocol):
    @property
    def request(self) -> RequestHead: ...


NOWHERE = IP(4, 0xFFFFFFFF)
"""The address used for clients without one (nginx's INADDR_NONE)."""


def map_value(name: str, table: MapVariable, ctx: Evaluated, values: VariableLookup) -> str:
    """Compute the value of `$name`, and cache it for the request unless it is volatile."""
    match table:
        case Map():
            value, keep = _map(table, ctx, values), not table.volatile
        case Geo():
            value, keep = _geo(table, ctx, values), not table.volatile
        case SplitClients():
            value, keep = _split(table, values), True
    if keep:
        ctx.variables[name] = value
    return value


def _map(table: Map, ctx: Evaluated, values: VariableLookup) -> str:
    key = table.source.render(values)
    if table.hostnames:
        key = key.removesuffix(".")
    found = table.names.find(key.lower())
    if found is None and key:
        for pattern, value in table.patterns:
            match = pattern.search(key)
            if match is not None:
                ctx.set_captures(match)
                found = value
                break
    return (found or table.default).render(values)


def _split(table: SplitClients, values: VariableLookup) -> str:
    share = murmur_hash2(table.source.render(values).encode("latin-1"))
    for below, value in table.parts:
        if below is None or share < below:
            return value
    return ""


def _geo(table: Geo, ctx: Evaluated, values: VariableLookup) -> str:
    text: str | None = ctx.connection.client_address
    if table.source is not None:
        text = table.source.render(values)
    address = parse_ip(text or "")
    if address is not None and table.proxies:
        # Only a `geo` of `http {}` has proxies.
        headers = cast(_WithHead, ctx).request.headers
        forwarded = [v for n, v in headers if n.lower() == "x-forwarded-for"]
        address = forwarded_address(address, forwarded, table.proxies, recursive=table.recursive)
    return geo_value(table, address or NOWHERE)


def geo_value(table: Geo, address: IP) -> str:
    """The value for an address: that of the matching range, else of the smallest network."""
    if table.ranges and address.version == 4:
        for first, last, value in table.ranges:
            if first <= address.number <= last:
                return value
    for (mask, network), value in table.networks[address.version].items():
        if address.number & mask == network:
            return value
    return table.default


def forwarded_address(
    address: IP, fields: Sequence[str], proxies: Sequence[Network], *, recursive: bool
) -> IP:
    """The client address according to X-Forwarded-For, if `address` is a trusted proxy.

    With `recursive`, the last address that is not a trusted proxy.
    """
    if not any(address in network for network in proxies):
        return address
    found = forwarded_client(fields, proxies, recursive=recursive)
    return address if found is None else found[0]


def forwarded_client(
    fields: Sequence[str], proxies: Sequence[Network], *, recursive: bool
) -> tuple[IP, int] | None:
    """Address and port that a trusted proxy sent in X-Forwarded-For; None if there are none.

    The port is 0 if the field has none. With `recursive`, the last address that is not a trusted
    proxy, else the last one. nginx's `ngx_http_get_forwarded_addr`.
    """
    client: tuple[IP, int] | None = None
    for field in reversed(fields):
        rest = field
        while rest:
            rest = rest.rstrip(" ,")
            rest, word = _last_word(rest)
            parsed = parse_address_port(word)
            if parsed is None:
                return client
            client = parsed
            if not recursive or not any(client[0] in network for network in proxies):
                return client
    return client


def _last_word(text: str) -> tuple[str, str]:
    start = max(text.rfind(" "), text.rfind(",")) + 1
    return text[:start], text[start:]


def parse_address_port(text: str) -> tuple[IP, int] | None:
    """Parse an address with an optional port, 0 without; None if invalid."""
    host, colon, digits = text.rpartition(":")
    port = 0
    if colon and digits.isdigit() and (is_ipv4(host) or host.startswith("[")):
        text, port = host, int(digits)
    address = parse_ip(text.removeprefix("[").removesuffix("]"))
    return None if address is None or port > MAX_PORT else (address, port)


MAX_PORT = 65535
