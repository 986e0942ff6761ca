"""Upstreams whose certificate fails verification, or whose chain is unusual.

The proxy is expected to verify the certificate for GOOD_NAME. At the end are the upstreams that
request a client certificate.
"""

from __future__ import annotations

from sniproxy.testing.upstreams.catalog.good import TLS12, TLS13
from sniproxy.testing.upstreams.catalog.log_messages import (
    HANDSHAKE_FAILURE,
    READING_HEAD,
    VERIFY,
    handshake_failed,
    name_mismatch,
    verify_failed,
)
from sniproxy.testing.upstreams.certificates import GOOD_NAME
from sniproxy.testing.upstreams.spec import TLS, UpstreamSpec

VERIFY_ADDRESS = VERIFY.replace(GOOD_NAME, "127.0.0.1")


def with_certificate(
    certificate: str, description: str, expected_log: str = "", directives: str = VERIFY
) -> UpstreamSpec:
    """An upstream with a certificate of `certificates.py`, which it is named after."""
    return UpstreamSpec(certificate, description, expected_log, directives, tls=TLS(certificate))


WRONG_HOST = with_certificate(
    "wrong-host", "presents a certificate for other.test", name_mismatch(GOOD_NAME)
)
EXPIRED = with_certificate(
    "expired", "presents an expired certificate", verify_failed(10, "certificate has expired")
)
EARLY = with_certificate(
    "early",
    "presents a certificate that is not yet valid",
    verify_failed(9, "certificate is not yet valid"),
)
EXPIRED_WRONG_HOST = with_certificate(
    "expired-wrong-host",
    "presents an expired certificate for other.test",
    verify_failed(10, "certificate has expired"),
)
EXPIRED_AUTHORITY = with_certificate(
    "expired-authority",
    "presents a certificate of an intermediate CA that has expired",
    verify_failed(10, "certificate has expired"),
)
SHORT_PATH = with_certificate(
    "short-path",
    "presents a certificate of a CA below one that may have none below it",
    verify_failed(25, "path length constraint exceeded"),
    f"{VERIFY} proxy_ssl_verify_depth 2;",
)
WRONG_PURPOSE = with_certificate(
    "wrong-purpose",
    "presents a certificate made for clients",
    verify_failed(26, "unsuitable certificate purpose"),
)
SELF_SIGNED = with_certificate(
    "self-signed",
    "presents a self-signed certificate",
    verify_failed(18, "self-signed certificate"),
)
UNTRUSTED = with_certificate(
    "untrusted",
    "presents a certificate of an untrusted CA",
    verify_failed(21, "unable to verify the first certificate"),
)
UNTRUSTED_WITH_ROOT = with_certificate(
    "untrusted-with-root",
    "presents a certificate of an untrusted CA, and sends its root",
    verify_failed(19, "self-signed certificate in certificate chain"),
)
INCOMPLETE = with_certificate(
    "incomplete",
    "does not send its intermediate certificate",
    verify_failed(21, "unable to verify the first certificate"),
)
WITH_ROOT = with_certificate("with-root", "sends the trusted root with its chain")
COMMON_NAME = with_certificate(
    "common-name", "presents a certificate with its name as CN, and no subjectAltName"
)
COMMON_NAME_HIDDEN = with_certificate(
    "common-name-hidden",
    "presents a certificate with its name as CN, and another in subjectAltName",
    name_mismatch(GOOD_NAME),
)
ADDRESS_AS_NAME = with_certificate(
    "address-as-name",
    "presents a certificate with 127.0.0.1 as a DNS name",
    directives=VERIFY_ADDRESS,
)
IP_ADDRESS = with_certificate(
    "ip-address",
    "presents a certificate for the IP address 127.0.0.1, which nginx does not check",
    name_mismatch("127.0.0.1"),
    VERIFY_ADDRESS,
)
WILDCARD = with_certificate(
    "wildcard", f"presents a certificate for *.{GOOD_NAME}", name_mismatch(GOOD_NAME)
)
CROSS_SIGNED = with_certificate(
    "cross-signed",
    "presents a certificate of a new root, and that root cross-signed by the trusted one",
    verify_failed(20, "unable to get local issuer certificate"),
)
REVOKED = with_certificate(
    "revoked",
    "presents a revoked certificate",
    verify_failed(23, "certificate revoked"),
    f"{VERIFY} proxy_ssl_crl one-revoked.crl;",
)
BIG_CHAIN = with_certificate("big-chain", "sends 80 unneeded certificates, 30 kB in all")
TOO_BIG_CHAIN = with_certificate(
    "too-big-chain",
    "sends 400 unneeded certificates, more than OpenSSL accepts",
    handshake_failed("0A000098", "excessive message size"),
)


def deep_chain(intermediates: int) -> UpstreamSpec:
    """An upstream with so many intermediates; `proxy_ssl_verify_depth` has to allow as many."""
    return with_certificate(
        f"deep-{intermediates}",
        f"sends a chain with {intermediates} intermediates",
        verify_failed(20, "unable to get local issuer certificate"),
    )


DEEP = deep_chain(2)

# Upstreams that request a client certificate.

WANTS_CLIENT_12 = UpstreamSpec(
    "wants-client-1.2",
    "requires a client certificate, over TLS 1.2",
    HANDSHAKE_FAILURE,
    tls=TLS(client_ca="client-root", max_version=TLS12),
)
WANTS_CLIENT_13 = UpstreamSpec(
    "wants-client-1.3",
    "requires a client certificate, over TLS 1.3",
    "SSL_read() failed (SSL: error:0A00045C:SSL routines::tlsv13 alert certificate required:"
    f"SSL alert number 116){READING_HEAD}",
    tls=TLS(client_ca="client-root", min_version=TLS13),
)
WANTS_OTHER_CLIENT = UpstreamSpec(
    "wants-other-client",
    "requires a client certificate of a CA other than the client's",
    "SSL_read() failed (SSL: error:0A000418:SSL routines::tlsv1 alert unknown ca:"
    f"SSL alert number 48){READING_HEAD}",
    "proxy_ssl_certificate client.pem; proxy_ssl_certificate_key client.key;",
    tls=TLS(client_ca="stranger", min_version=TLS13),
)
