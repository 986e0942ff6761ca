"""`proxy_ssl_verify`: which certificates are refused, and with which words."""

from __future__ import annotations

from collections.abc import Iterator

from sniproxy.testing.upstreams import UpstreamSpec, catalog
from sniproxy.testing.upstreams.catalog import deep_chain, name_mismatch, verify_failed
from sniproxy.testing.upstreams.certificates import MAX_INTERMEDIATES
from tests.conformance.scenario import Scenario, Table

NAME = "proxy_ssl_name upstream.test;"
TRUSTED = "proxy_ssl_trusted_certificate root.pem;"
VERIFY = f"{NAME} {TRUSTED} proxy_ssl_verify on;"

REFUSED: tuple[tuple[UpstreamSpec, str], ...] = (
    (catalog.WRONG_HOST, "a certificate for another host is refused, with the name wanted"),
    (catalog.EXPIRED, "an expired certificate is refused"),
    (catalog.EARLY, "a certificate that is not valid yet is refused"),
    (catalog.EXPIRED_WRONG_HOST, "an error of the chain is told before one of the name"),
    (catalog.SELF_SIGNED, "a certificate that signs itself is refused"),
    (catalog.UNTRUSTED, "a certificate of an unknown authority is refused"),
    (catalog.UNTRUSTED_WITH_ROOT, "a root that is sent along is not trusted for that"),
    (catalog.INCOMPLETE, "a chain without its intermediate is refused"),
    (catalog.COMMON_NAME_HIDDEN, "CN does not count beside a subjectAltName"),
)

ACCEPTED: tuple[tuple[UpstreamSpec, str], ...] = (
    (catalog.GOOD_12, "a good certificate is accepted under TLS 1.2"),
    (catalog.GOOD_13, "a good certificate is accepted under TLS 1.3"),
    (catalog.WITH_ROOT, "the trusted root may be sent along"),
    (catalog.COMMON_NAME, "CN counts where there is no subjectAltName"),
)


def refused() -> Iterator[Scenario]:
    for upstream, rule in REFUSED:
        yield Scenario(
            f"refused-{upstream.name}",
            f"{rule}; the upstream has seen a finished handshake by then",
            VERIFY,
            upstreams=(upstream,),
            status=502,
            logs=(upstream.expected_log,),
        )
        yield Scenario(
            f"unverified-{upstream.name}",
            "without proxy_ssl_verify any certificate will do",
            f"{NAME} {TRUSTED}",
            upstreams=(upstream,),
        )


def accepted() -> Iterator[Scenario]:
    for upstream, rule in ACCEPTED:
        yield Scenario(f"accepted-{upstream.name}", rule, VERIFY, upstreams=(upstream,))


def depths() -> Iterator[Scenario]:
    """Chains of every length under every depth."""
    for intermediates in range(1, MAX_INTERMEDIATES + 1):
        for depth in (None, *range(MAX_INTERMEDIATES + 1)):
            fits = intermediates <= (1 if depth is None else depth)
            words = "by default" if depth is None else f"at depth {depth}"
            directive = "" if depth is None else f"proxy_ssl_verify_depth {depth};"
            yield Scenario(
                f"depth-{'unset' if depth is None else depth}-of-{intermediates}",
                f"{words} a chain of {intermediates} intermediates is "
                + ("accepted" if fits else "too long"),
                f"{VERIFY} {directive}",
                upstreams=(deep_chain(intermediates),),
                status=200 if fits else 502,
                logs=() if fits else (deep_chain(intermediates).expected_log,),
            )


OTHERS = (
    Scenario(
        "address-as-name",
        "an address that stands as a DNS name on the certificate matches",
        f"{TRUSTED} proxy_ssl_verify on;",
        upstreams=(catalog.ADDRESS_AS_NAME,),
    ),
    Scenario(
        "another-root",
        "only the named authorities count",
        f"{NAME} proxy_ssl_verify on; proxy_ssl_trusted_certificate stranger.pem;",
        status=502,
        logs=(verify_failed(21, ""),),
    ),
    Scenario(
        "leaf-trusted",
        "a self-signed certificate may be trusted itself",
        f"{NAME} proxy_ssl_verify on; proxy_ssl_trusted_certificate self-signed.pem;",
        upstreams=(catalog.SELF_SIGNED,),
    ),
    Scenario(
        "intermediate-trusted",
        "an intermediate among the trusted certificates does not end the chain",
        f"{NAME} proxy_ssl_verify on; proxy_ssl_trusted_certificate deep-1.pem;",
        upstreams=(deep_chain(1),),
        status=502,
        logs=(verify_failed(2, ""),),
    ),
    Scenario(
        "verified-name-and-sni",
        "the name is verified whether or not it is sent",
        f"{VERIFY} proxy_ssl_server_name on;",
        upstreams=(catalog.WRONG_HOST,),
        status=502,
        sni="upstream.test",
        logs=(name_mismatch("upstream.test"),),
    ),
    Scenario(
        "verify-off",
        "proxy_ssl_verify off is the default",
        f"{NAME} proxy_ssl_verify off;",
        upstreams=(catalog.SELF_SIGNED,),
    ),
)

TABLE = Table("verification", (*refused(), *accepted(), *depths(), *OTHERS))
