"""`ssl_verify_client`: what a client's certificate means to a request (pure).

The handshake went through whatever the client showed; the server that the request is for
judges, in the order of nginx's ngx_http_process_request.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..facts import ClientTLS

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
"""The X509_V_ERR_* that `optional_no_ca` lets pass."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not served: the page to show, and the line at `info`."""

    status: int
    text: str


def refusal(verify: str, tls: ClientTLS) -> Refusal | None:
    """What `ssl_verify_client VERIFY` says to a request; None where it may go on."""
    if verify == "off":
        return None
    result = tls.verify_result
    if result and not (verify == "optional_no_ca" and result in _UNKNOWN_AUTHORITY):
        text = f"client SSL certificate verify error: ({result}:{tls.verify_error()})"
        return Refusal(CERTIFICATE_ERROR, text)
    if verify == "on" and tls.client_certificate is None:
        return Refusal(NO_CERTIFICATE, "client sent no required SSL certificate")
    return None
