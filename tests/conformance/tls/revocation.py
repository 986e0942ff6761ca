"""`proxy_ssl_crl`: revoked certificates, and lists that are missing, old or not begun."""

from __future__ import annotations

from collections.abc import Iterator

from sniproxy.testing.upstreams import TLS, UpstreamSpec, catalog
from sniproxy.testing.upstreams.catalog import deep_chain, verify_failed
from tests.conformance.scenario import Scenario, Table
from tests.conformance.tls.verification import NAME, VERIFY

REVOKED = UpstreamSpec("revoked", "shows a certificate that was revoked", tls=TLS("revoked"))
DEEP = deep_chain(1)

# The list, the upstream, and the number of the error; 0 is none.
LISTS: tuple[tuple[str, UpstreamSpec, int, str], ...] = (
    ("none-revoked", catalog.GOOD, 0, "a certificate that is on no list is accepted"),
    ("one-revoked", catalog.GOOD, 0, "the revocation of another one does not matter"),
    ("one-revoked", REVOKED, 23, "a revoked certificate is refused"),
    ("old", catalog.GOOD, 12, "a list whose time is over refuses all"),
    ("coming", catalog.GOOD, 11, "a list whose time has not begun refuses all"),
    ("strange", catalog.GOOD, 3, "without a list of its authority a certificate is refused"),
    ("none-revoked", catalog.UNTRUSTED, 21, "the error told is the last one that was found"),
    ("none-revoked", DEEP, 3, "every authority of the chain needs a list"),
    ("both", DEEP, 0, "a file may hold several lists"),
    ("leaf-revoked", DEEP, 23, "the intermediate's list counts for the leaf"),
    ("authority-revoked", DEEP, 23, "an intermediate may be revoked"),
    ("one-revoked", catalog.EXPIRED, 10, "an expired certificate is told as such"),
)


def lists() -> Iterator[Scenario]:
    for crl, upstream, number, rule in LISTS:
        yield Scenario(
            f"{crl}-{upstream.name}",
            rule,
            f"{VERIFY} proxy_ssl_crl {crl}.crl;",
            (upstream,),
            status=502 if number else 200,
            logs=(verify_failed(number, ""),) if number else (),
        )


OTHERS = (
    Scenario(
        "unverified",
        "without proxy_ssl_verify the lists are not even read",
        f"{NAME} proxy_ssl_crl nothing.crl;",
        (REVOKED,),
    ),
    Scenario(
        "unlisted",
        "without proxy_ssl_crl nothing is revoked",
        VERIFY,
        (REVOKED,),
    ),
    Scenario(
        "nothing-of-the-outer",
        "an empty name takes the lists of the location around away",
        f"{VERIFY} proxy_ssl_crl one-revoked.crl;"
        " location PATH/inner { proxy_pass https://PEER; proxy_ssl_crl ''; }",
        (REVOKED,),
        requests=("GET PATH/inner HTTP/1.0\r\nHost: front.test\r\n\r\n",),
    ),
    Scenario(
        "of-the-outer",
        "the lists of the location around count inside",
        f"{VERIFY} proxy_ssl_crl one-revoked.crl;"
        " location PATH/inner { proxy_pass https://PEER; }",
        (REVOKED,),
        requests=("GET PATH/inner HTTP/1.0\r\nHost: front.test\r\n\r\n",),
        status=502,
        logs=(verify_failed(23, ""),),
    ),
)

TABLE = Table("revocation", (*lists(), *OTHERS))
