"""Which requests and connections `limit_req` and `limit_conn` refuse, and in which words."""

from __future__ import annotations

from collections.abc import Iterator

from tests.conformance.scenario import Scenario, Table, get

STATUS_FIELDS = (
    "add_header X-Req $limit_req_status always; add_header X-Conn $limit_conn_status always; "
)


def ask(*fields: str, path: str = "PATH") -> str:
    """A request on a connection that stays open."""
    return get(*fields, path=path).replace("Connection: close\r\n", "")


def limiting(
    name: str,
    rule: str,
    directives: str,
    *,
    status: int | tuple[int, ...] = 200,
    sends: tuple[str, ...] = (ask(), ask(), get()),
    logs: tuple[str, ...] = (),
    server: str = "",
    location: str = "PATH",
) -> Scenario:
    return Scenario(
        name,
        rule,
        f"{STATUS_FIELDS}{directives}",
        (),
        proxy_pass="none",
        requests=sends,
        status=status,
        logs=logs,
        files={"html/NAME": "hello\n", "html/NAME-2": "two\n"},
        server=server,
        location=location,
    )


REFUSED = "limiting requests, excess: 1.000 by zone"


def requests() -> Iterator[Scenario]:
    yield limiting(
        "req",
        "Beyond the rate without a burst, requests are refused with 503.",
        "limit_req zone=slow;",
        status=(200, 503, 503),
        logs=(REFUSED, REFUSED),
    )
    yield limiting(
        "req-burst",
        "A burst lets so many requests in; with nodelay they do not wait.",
        "limit_req zone=slow burst=1 nodelay;",
        status=(200, 200, 503),
        logs=("limiting requests, excess: 2.000 by zone",),
    )
    yield limiting(
        "req-delay",
        "Requests of the burst are delayed unless they are below the delay.",
        "limit_req zone=slow burst=5 delay=1; limit_req_dry_run on;",
        logs=("delaying request, dry run, excess: 2.000, by zone",),
    )
    yield limiting(
        "req-status",
        "Status and level of the refusal are configurable, and error_page applies.",
        "limit_req zone=slow; limit_req_status 429; limit_req_log_level info;"
        "error_page 429 /NAME-2;",
        server="location = /NAME-2 { }",
        status=(200, 429, 429),
        logs=(REFUSED, REFUSED),
    )
    yield limiting(
        "req-dry-run",
        "A dry run logs and lets requests in.",
        "limit_req zone=slow burst=1; limit_req_dry_run on;",
        logs=(
            "delaying request, dry run, excess: 1.000, by zone",
            "limiting requests, dry run, excess: 2.000 by zone",
        ),
    )
    yield limiting(
        "req-key",
        "Each value of the key has its own rate, and an empty one none.",
        "limit_req zone=keyed;",
        sends=(ask("X-K: a"), ask("X-K: b"), ask(), ask(), get("X-K: a")),
        status=(200, 200, 200, 200, 503),
        logs=(REFUSED,),
    )
    yield limiting(
        "req-two",
        "Of several limits the first one that is exceeded refuses, and nothing is counted.",
        "limit_req zone=keyed burst=1 nodelay; limit_req zone=slow;",
        sends=(ask("X-K: c"), ask("X-K: c"), ask("X-K: c"), get("X-K: c")),
        status=(200, 503, 503, 503),
        logs=("limiting requests",) * 3,
    )
    yield limiting(
        "req-inherited",
        "A location without limits of its own has those of the server.",
        "",
        status=200,
    )
    yield limiting(
        "req-redirected",
        "An internal redirect is not counted again.",
        "limit_req zone=slow; error_page 404 /NAME-2; alias nowhere;",
        server="location = /NAME-2 { limit_req zone=slow; }",
        sends=(get(),),
        status=404,
        logs=('open() "PREFIX/nowhere" failed',),
    )


def connections() -> Iterator[Scenario]:
    yield limiting(
        "conn",
        "Requests one after the other never exceed one connection.",
        "limit_conn live 1;",
    )
    yield limiting(
        "conn-subrequest",
        "A connection that a subrequest counts is released at the end of the request.",
        "auth_request /NAME-auth;",
        server="location = /NAME-auth { limit_conn live 1; return 204; }",
    )
    yield limiting(
        "conn-and-req",
        "limit_req comes before limit_conn.",
        "limit_conn live 1; limit_req zone=slow;",
        status=(200, 503, 503),
        logs=(REFUSED, REFUSED),
    )


TABLE = Table(
    "limiting",
    (*requests(), *connections()),
    before=(
        "limit_req_zone $uri zone=slow:64k rate=1r/m;"
        "limit_req_zone $http_x_k zone=keyed:64k rate=1r/m; limit_conn_zone $uri zone=live:64k;"
    ),
)
