"""Checks and log context at the start of a request, for HTTP/1 and HTTP/2."""

from __future__ import annotations

from ..context import ClientTLSInfo, RequestContext
from ..logs.error import ConnectionLog
from ..models import Header, Level, SpecialResponse
from .verify import check_client_certificate


def tls_rejection(
    ctx: RequestContext, tls: ClientTLSInfo | None, log: ConnectionLog
) -> SpecialResponse | None:
    """The response if TLS settings reject a request before a location is searched.

    `tls` is None for a connection without TLS on a port of TLS.
    """
    if tls is None:
        log.write(Level.INFO, "client sent plain HTTP request to HTTPS port")
        return SpecialResponse(497)
    verify = ctx.server.ssl.ssl_verify_client
    rejection = None if verify == "off" else check_client_certificate(verify, tls)
    if rejection is None:
        return None
    log.write(Level.INFO, rejection.text)
    return SpecialResponse(rejection.status)


def log_headers(host: str | None, referrer: str | None) -> tuple[Header, ...]:
    """The fields that log lines contain, for a head that was not parsed completely."""
    fields = (("host", host), ("referer", referrer))
    return tuple([(name, value) for name, value in fields if value is not None])
