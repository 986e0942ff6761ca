"""`keepalive` of a group: which connection carries which request, and when it ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sniproxy.testing.upstreams import Action, AfterSend, UpstreamSpec, catalog
from sniproxy.testing.upstreams.catalog import READING_HEAD
from sniproxy.testing.upstreams.spec import response
from tests.conformance.scenario import Scenario, Table, get, request
from tests.conformance.upstream.groups import disabled
from tests.conformance.upstream.keeping import KEEP

PLAIN = catalog.PLAIN
OTHER = KEEP.replace("PATH", "PATH/other")
PREMATURE = f"upstream prematurely closed connection{READING_HEAD}"
LOST = "proxy_ssl_server_name on; proxy_ssl_name other.test;"

ENDS = UpstreamSpec(
    "ends",
    "answers, and then ends the connection without a word about it before",
    tls=None,
    response=Action(response("ends\n")),
)
ENDS_TLS = replace(ENDS, name="ends-tls", tls=catalog.GOOD.tls)
LATE = replace(
    catalog.GOOD,
    name="late",
    description="takes its time",
    response=Action(response("late\n"), AfterSend.WAIT, byte_interval=0.001),
)
TIRED = replace(
    PLAIN, name="tired", description="answers one request and closes at the next", max_requests=1
)
TIRED_TLS = replace(catalog.GOOD, name="tired-tls", description=TIRED.description, max_requests=1)


def pool(name: str, rule: str, group: str = "server PEER;", **rest: object) -> Scenario:
    plain = {
        "upstreams": (PLAIN,),
        "proxy_pass": "http://GROUP",
        "group": group,
        "open_connections": 1,
    }
    return Scenario(f"kept-{name}", rule, **(plain | rest))  # type: ignore[arg-type]


def other(directives: str = "", target: str = "http://GROUP") -> str:
    """A second location that leads to the same group."""
    return f"location PATH/other {{ proxy_pass {target}; {directives} }}"


def numbers() -> Iterator[Scenario]:
    """How many connections are kept, and for how much."""
    two = (PLAIN, PLAIN)
    yield pool(
        "0", "keepalive 0 keeps none", "server PEER; keepalive 0;", repeat=2, open_connections=0
    )
    yield pool(
        "1",
        "the connection that was used longest ago makes room",
        "server PEER; server PEER2; keepalive 1;",
        upstreams=two,
        repeat=4,
    )
    yield pool(
        "2",
        "each peer's connection is used again",
        "server PEER; server PEER2; keepalive 2;",
        upstreams=two,
        repeat=4,
        open_connections=2,
    )
    yield pool(
        "requests",
        "keepalive_requests is the number of requests that one carries",
        "server PEER; keepalive_requests 2;",
        repeat=5,
    )
    yield pool(
        "requests-1",
        "keepalive_requests 1 keeps none",
        "server PEER; keepalive_requests 1;",
        repeat=2,
        open_connections=0,
    )
    yield pool(
        "timeout",
        "an idle connection is closed after keepalive_timeout",
        "server PEER; keepalive_timeout 50ms;",
        open_connections=0,
    )
    yield pool(
        "timeout-tls",
        "an idle connection is closed without a close_notify",
        "server PEER; keepalive_timeout 50ms;",
        upstreams=(catalog.GOOD,),
        proxy_pass="https://GROUP",
        open_connections=0,
    )
    yield pool(
        "time",
        "a connection older than keepalive_time is not kept",
        "server PEER; keepalive_time 0;",
        upstreams=(LATE,),  # the clock of nginx ticks every few milliseconds
        proxy_pass="https://GROUP",
        repeat=2,
        open_connections=0,
    )


def places() -> Iterator[Scenario]:
    """Which locations share connections."""
    three = (KEEP, OTHER, get())
    yield pool(
        "local-default",
        "a location keeps its connections for itself",
        server=other(),
        requests=three,
        open_connections=2,
    )
    yield pool(
        "local",
        "so it does where keepalive says local",
        "server PEER; keepalive 9 local;",
        server=other(),
        requests=three,
        open_connections=2,
    )
    yield pool(
        "local-bound",
        "the number is the group's, not the location's",
        "server PEER; keepalive 1 local;",
        server=other(),
        requests=(KEEP, OTHER, KEEP, get(path="PATH/other")),
    )
    yield pool(
        "shared",
        "without local the locations of a group share its connections",
        "server PEER; keepalive 9;",
        server=other(),
        requests=three,
    )
    yield pool(
        "shared-names",
        "whatever name and verification the other location wants for a new one",
        "server PEER; keepalive 9;",
        upstreams=(catalog.SELF_SIGNED,),
        proxy_pass="https://GROUP",
        server=other(
            "proxy_ssl_verify on; proxy_ssl_trusted_certificate root.pem; " + LOST, "https://GROUP"
        ),
        requests=(KEEP, get(path="PATH/other")),
    )
    yield pool(
        "one-location-names",
        "a location uses its connection again for another name",
        directives="proxy_ssl_server_name on; proxy_ssl_name $arg_name;",
        upstreams=(catalog.GOOD,),
        proxy_pass="https://GROUP",
        requests=(
            KEEP.replace("PATH", "PATH?name=upstream.test"),
            get(path="PATH?name=any.wild.test"),
        ),
        sni="upstream.test",
    )
    yield pool(
        "tls-for-plain",
        "and TLS, for one that wants none",
        "server PEER; keepalive 9;",
        upstreams=(catalog.GOOD,),
        proxy_pass="https://GROUP",
        server=other(),
        requests=(KEEP, get(path="PATH/other")),
    )
    yield pool(
        "if",
        "an if is a location of its own",
        directives="if ($arg_a) { set $b 1; }",
        requests=(KEEP, KEEP.replace("PATH", "PATH?a=1"), get()),
        open_connections=2,
    )
    yield pool(
        "twice",
        "a connection belongs to an address, not to a server of the group",
        "server PEER; server PEER;",
        repeat=3,
    )


def ends() -> Iterator[Scenario]:
    """Connections that the upstream ends."""
    for upstream, scheme in ((ENDS, "http"), (ENDS_TLS, "https")):
        yield pool(
            upstream.name,
            "a connection that ends while it is idle is closed, and nobody hears of it",
            upstreams=(upstream,),
            proxy_pass=f"{scheme}://GROUP",
            repeat=3,
            open_connections=0,
        )
    for upstream, scheme in ((TIRED, "http"), (TIRED_TLS, "https")):
        yield pool(
            upstream.name,
            "a request that meets the end of a kept connection is asked again on a new one",
            upstreams=(upstream,),
            proxy_pass=f"{scheme}://GROUP",
            repeat=3,
            logs=(PREMATURE, PREMATURE),
        )
    yield pool(
        "tired-post",
        "one that is not idempotent is not",
        upstreams=(TIRED,),
        requests=(KEEP, request("POST", body="a=1")),
        status=(200, 502),
        logs=(PREMATURE,),
        open_connections=0,
    )
    yield pool(
        "tired-post-repeated",
        "unless it is said to be",
        directives="proxy_next_upstream error non_idempotent;",
        upstreams=(TIRED,),
        requests=(KEEP, request("POST", body="a=1")),
        logs=(PREMATURE,),
    )
    yield pool(
        "tired-off",
        "nor is any where errors are not passed on",
        directives="proxy_next_upstream off;",
        upstreams=(TIRED,),
        repeat=2,
        status=(200, 502),
        logs=(PREMATURE,),
        open_connections=0,
    )
    yield pool(
        "tired-two",
        "in a group of two the other one is asked, and the failure counts",
        "server PEER; server PEER2;",
        upstreams=(TIRED, PLAIN),
        repeat=4,
        logs=(PREMATURE, disabled(READING_HEAD)),
    )
    yield pool(
        "tired-tries",
        "an end that came while idle is no try of proxy_next_upstream_tries",
        "server PEER max_fails=0; server PEER2;",
        directives="proxy_next_upstream_tries 1;",
        upstreams=(TIRED, PLAIN),
        repeat=4,
        logs=(PREMATURE,),
        open_connections=1,
    )


TABLE = Table("kept", (*numbers(), *places(), *ends()))
