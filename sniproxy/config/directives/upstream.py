"""nginx's http upstream module: `upstream NAME { server …; }`."""

from __future__ import annotations

from dataclasses import dataclass

from ..addresses import Address, AddressError, parse_address
from .kinds import number, parse_number, parse_time, time
from .row import (
    HTTP,
    UPSTREAM,
    Args,
    Merge,
    Repeat,
    Settings,
    Status,
    at_least,
    between,
    block,
    exactly,
    row,
    settings,
)

MODULE = "ngx_http_upstream_module"


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """One `server` of a group."""

    address: Address
    weight: int = 1
    max_conns: int = 0
    max_fails: int = 1
    fail_timeout: float = 10.0
    """Seconds."""
    backup: bool = False
    down: bool = False


def upstream_server(args: Args) -> PeerSettings:
    values: dict[str, int | float | bool] = {}
    for word in args.words[1:]:
        key, equals, text = word.partition("=")
        value: int | float | None
        if word in ("backup", "down"):
            values[word] = True
            continue
        if word == "resolve" or key in ("service", "route") or word == "drain":
            args.fail(f'parameter "{word}" is not supported by sniproxy yet')
        if equals and key in ("weight", "max_conns", "max_fails"):
            value = parse_number(text)
        elif equals and key == "fail_timeout":
            value = parse_time(text, whole_seconds=True)
        else:
            value = None
        if value is None or (key == "weight" and not value):
            args.fail(f'invalid parameter "{word}"')
        values[key] = value
    try:
        address = parse_address(args.first, 80)
    except AddressError as error:
        args.fail(f'{error} in upstream "{args.first}"')
    return PeerSettings(address, **values)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Keepalive:
    """`keepalive CONNECTIONS [local]`."""

    connections: int
    local: bool = False
    """Whether each location that uses the group keeps connections of its own."""


def keepalive(args: Args) -> Keepalive:
    connections = parse_number(args.first)
    if connections is None:
        args.fail(f'invalid value "{args.first}" in "{args.name}" directive')
    if args.words[1:] not in ((), ("local",)):
        args.fail(f'invalid parameter "{args.words[1]}"')
    return Keepalive(connections, len(args.words) > 1)


@settings(MODULE)
class UpstreamGroup(Settings):
    """The directives inside `upstream {}`."""

    server: tuple[PeerSettings, ...] = row(
        UPSTREAM, upstream_server, "one peer of the group",
        arity=at_least(1), repeat=Repeat.APPENDED, merge=Merge.OWN,
    )  # fmt: skip
    keepalive: Keepalive = row(
        UPSTREAM, keepalive, "idle connections that are kept", arity=between(1, 2),
        default="32 local", merge=Merge.OWN, status=Status.NO_EFFECT,
    )  # fmt: skip
    keepalive_requests: int = row(
        UPSTREAM, number, "requests that one kept connection may carry",
        default="1000", merge=Merge.OWN, status=Status.NO_EFFECT,
    )  # fmt: skip
    keepalive_time: float = row(
        UPSTREAM, time, "seconds that a kept connection may live in all",
        default="1h", merge=Merge.OWN, status=Status.NO_EFFECT,
    )  # fmt: skip
    keepalive_timeout: float = row(
        UPSTREAM, time, "seconds that an idle connection is kept",
        default="60s", merge=Merge.OWN, status=Status.NO_EFFECT,
    )  # fmt: skip


ROWS = (
    block("upstream", HTTP, UPSTREAM, "a group of servers under one name", module=MODULE,
          arity=exactly(1)),
)  # fmt: skip
