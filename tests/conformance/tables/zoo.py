"""Every animal of the zoo, under the directives of its own: nginx's whole line."""

from __future__ import annotations

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

TABLE = Table(
    "zoo",
    tuple(
        OTHERS.get(upstream.name) or met(upstream)
        for upstream in (*animals.ALL.values(), *map(deep, range(3, DEEPEST + 1)))
        if upstream.name not in UNSTEADY
    ),
)
