"""Which responses `proxy_store` writes to files; a second location serves the files."""

from __future__ import annotations

from collections.abc import Iterator

from tests.conformance.scenario import Scenario, Table, get
from tests.conformance.upstream.caching import DATED, keepalive, obliging


def stored(
    name: str,
    rule: str,
    directives: str = "",
    *fields: str,
    sends: tuple[str, ...] = (keepalive(),),
    status: tuple[int, ...] = (200, 200),
    logs: tuple[str, ...] = (),
    body: str = "hello\n",
) -> Scenario:
    """The requests of `sends`, then one for the file."""
    return Scenario(
        name,
        rule,
        f"proxy_store on; root files; {directives}",
        (obliging(*fields, body=body),),
        proxy_pass="http://PEER",
        requests=(*sends, get(path="/stored-NAME")),
        status=status,
        logs=logs,
        server="location = /stored-NAME { alias files/NAME; etag off; }",
    )


MISSING = 'open() "PREFIX/files/'


def scenarios() -> Iterator[Scenario]:
    yield stored(
        "file", "A response is stored below root, with the time of Last-Modified.", "", *DATED
    )
    yield stored(
        "large", "A large response is stored while it is sent.", "", *DATED, body="x" * 300_000
    )
    yield stored(
        "head",
        "A response to HEAD is not stored.",
        sends=(keepalive(method="HEAD"),),
        status=(200, 404),
        logs=(MISSING,),
    )
    yield stored(
        "not-found",
        "Only responses with status 200 are stored.",
        sends=(keepalive(want="404 Not Found"),),
        status=(404, 404),
        logs=(MISSING,),
    )
    yield stored(
        "unbuffered",
        "Without buffering nothing is stored.",
        "proxy_buffering off;",
        status=(200, 404),
        logs=(MISSING,),
    )
    yield stored(
        "posted", "A response to POST is stored too.", "", *DATED, sends=(keepalive(method="POST"),)
    )


TABLE = Table("storing", tuple(scenarios()))
