"""Replace the client's address by the one that a trusted proxy has sent (`set_real_ip_from`)."""

from __future__ import annotations

from dataclasses import replace

from ..config.cidr import IP, Network, format_ip, parse_ip
from ..config.directives.real_ip import FORWARDED_FOR, PROXY_PROTOCOL, RealIP
from ..context import Connection, RequestContext
from ..logs.error import ConnectionLog
from ..variables.maps import forwarded_client, parse_address_port


class RealIPPhase:
    """The settings of a location, prepared."""

    def __init__(self, settings: RealIP) -> None:
        self.settings = settings
        self._networks: tuple[Network, ...] = tuple(
            network for trusted in settings.set_real_ip_from for network in trusted.networks
        )
        self._trusts_unix = any(trusted.unix for trusted in settings.set_real_ip_from)
        self._field = settings.real_ip_header.lower()

    def apply(self, ctx: RequestContext, log: ConnectionLog) -> None:
        """Give the request the client's address, if a trusted proxy has sent it."""
        if ctx.proxy_connection is not None or not self._trusts(ctx.connection):
            return
        found = self._from_header(ctx) if self._field == PROXY_PROTOCOL else self._from_fields(ctx)
        if found is None:
            return
        address, port = found
        ctx.proxy_connection = ctx.connection
        ctx.connection = replace(
            ctx.connection, client_address=format_ip(address), client_port=port
        )
        log.client = ctx.connection.client_address

    def _from_header(self, ctx: RequestContext) -> tuple[IP, int] | None:
        """Address and port in the header of the PROXY protocol."""
        header = ctx.connection.proxy_header
        found = None if header is None else parse_address_port(header.client_address)
        return None if header is None or found is None else (found[0], header.client_port)

    def _from_fields(self, ctx: RequestContext) -> tuple[IP, int] | None:
        """Address and port in the field of the request."""
        fields = [value for name, value in ctx.request.headers if name.lower() == self._field]
        if self._field != FORWARDED_FOR:
            fields = fields[:1]
        return forwarded_client(fields, self._networks, recursive=self.settings.real_ip_recursive)

    def _trusts(self, connection: Connection) -> bool:
        if connection.client_address == "unix:":
            return self._trusts_unix
        peer = parse_ip(connection.client_address)
        return peer is not None and any(peer in network for network in self._networks)
