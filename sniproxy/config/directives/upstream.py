"""Directives of nginx's http upstream module and its balancing modules."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from ...template import Template
from ..addresses import Address, AddressError, parse_address
from ..numbers import parse_number
from .directive import (
    HTTP,
    UPSTREAM,
    Args,
    Directive,
    Merge,
    Repeat,
    Settings,
    at_least,
    between,
    block,
    directive,
    exactly,
    sequence,
    settings,
)
from .resolver import ResolverSettings, resolver
from .slots import compiled, number, parse_size, parse_time, time
from .sticky import Sticky, sticky

MODULE = "ngx_http_upstream_module"
KEEPALIVE = "ngx_http_upstream_keepalive_module"


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """A `server` of an upstream group."""

    address: Address
    weight: int = 1
    max_conns: int = 0
    max_fails: int = 1
    fail_timeout: float = 10.0
    """Seconds."""
    backup: bool = False
    down: bool = False
    """Whether requests go there at most by `sticky` (see `drain`)."""
    drain: bool = False
    """Whether requests of sessions are passed although the server is down."""
    route: str = ""
    """Its name for `sticky`; "" for a hash of the address."""
    resolve: bool = False
    """Whether the addresses of the name change while the proxy runs."""
    service: str = ""
    """The service of SRV records that are resolved."""

    @property
    def is_resolved(self) -> bool:
        """Whether a name is resolved at run time."""
        return self.resolve and not self.address.is_literal


_MAX_ROUTE = 32


def upstream_server(
    args: Args, default_port: int = 80, *, allows_sticky: bool = True
) -> PeerSettings:
    """`allows_sticky` is whether there are the parameters for `sticky`."""
    values: dict[str, int | float | bool | str] = {}
    for word in args.words[1:]:
        key, equals, text = word.partition("=")
        value: int | float | None
        if word in ("backup", "resolve"):
            values[word] = True
            continue
        if word == "down" or (word == "drain" and allows_sticky):
            values["down"], values["drain"] = True, word == "drain"
            continue
        if equals and (key == "service" or (key == "route" and allows_sticky)):
            if not text:
                args.fail(f"{key} is empty")
            if key == "route" and len(text) > _MAX_ROUTE:
                args.fail(f"route is longer than {_MAX_ROUTE}")
            values[key] = text
            continue
        if equals and key in ("weight", "max_conns", "max_fails"):
            value = parse_number(text)
        elif equals and key == "fail_timeout":
            value = parse_time(text, whole_seconds=True)
        else:
            value = None
        if value is None or (key == "weight" and not value):
            args.fail(f'invalid parameter "{word}"')
        values[key] = value
    service = f'service upstream "{args.first}"'
    if "service" in values and "resolve" not in values:
        args.fail(f'{service} requires "resolve" parameter')
    try:
        address = parse_address(args.first, default_port)
    except AddressError as error:
        args.fail(f'{error} in upstream "{args.first}"')
    if "service" in values:
        if address.explicit_port:
            args.fail(f"{service} may not have port")
        if address.is_literal:
            args.fail(f"{service} requires domain name")
    return PeerSettings(address, **values)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Keepalive:
    """`keepalive CONNECTIONS [local]`."""

    connections: int
    local: bool = False
    """Whether each location using the group has its own connection pool."""


def keepalive(args: Args) -> Keepalive:
    connections = parse_number(args.first)
    if connections is None:
        args.fail(f'invalid value "{args.first}" in "{args.name}" directive')
    if args.words[1:] not in ((), ("local",)):
        args.fail(f'invalid parameter "{args.words[1]}"')
    return Keepalive(connections, len(args.words) > 1)


class Method(enum.Enum):
    """Load-balancing methods other than round robin."""

    LEAST_CONN = "least_conn"
    IP_HASH = "ip_hash"
    HASH = "hash"
    CONSISTENT = "hash consistent"
    RANDOM = "random"
    RANDOM_TWO = "random two"
    LEAST_TIME = "least_time"


class TimeOf(enum.Enum):
    """How long `least_time` waits for a peer, by the word in the configuration."""

    HEADER = "header"
    """Until the head of the response."""
    CONNECT = "connect"
    """Until a session is connected."""
    FIRST_BYTE = "first_byte"
    """Until the upstream of a session has sent something."""
    LAST_BYTE = "last_byte"
    """Until the end of the response or session."""


@dataclass(frozen=True, slots=True)
class Balancing:
    """The load-balancing method of a group."""

    method: Method
    key: Template | None = None
    """The key of `hash`."""
    time_of: TimeOf = TimeOf.HEADER
    """The time that `least_time` compares: to the connection, the head, or the whole response."""
    of_session: bool = False
    """Whether the group is one of `stream {}`."""
    inflight: bool = False
    """Whether `least_time` counts requests under way."""

    @property
    def has_backups(self) -> bool:
        """Whether `backup` servers are allowed."""
        return self.method in (Method.LEAST_CONN, Method.LEAST_TIME)


def least_conn(args: Args) -> Balancing:
    return Balancing(Method.LEAST_CONN)


def ip_hash(args: Args) -> Balancing:
    return Balancing(Method.IP_HASH)


def hash_key(args: Args) -> Balancing:
    key = compiled(args, args.first)
    if args.words[1:] not in ((), ("consistent",)):
        args.fail(f'invalid parameter "{args.words[1]}"')
    return Balancing(Method.HASH if len(args.words) == 1 else Method.CONSISTENT, key)


def random(args: Args) -> Balancing:
    if not args.words:
        return Balancing(Method.RANDOM)
    for word, known in zip(args.words, ("two", "least_conn"), strict=False):
        if word != known:
            args.fail(f'invalid parameter "{word}"')
    return Balancing(Method.RANDOM_TWO)


_OF_REQUESTS = (TimeOf.HEADER, TimeOf.LAST_BYTE)
_OF_SESSIONS = (TimeOf.CONNECT, TimeOf.FIRST_BYTE, TimeOf.LAST_BYTE)


def least_time(args: Args, *, of_session: bool = False) -> Balancing:
    if args.words[1:] not in ((), ("inflight",)):
        args.fail(f'invalid parameter "{args.words[1]}"')
    known = {time_of.value: time_of for time_of in (_OF_SESSIONS if of_session else _OF_REQUESTS)}
    time_of = known.get(args.first.lower())
    if time_of is None:
        args.fail(f'invalid value "{args.first}"')
    return Balancing(
        Method.LEAST_TIME, time_of=time_of, of_session=of_session, inflight=len(args.words) > 1
    )


def _method(name: str, kind: Any, doc: str, **rest: Any) -> Directive:
    return Directive(name, UPSTREAM, rest["arity"], kind, doc, f"ngx_http_upstream_{name}_module",
               repeat=Repeat.APPENDED, merge=Merge.NOT_INHERITED)  # fmt: skip


_PAGE_SIZE = 4096


@dataclass(frozen=True, slots=True)
class GroupZone:
    """The shared memory zone of a group."""

    name: str
    size: int = 0
    """Bytes; 0 if another statement gives the size."""


def zone(args: Args) -> GroupZone:
    name = args.first
    if not name:
        args.fail(f'invalid zone name "{name}"')
    if len(args.words) == 1:
        return GroupZone(name)
    size = parse_size(args.words[1])
    if size is None:
        args.fail(f'invalid zone size "{args.words[1]}"')
    if size < 8 * _PAGE_SIZE:
        args.fail(f'zone "{name}" is too small')
    return GroupZone(name, size)


@settings(MODULE)
class UpstreamGroup(Settings):
    """Settings of an `upstream {}` block."""

    server: tuple[PeerSettings, ...] = directive(
        UPSTREAM, upstream_server, "a server of the group",
        arity=at_least(1), repeat=Repeat.APPENDED, merge=Merge.NOT_INHERITED,
    )  # fmt: skip
    balancing: tuple[Balancing, ...] = sequence(
        _method("least_conn", least_conn,
                "choose the server with the fewest connections, by weight",
                arity=exactly(0)),
        _method("ip_hash", ip_hash, "choose the server by the client's network",
                arity=exactly(0)),
        _method("hash", hash_key,
                "choose the server by the hash of a key; `consistent` uses a hash ring",
                arity=between(1, 2)),
        _method("random", random, "choose a server at random; `two` takes the less busy of two",
                arity=between(0, 2)),
        _method("least_time", least_time,
                "choose the server that responds fastest, with the fewest connections",
                arity=between(1, 2)),
    )  # fmt: skip
    """The last one takes effect."""
    sticky: Sticky | None = directive(
        UPSTREAM, sticky, "pass requests of a session to the same server", arity=at_least(2),
        module="ngx_http_upstream_sticky_module", merge=Merge.NOT_INHERITED,
    )  # fmt: skip
    zone: GroupZone | None = directive(
        UPSTREAM, zone, "memory in which workers share the state of the group's servers",
        arity=between(1, 2), repeat=Repeat.REPLACED, merge=Merge.NOT_INHERITED,
        module="ngx_http_upstream_zone_module",
    )  # fmt: skip
    resolver: ResolverSettings | None = directive(
        UPSTREAM, resolver, "DNS servers for `server … resolve`",
        arity=at_least(1), merge=Merge.NOT_INHERITED,
    )  # fmt: skip
    resolver_timeout: float | None = directive(
        UPSTREAM, time, "DNS lookup timeout for `server … resolve`", merge=Merge.NOT_INHERITED,
    )  # fmt: skip
    keepalive: Keepalive = directive(
        UPSTREAM, keepalive, "maximum number of idle connections kept", arity=between(1, 2),
        module=KEEPALIVE, default="32 local", merge=Merge.NOT_INHERITED,
    )  # fmt: skip
    keepalive_requests: int = directive(
        UPSTREAM, number, "maximum number of requests per kept connection",
        module=KEEPALIVE, default="1000", merge=Merge.NOT_INHERITED,
    )  # fmt: skip
    keepalive_time: float = directive(
        UPSTREAM, time, "maximum age of a kept connection",
        module=KEEPALIVE, default="1h", merge=Merge.NOT_INHERITED,
    )  # fmt: skip
    keepalive_timeout: float = directive(
        UPSTREAM, time, "timeout of idle keep-alive connections",
        module=KEEPALIVE, default="60s", merge=Merge.NOT_INHERITED,
    )  # fmt: skip


DIRECTIVES = (
    block("upstream", HTTP, UPSTREAM, "named group of servers", module=MODULE,
          arity=exactly(1)),
)  # fmt: skip
