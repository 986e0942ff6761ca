"""`ssl_verify_client`: check the client certificate of a request.

Handshakes never fail because of the certificate. It is checked for the virtual server of each
request, in the order of nginx's ngx_http_process_request.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..context import ClientTLSInfo, RequestContext
from ..logs.error import ConnectionLog
from ..models import Level, SpecialResponse

NO_CERTIFICATE = 496
CERTIFICATE_ERROR = 495

_UNKNOWN_AUTHORITY = frozenset(
    {
        18,  # self-signed certificate
        19,  # self-signed certificate in certificate chain
        20,  # unable to get local issuer certificate
        21,  # unable to verify the first certificate
        27,  # certificate not trusted
    }
)
"""X509_V_ERR_* that `optional_no_ca` accepts."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a request is rejected: the status, and the log line at `info`."""

    status: int
    text: str


def check_client_certificate(verify: str, tls: ClientTLSInfo) -> Rejection | None:
    """Apply `ssl_verify_client VERIFY` to a request; None if it is accepted."""
    if verify == "off":
        return None
    result = tls.verify_result
    if result and not (verify == "optional_no_ca" and result in _UNKNOWN_AUTHORITY):
        text = f"client SSL certificate verify error: ({result}:{tls.verify_error()})"
        return Rejection(CERTIFICATE_ERROR, text)
    if verify == "on" and tls.client_certificate is None:
        return Rejection(NO_CERTIFICATE, "client sent no required SSL certificate")
    if tls.ocsp_error is not None:
        text = f"client SSL certificate verify error: {tls.ocsp_error}"
        return Rejection(CERTIFICATE_ERROR, text)
    return None


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
