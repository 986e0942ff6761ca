"""nginx's http upstream module: `upstream NAME { server …; }`."""

from __future__ import annotations

from dataclasses import dataclass

from ..addresses import Address, AddressError, parse_address
from .kinds import parse_number, parse_time
from .row import (
    HTTP,
    UPSTREAM,
    Args,
    Merge,
    Repeat,
    Settings,
    at_least,
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


@settings(MODULE)
class UpstreamGroup(Settings):
    """The directives inside `upstream {}`."""

    server: tuple[PeerSettings, ...] = row(
        UPSTREAM, upstream_server, "one peer of the group",
        arity=at_least(1), repeat=Repeat.APPENDED, merge=Merge.OWN,
    )  # fmt: skip


ROWS = (
    block("upstream", HTTP, UPSTREAM, "a group of servers under one name", module=MODULE,
          arity=exactly(1)),
)  # fmt: skip
