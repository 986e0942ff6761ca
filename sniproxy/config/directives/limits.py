"""Directives of nginx's limit_req and limit_conn modules."""

from __future__ import annotations

from dataclasses import dataclass

from ...models import Level
from ...template import Template
from ..numbers import parse_number
from .core import HSL
from .directive import (
    HTTP,
    LOCATION_IF,
    Args,
    Directive,
    Merge,
    Repeat,
    Settings,
    between,
    directive,
    exactly,
    settings,
)
from .slots import compiled, flag, one_of, parse_size, size_template, within

REQ = "ngx_http_limit_req_module"
CONN = "ngx_http_limit_conn_module"

_PAGE = 4096
_LEAST_PAGES = 8
UNLIMITED = (2**63 - 1) // 1000
"""The `delay` of `nodelay`, in thousandths of a request."""
MOST_CONNECTIONS = 65535

_LEVELS = {
    "info": Level.INFO,
    "notice": Level.NOTICE,
    "warn": Level.WARN,
    "error": Level.ERROR,
}


@dataclass(frozen=True, slots=True)
class LimitZone:
    """`limit_req_zone` or `limit_conn_zone`: a zone of counters for the values of a key."""

    name: str
    size: int
    key: Template
    rate: int = 0
    """Thousandths of a request per second, of `limit_req_zone`."""


def _zone(args: Args, text: str) -> tuple[str, int]:
    """The name and size of `zone=NAME:SIZE`."""
    name, colon, size_text = text.removeprefix("zone=").partition(":")
    size = parse_size(size_text) if colon else None
    if size is None:
        args.fail(f'invalid zone size "{text}"')
    if size < _LEAST_PAGES * _PAGE:
        args.fail(f'zone "{text}" is too small')
    return name, size


def limit_req_zone(args: Args) -> LimitZone:
    key, *words = args.words
    name, size, rate, scale = "", 0, 1, 1
    for word in words:
        if word.startswith("zone="):
            name, size = _zone(args, word)
        elif word.startswith("rate="):
            number = word.removeprefix("rate=")
            scale = 60 if number.endswith("r/m") else 1
            parsed = parse_number(number.removesuffix("r/m").removesuffix("r/s"))
            if not parsed:
                args.fail(f'invalid rate "{word}"')
            rate = parsed
        else:
            args.fail(f'invalid parameter "{word}"')
    if not name:
        args.fail(f'"{args.name}" must have "zone" parameter')
    return LimitZone(name, size, compiled(args, key), rate * 1000 // scale)


def limit_conn_zone(args: Args) -> LimitZone:
    key, *words = args.words
    name, size = "", 0
    for word in words:
        if not word.startswith("zone="):
            args.fail(f'invalid parameter "{word}"')
        name, size = _zone(args, word)
    if not name:
        args.fail(f'"{args.name}" must have "zone" parameter')
    return LimitZone(name, size, compiled(args, key))


@dataclass(frozen=True, slots=True)
class RequestLimit:
    """`limit_req`; `burst` and `delay` are in thousandths of a request."""

    zone: str
    burst: int = 0
    delay: int = 0
    """Excess up to which requests are not delayed."""


def limit_req(args: Args) -> RequestLimit:
    zone, burst, delay = None, 0, 0
    for word in args.words:
        name, _, text = word.partition("=")
        if word.startswith("zone="):
            zone = text
        elif word == "nodelay":
            delay = UNLIMITED
        elif word.startswith(("burst=", "delay=")):
            number = parse_number(text)
            if not number:
                args.fail(f'invalid {name} value "{word}"')
            if name == "burst":
                burst = number
            else:
                delay = number
        else:
            args.fail(f'invalid parameter "{word}"')
    if zone is None:
        args.fail(f'"{args.name}" must have "zone" parameter')
    return RequestLimit(zone, burst * 1000, delay * 1000)


@dataclass(frozen=True, slots=True)
class ConnectionLimit:
    """`limit_conn`."""

    zone: str
    connections: int


def limit_conn(args: Args) -> ConnectionLimit:
    zone, text = args.words
    number = parse_number(text)
    if not number:
        args.fail(f'invalid number of connections "{text}"')
    if number > MOST_CONNECTIONS:
        args.fail("connection limit must be less 65536")
    return ConnectionLimit(zone, number)


@settings(REQ)
class RequestLimits(Settings):
    """How many requests a location takes."""

    limit_req: tuple[RequestLimit, ...] = directive(
        HSL,
        limit_req,
        "limit the rate of requests with the same key",
        arity=between(1, 3),
        repeat=Repeat.APPENDED,
    )
    limit_req_log_level: Level = directive(
        HSL,
        one_of(_LEVELS),
        "level of lines about refused requests; one less severe for delayed ones",
        default="error",
    )
    limit_req_status: int = directive(
        HSL, within(400, 599), "status for refused requests", default="503"
    )
    limit_req_dry_run: bool = directive(
        HSL, flag, "log what would be refused or delayed, and do nothing", default="off"
    )


@settings(CONN)
class ConnectionLimits(Settings):
    """How many connections a location takes."""

    limit_conn: tuple[ConnectionLimit, ...] = directive(
        HSL,
        limit_conn,
        "limit the number of connections with the same key",
        arity=exactly(2),
        repeat=Repeat.APPENDED,
    )
    limit_conn_log_level: Level = directive(
        HSL, one_of(_LEVELS), "level of lines about refused connections", default="error"
    )
    limit_conn_status: int = directive(
        HSL, within(400, 599), "status for refused connections", default="503"
    )
    limit_conn_dry_run: bool = directive(
        HSL, flag, "log what would be refused, and do nothing", default="off"
    )


@settings("ngx_http_core_module")
class ResponseRate(Settings):
    """How quickly the responses of a location are sent."""

    limit_rate: Template | None = directive(
        HSL | LOCATION_IF, size_template, "bytes per second to the client; 0 means unlimited"
    )
    limit_rate_after: Template | None = directive(
        HSL | LOCATION_IF, size_template, "bytes that are sent before `limit_rate` applies"
    )


DIRECTIVES = (
    Directive(
        "limit_req_zone",
        HTTP,
        exactly(3),
        limit_req_zone,
        "zone of request rates, by a key",
        REQ,
        repeat=Repeat.APPENDED,
        merge=Merge.NOT_INHERITED,
    ),
    Directive(
        "limit_conn_zone",
        HTTP,
        exactly(2),
        limit_conn_zone,
        "zone of connection counts, by a key",
        CONN,
        repeat=Repeat.APPENDED,
        merge=Merge.NOT_INHERITED,
    ),
)
