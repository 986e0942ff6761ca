"""`proxy_pass` with variables: names in the handshake, sessions, kept connections."""

from __future__ import annotations

from collections.abc import Iterator

from sniproxy.testing.upstreams import catalog
from sniproxy.testing.upstreams.catalog import CONNECTING, name_mismatch
from tests.conformance.scenario import Scenario, Table, get
from tests.conformance.upstream.keeping import KEEP

TRUST = "proxy_ssl_verify on; proxy_ssl_trusted_certificate root.pem;"
SNI = "proxy_ssl_server_name on;"
REUSE = "proxy_ssl_session_reuse on;"


def to(host: str, path: str = "PATH", last: bool = True) -> str:
    """A request that says where it is to go."""
    target = f"{path}?to={host}"
    return get(path=target) if last else KEEP.replace("PATH", target)


def leading(name: str, rule: str, *requests: str, **rest: object) -> Scenario:
    defaults: dict[str, object] = {"proxy_pass": "https://$arg_to", "upstreams": (catalog.GOOD,)}
    return Scenario(f"to-{name}", rule, requests=requests, **(defaults | rest))  # type: ignore[arg-type]


def names() -> Iterator[Scenario]:
    """What is sent and verified."""
    yield leading("address", "an address is no SNI", to("PEER"), directives=SNI)
    yield leading(
        "address-verified",
        "an address is verified as it is written",
        to("PEER"),
        directives=TRUST,
        status=502,
        logs=(name_mismatch("127.0.0.1"),),
    )
    yield leading(
        "group",
        "a group that variables name is the SNI, and its peers are those of the group",
        to("GROUP"),
        directives=SNI,
        group="server PEER;",
        sni="GROUP",
        open_connections=1,
    )
    yield leading(
        "group-verified",
        "the group's name is verified",
        to("GROUP"),
        directives=TRUST,
        group="server PEER;",
        upstreams=(catalog.WRONG_HOST,),
        status=502,
        logs=(name_mismatch("GROUP"),),
    )
    yield leading(
        "upper",
        "the name is that of the group, whatever the case of the variable's",
        to("TO-UPPER.Groups.Test"),
        directives=SNI,
        group="server PEER;",
        sni="GROUP",
        open_connections=1,
    )
    yield leading(
        "named",
        "proxy_ssl_name has the last word",
        to("PEER"),
        directives=f"{SNI} {TRUST} proxy_ssl_name upstream.test;",
        sni="upstream.test",
    )
    yield leading(
        "named-by-host",
        "proxy_ssl_name may be what variables lead to, without its port",
        to("PEER"),
        directives=f"{SNI} proxy_ssl_name $proxy_host;",
    )
    yield leading(
        "scheme",
        "the scheme may come from a variable",
        get(path="PATH?to=https://PEER"),
        proxy_pass="$arg_to",
    )
    yield leading(
        "plain",
        "and be plain HTTP then",
        get(path="PATH?to=http://PEER"),
        proxy_pass="$arg_to",
        upstreams=(catalog.PLAIN,),
    )


def memory() -> Iterator[Scenario]:
    """What outlives a request, and what does not."""
    yield leading(
        "session",
        "an address that variables alone name keeps no session",
        to("PEER", last=False),
        to("PEER"),
        directives=REUSE,
    )
    yield leading(
        "session-known",
        "one that a proxy_pass without variables names too shares its session",
        KEEP.replace("PATH", "PATH/fixed"),
        to("PEER"),
        directives=REUSE,
        server=f"location PATH/fixed {{ proxy_pass https://PEER; {REUSE} }}",
        sessions_offered=(False, True),
    )
    yield leading(
        "session-group",
        "so do the peers of a group",
        to("GROUP", last=False),
        to("GROUP"),
        directives=REUSE,
        group="server PEER; keepalive 0;",
        sessions_offered=(False, True),
    )
    yield leading(
        "kept",
        "a group keeps its connections for the location",
        to("GROUP", last=False),
        to("GROUP", last=False),
        to("GROUP"),
        group="server PEER;",
        open_connections=1,
    )
    yield leading(
        "not-kept",
        "an address keeps none",
        to("PEER", last=False),
        to("PEER"),
    )
    yield leading(
        "failed-group",
        "a group remembers who has failed",
        to("GROUP", last=False),
        to("GROUP"),
        group="server PEER; server PEER2;",
        upstreams=(catalog.ABSENT, catalog.GOOD),
        logs=(
            f"connect() failed (111: ){CONNECTING}",
            f"upstream server temporarily disabled{CONNECTING}",
        ),
        open_connections=1,
    )


TABLE = Table("destinations", (*names(), *memory()))
