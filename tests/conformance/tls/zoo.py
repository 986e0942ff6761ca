"""Every animal of the zoo, under the directives of its own: nginx's whole line; and under those
that let it answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sniproxy.testing.zoo import Upstream, animals
from sniproxy.testing.zoo.animals import deep
from sniproxy.testing.zoo.wardrobe import DEEPEST
from tests.conformance.scenario import Scenario, Table, get

UNSTEADY = {animals.HANGS_UP.name}
"""To these nginx has two answers; see there."""


def met(upstream: Upstream) -> Scenario:
    scheme = "https" if upstream.tls else "http"
    where = f'server: front.test, request: "GET /NAME HTTP/1.1", upstream: "{scheme}://PEER/NAME"'
    line = f'{upstream.logged}, client: 127.0.0.1, {where}, host: "front.test"'
    return Scenario(
        upstream.name,
        f"an upstream that {upstream.does}",
        upstream.when,
        (upstream,),
        proxy_pass=f"{scheme}://PEER",
        status=upstream.status,
        sni="upstream.test" if "proxy_ssl_server_name on" in upstream.when else None,
        logs=(line,) if upstream.logged else (),
    )


def certified(name: str) -> str:
    return f"proxy_ssl_certificate {name}.pem; proxy_ssl_certificate_key {name}.key;"


def kept(upstream: Upstream) -> Scenario:
    """One that shows itself to a proxy that keeps connections, which groups do."""
    alone = met(upstream)
    return replace(
        alone,
        group="server PEER;",
        proxy_pass="https://GROUP",
        repeat=2,
        staying=1 if upstream.most else 0,
    )


OTHERS = {
    animals.CLOSES_KEPT.name: kept(animals.CLOSES_KEPT),
    animals.TIRED.name: kept(animals.TIRED),
    animals.TICKETS.name: replace(met(animals.TICKETS), repeat=2, offers=(False, True)),
    animals.BY_PATH.name: replace(
        met(animals.BY_PATH), requests=(get(path="PATH/503"),), status=503
    ),
}

SENT, VERIFY = animals.SENT, animals.VERIFY
WEAK = "proxy_ssl_ciphers DEFAULT:@SECLEVEL=0;"
HOST = f"{SENT} proxy_set_header Host upstream.test;"
NEW_ROOT = VERIFY.replace("root.pem", "new-root.pem")
CURES: tuple[tuple[Upstream, str], ...] = (
    (animals.GOOD_12, ""),
    (animals.GOOD_13, ""),
    (animals.NEEDS_SNI, SENT),
    (animals.NEEDS_SNI_40, SENT),
    (animals.NEEDS_SNI_49, SENT),
    (animals.NEEDS_SNI_80, SENT),
    (animals.NEEDS_SNI_BARE, SENT),
    (animals.NEEDS_SNI_CLOSES, SENT),
    (animals.NEEDS_SNI_RESETS, SENT),
    (animals.NEEDS_SNI_SILENT, SENT),
    (animals.NEEDS_SNI_CERTIFICATE, f"{VERIFY} proxy_ssl_server_name on;"),
    (animals.WANTS_HOST_421, HOST),
    (animals.WANTS_HOST_403, HOST),
    (animals.UNTRUSTED, VERIFY.replace("root.pem", "stranger.pem")),
    (animals.WILDCARD, VERIFY.replace("proxy_ssl_name ", "proxy_ssl_name any.")),
    (animals.DEEP, f"{VERIFY} proxy_ssl_verify_depth 2;"),
    (animals.CROSS_SIGNED, f"{VERIFY} proxy_ssl_verify_depth 2;"),
    (replace(animals.CROSS_SIGNED, name="cross-signed-anew"), NEW_ROOT),
    (animals.REVOKED, VERIFY),
    (animals.WANTS_CLIENT_12, certified("client")),
    (animals.WANTS_CLIENT_13, certified("client")),
    (animals.WANTS_OTHER_CLIENT, certified("client-stranger")),
    (animals.OLD, f"proxy_ssl_protocols TLSv1; {WEAK}"),
    (animals.WEAK_DH, WEAK),
    (animals.RSA_ONLY, ""),
    (animals.ECDSA_ONLY, ""),
    (animals.ONE_CIPHER, ""),
    (animals.BIG_HEADER, "proxy_buffer_size 32k; proxy_buffers 4 32k;"),
)


def cured() -> Iterator[Scenario]:
    for upstream, directives in CURES:
        yield Scenario(
            f"cured-{upstream.name}",
            f"an upstream that {upstream.does}, and gets what it wants",
            directives,
            (upstream,),
            sni="upstream.test" if "proxy_ssl_server_name on" in directives else None,
        )


TABLE = Table(
    "zoo",
    tuple(
        OTHERS.get(upstream.name) or met(upstream)
        for upstream in (*animals.ALL.values(), *map(deep, range(3, DEEPEST + 1)))
        if upstream.name not in UNSTEADY
    )
    + tuple(cured()),
)
