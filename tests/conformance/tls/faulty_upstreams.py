"""Every upstream of the catalog, with the directives under which it fails and nginx's whole log
line, and with the directives that fix it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sniproxy.testing.upstreams import UpstreamSpec, catalog
from sniproxy.testing.upstreams.catalog import deep_chain
from sniproxy.testing.upstreams.certificates import MAX_INTERMEDIATES
from tests.conformance.scenario import Scenario, Table, get

NONDETERMINISTIC = {catalog.HANGS_UP.name}
"""Upstreams that nginx reacts to in two ways; see the comment there."""


def scenario(upstream: UpstreamSpec) -> Scenario:
    scheme, uri = "https" if upstream.tls else "http", "/NAME"
    if "proxy_http_version 2" in upstream.directives:
        uri = ""
    proxy_pass, directives = f"{scheme}://PEER", upstream.directives
    if upstream.passed_by != "proxy_pass":
        scheme, uri = upstream.passed_by.removesuffix("_pass"), ""
        proxy_pass, directives = "none", f"{upstream.passed_by} PEER; {directives}"
    where = f'server: front.test, request: "GET /NAME HTTP/1.1", upstream: "{scheme}://PEER{uri}"'
    line = f'{upstream.expected_log}, client: 127.0.0.1, {where}, host: "front.test"'
    return Scenario(
        upstream.name,
        f"The upstream {upstream.description}.",
        directives,
        (upstream,),
        proxy_pass=proxy_pass,
        status=upstream.status,
        sni="upstream.test" if "proxy_ssl_server_name on" in upstream.directives else None,
        logs=(line,) if upstream.expected_log else (),
    )


def client_certificate(name: str) -> str:
    return f"proxy_ssl_certificate {name}.pem; proxy_ssl_certificate_key {name}.key;"


def pool(upstream: UpstreamSpec) -> Scenario:
    """An upstream whose fault shows when connections are kept alive, which needs a group."""
    single = scenario(upstream)
    return replace(
        single,
        group="server PEER;",
        proxy_pass="https://GROUP",
        repeat=2,
        open_connections=1 if upstream.max_requests else 0,
    )


SPECIAL = {
    catalog.CLOSES_IDLE.name: pool(catalog.CLOSES_IDLE),
    catalog.CLOSES_SECOND_REQUEST.name: pool(catalog.CLOSES_SECOND_REQUEST),
    catalog.TICKETS.name: replace(
        scenario(catalog.TICKETS), repeat=2, sessions_offered=(False, True)
    ),
    catalog.BY_PATH.name: replace(
        scenario(catalog.BY_PATH), requests=(get(path="PATH/503"),), status=503
    ),
}

SENT, VERIFY = catalog.SEND_SNI, catalog.VERIFY
WEAK = "proxy_ssl_ciphers DEFAULT:@SECLEVEL=0;"
HOST = f"{SENT} proxy_set_header Host upstream.test;"
NEW_ROOT = VERIFY.replace("root.pem", "new-root.pem")
FIXES: tuple[tuple[UpstreamSpec, str], ...] = (
    (catalog.GOOD_12, ""),
    (catalog.GOOD_13, ""),
    (catalog.NEEDS_SNI, SENT),
    (catalog.NEEDS_SNI_40, SENT),
    (catalog.NEEDS_SNI_49, SENT),
    (catalog.NEEDS_SNI_80, SENT),
    (catalog.NEEDS_SNI_BAD_RECORD, SENT),
    (catalog.NEEDS_SNI_CLOSES, SENT),
    (catalog.NEEDS_SNI_RESETS, SENT),
    (catalog.NEEDS_SNI_SILENT, SENT),
    (catalog.NEEDS_SNI_CERTIFICATE, f"{VERIFY} proxy_ssl_server_name on;"),
    (catalog.WANTS_HOST_421, HOST),
    (catalog.WANTS_HOST_403, HOST),
    (catalog.UNTRUSTED, VERIFY.replace("root.pem", "stranger.pem")),
    (catalog.WILDCARD, VERIFY.replace("proxy_ssl_name ", "proxy_ssl_name any.")),
    (catalog.DEEP, f"{VERIFY} proxy_ssl_verify_depth 2;"),
    (catalog.CROSS_SIGNED, f"{VERIFY} proxy_ssl_verify_depth 2;"),
    (replace(catalog.CROSS_SIGNED, name="cross-signed-anew"), NEW_ROOT),
    (catalog.REVOKED, VERIFY),
    (catalog.WANTS_CLIENT_12, client_certificate("client")),
    (catalog.WANTS_CLIENT_13, client_certificate("client")),
    (catalog.WANTS_OTHER_CLIENT, client_certificate("client-stranger")),
    (catalog.TLS10_ONLY, f"proxy_ssl_protocols TLSv1; {WEAK}"),
    (catalog.WEAK_DH, WEAK),
    (catalog.RSA_ONLY, ""),
    (catalog.ECDSA_ONLY, ""),
    (catalog.ONE_CIPHER, ""),
    (catalog.BIG_HEADER, "proxy_buffer_size 32k; proxy_buffers 4 32k;"),
)


def fixed() -> Iterator[Scenario]:
    for upstream, directives in FIXES:
        yield Scenario(
            f"fixed-{upstream.name}",
            f"With these directives nginx gets 200 of an upstream that {upstream.description}.",
            directives,
            (upstream,),
            sni="upstream.test" if "proxy_ssl_server_name on" in directives else None,
        )


TABLE = Table(
    "faulty-upstreams",
    tuple(
        SPECIAL.get(upstream.name) or scenario(upstream)
        for upstream in (*catalog.ALL.values(), *map(deep_chain, range(3, MAX_INTERMEDIATES + 1)))
        if upstream.name not in NONDETERMINISTIC
    )
    + tuple(fixed()),
)
