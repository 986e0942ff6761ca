"""Those with a certificate that is no good (to a proxy that verifies, and wants GOOD_NAME)."""

from __future__ import annotations

from sniproxy.testing.zoo.animals.good import TLS12, TLS13
from sniproxy.testing.zoo.animals.words import (
    HANDSHAKE_FAILURE,
    READING_HEAD,
    VERIFY,
    handshake_failed,
    name_missing,
    verify_failed,
)
from sniproxy.testing.zoo.behaviour import TLS, Upstream
from sniproxy.testing.zoo.wardrobe import GOOD_NAME

VERIFY_ADDRESS = VERIFY.replace(GOOD_NAME, "127.0.0.1")


def dressed(certificate: str, does: str, logged: str = "", when: str = VERIFY) -> Upstream:
    return Upstream(certificate, does, logged, when, tls=TLS(certificate))


WRONG_HOST = dressed("wrong-host", "is certified as other.test", name_missing(GOOD_NAME))
EXPIRED = dressed(
    "expired", "is certified until yesterday", verify_failed(10, "certificate has expired")
)
EARLY = dressed(
    "early", "is certified from next week on", verify_failed(9, "certificate is not yet valid")
)
EXPIRED_WRONG_HOST = dressed(
    "expired-wrong-host",
    "is certified until yesterday, as other.test",
    verify_failed(10, "certificate has expired"),
)
SELF_SIGNED = dressed(
    "self-signed", "certifies itself", verify_failed(18, "self-signed certificate")
)
UNTRUSTED = dressed(
    "untrusted",
    "is certified by a stranger",
    verify_failed(21, "unable to verify the first certificate"),
)
UNTRUSTED_WITH_ROOT = dressed(
    "untrusted-with-root",
    "is certified by a stranger, whose root it sends",
    verify_failed(19, "self-signed certificate in certificate chain"),
)
INCOMPLETE = dressed(
    "incomplete",
    "forgets its intermediate certificate",
    verify_failed(21, "unable to verify the first certificate"),
)
WITH_ROOT = dressed("with-root", "sends the trusted root too")
COMMON_NAME = dressed("common-name", "has its name as CN, and no subjectAltName")
COMMON_NAME_HIDDEN = dressed(
    "common-name-hidden", "has its name as CN, another as SAN", name_missing(GOOD_NAME)
)
ADDRESS_AS_NAME = dressed("address-as-name", "has 127.0.0.1 as a DNS name", when=VERIFY_ADDRESS)
IP_ADDRESS = dressed(
    "ip-address",
    "is certified as IP address 127.0.0.1, which nginx does not look at",
    name_missing("127.0.0.1"),
    VERIFY_ADDRESS,
)
WILDCARD = dressed("wildcard", f"is certified as *.{GOOD_NAME}", name_missing(GOOD_NAME))
CROSS_SIGNED = dressed(
    "cross-signed",
    "is certified by a new root, and sends what the trusted old one says of that",
    verify_failed(20, "unable to get local issuer certificate"),
)
REVOKED = dressed(
    "revoked",
    "is certified, and revoked",
    verify_failed(23, "certificate revoked"),
    f"{VERIFY} proxy_ssl_crl one-revoked.crl;",
)
BIG_CHAIN = dressed("big-chain", "sends 80 certificates that nobody needs, 30 kB of them")
TOO_BIG_CHAIN = dressed(
    "too-big-chain",
    "sends 400 certificates that nobody needs, more than OpenSSL takes",
    handshake_failed("0A000098", "excessive message size"),
)


def deep(intermediates: int) -> Upstream:
    """A chain of so many intermediates; good if `proxy_ssl_verify_depth` allows as many."""
    return dressed(
        f"deep-{intermediates}",
        f"sends a chain with {intermediates} intermediates",
        verify_failed(20, "unable to get local issuer certificate"),
    )


DEEP = deep(2)

# Those that want a client certificate.

WANTS_CLIENT_12 = Upstream(
    "wants-client-1.2",
    "insists on a client certificate, in TLS 1.2",
    HANDSHAKE_FAILURE,
    tls=TLS(client_authority="client-root", maximum=TLS12),
)
WANTS_CLIENT_13 = Upstream(
    "wants-client-1.3",
    "insists on a client certificate, in TLS 1.3",
    "SSL_read() failed (SSL: error:0A00045C:SSL routines::tlsv13 alert certificate required:"
    f"SSL alert number 116){READING_HEAD}",
    tls=TLS(client_authority="client-root", minimum=TLS13),
)
WANTS_OTHER_CLIENT = Upstream(
    "wants-other-client",
    "insists on a client certificate, of another CA than the client's",
    "SSL_read() failed (SSL: error:0A000418:SSL routines::tlsv1 alert unknown ca:"
    f"SSL alert number 48){READING_HEAD}",
    "proxy_ssl_certificate client.pem; proxy_ssl_certificate_key client.key;",
    tls=TLS(client_authority="stranger", minimum=TLS13),
)
