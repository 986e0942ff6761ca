"""Variables of the PROXY protocol: what a proxy has said about its client."""

from __future__ import annotations

from collections.abc import Callable

from ..context import RequestContext
from ..models import Level
from ..proxy_protocol import ProxyHeader, TLVError
from .variable import Variable


def _of_header(value: Callable[[ProxyHeader], str]) -> Callable[[RequestContext], str | None]:
    def of(ctx: RequestContext) -> str | None:
        header = ctx.connection.proxy_header
        return None if header is None else value(header)

    return of


def _tlv(ctx: RequestContext, name: str) -> str | None:
    header = ctx.connection.proxy_header
    if header is None:
        return None
    try:
        return header.tlv(name)
    except TLVError as error:
        if (message := str(error)) and ctx.connection.write_log is not None:
            ctx.connection.write_log(Level.ERROR, message)
        return None


VARIABLES = (
    Variable(
        "proxy_protocol_addr",
        _of_header(lambda header: header.client_address),
        "client's address from the header of the PROXY protocol",
    ),
    Variable(
        "proxy_protocol_port",
        _of_header(lambda header: str(header.client_port or "")),
        "client's port from the header of the PROXY protocol",
    ),
    Variable(
        "proxy_protocol_server_addr",
        _of_header(lambda header: header.server_address),
        "server's address from the header of the PROXY protocol",
    ),
    Variable(
        "proxy_protocol_server_port",
        _of_header(lambda header: str(header.server_port or "")),
        "server's port from the header of the PROXY protocol",
    ),
)
PREFIXES = (("proxy_protocol_tlv_", _tlv),)
