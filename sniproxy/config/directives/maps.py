"""`map`, `geo` and `split_clients`: variables whose values are looked up in a table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from ...models import ConfigError
from ...template import Template, literal
from ..cidr import IP, Network, parse_ip, parse_network
from ..regex import RegexError, compile_regex
from ..tree import Place
from ..wildcards import WildcardNames, wildcard_kind
from .directive import HTTP, TABLE, Args, Directive, Merge, Repeat, Status, between, exactly
from .slots import compiled, number

MAP = "ngx_http_map_module"
GEO = "ngx_http_geo_module"
SPLIT = "ngx_http_split_clients_module"

EMPTY = literal("")


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """`map STRING $NAME { … }`."""

    source: Template
    default: Template
    names: WildcardNames[Template]
    """Values by lower-case key."""
    patterns: tuple[tuple[re.Pattern[str], Template], ...]
    """Tried in file order if no name matches; not for an empty key."""
    hostnames: bool
    """Whether keys are host names: wildcards match, a trailing dot is ignored."""
    volatile: bool
    """Whether the value is computed at each use instead of once per request."""


@dataclass(frozen=True, slots=True, eq=False)
class Geo:
    """`geo [$ADDRESS] $NAME { … }`."""

    source: Template | None
    """Text that holds the address; None for the client's address."""
    networks: Mapping[int, Mapping[tuple[int, int], str]]
    """Values by IP version, then mask (longest first) and network address."""
    ranges: tuple[tuple[int, int, str], ...]
    """First and last address, and value (IPv4 only); the first range that matches is used."""
    default: str
    proxies: tuple[Network, ...]
    """Trusted proxies, whose X-Forwarded-For is used."""
    recursive: bool
    """Whether trusted proxies in X-Forwarded-For are skipped too."""
    volatile: bool


@dataclass(frozen=True, slots=True, eq=False)
class SplitClients:
    """`split_clients STRING $NAME { … }`."""

    source: Template
    parts: tuple[tuple[int | None, str], ...]
    """Upper bound of the hash (exclusive; None for the rest) and value."""


MapVariable = Map | Geo | SplitClients
"""Defines a variable; evaluated on first use."""


class Warn(Protocol):
    def __call__(self, message: str, place: Place) -> None: ...


class VariableBuilder(Protocol):
    """Collects the lines of a `map {}`, `geo {}` or `split_clients {}` block."""

    name: str
    """The variable's name, lower-case."""

    source: Template | None
    """The text to look up."""
    includes: bool
    """Whether the block may contain `include`."""

    def entry(self, args: Args, warn: Warn) -> tuple[Any, ...]:
        """Add a line: `args.name` and the words that follow it. Raises `ConfigError`.

        The result contains the templates and patterns of the line.
        """
        ...

    def finish(self, end: Place) -> MapVariable:
        """Complete the table. Raises `ConfigError`."""
        ...


def variable_name(args: Args, word: str) -> str:
    if not word.startswith("$"):
        args.fail(f'invalid variable name "{word}"')
    return word[1:].lower()


class MapBuilder:
    """Builds a `Map`."""

    includes = True

    def __init__(self, args: Args) -> None:
        source, name = args.words
        self.source = compiled(args, source) if source else EMPTY
        self.name = variable_name(args, name)
        self.default: Template | None = None
        self.names: WildcardNames[Template] = WildcardNames()
        self.patterns: list[tuple[re.Pattern[str], Template]] = []
        self.hostnames = self.volatile = False
        self._seen: set[tuple[str, str]] = set()

    def entry(self, args: Args, warn: Warn) -> tuple[Any, ...]:
        key = args.name
        if not args.words and key in ("hostnames", "volatile"):
            setattr(self, key, True)
            return ()
        if len(args.words) != 1:
            args.fail("invalid number of the map parameters")
        value = compiled(args, args.first) if args.first else EMPTY
        if key == "default":
            if self.default is not None:
                args.fail("duplicate default map parameter")
            self.default = value
        elif key.startswith("~"):
            self.patterns.append((_pattern(args, key[1:]), value))
            return self.patterns[-1]
        else:
            self._add(args, key.removeprefix("\\"), value)
        return (value,)

    def _add(self, args: Args, key: str, value: Template) -> None:
        name = key.lower()
        kind = wildcard_kind(name) if self.hostnames else ("exact", name)
        if kind is None:
            args.fail(f'invalid hostname or wildcard "{key}"')
        dotted = kind[0] == "dotted"
        places = (("exact", kind[1]), ("head", kind[1])) if dotted else (kind,)
        if not self._seen.isdisjoint(places):
            args.fail(f'conflicting parameter "{name}"')
        self._seen.update(places)
        if self.hostnames:
            self.names.add(name, value)
        else:
            self.names.add_exact(name, value)

    @property
    def exact_keys(self) -> list[str]:
        """The keys without wildcards."""
        return [key for kind, key in self._seen if kind == "exact"]

    def finish(self, end: Place) -> Map:
        return Map(
            self.source,
            self.default or EMPTY,
            self.names,
            tuple(self.patterns),
            self.hostnames,
            self.volatile,
        )


def _pattern(args: Args, text: str) -> re.Pattern[str]:
    caseless = text.startswith("*")
    try:
        return compile_regex(text.removeprefix("*"), caseless=caseless)
    except RegexError as error:
        args.fail(str(error))


class GeoBuilder:
    """Builds a `Geo`."""

    FLAGS: ClassVar[Mapping[str, str]] = {
        "ranges": "in_ranges",
        "proxy_recursive": "recursive",
        "volatile": "volatile",
    }
    """Lines of one word, and the attributes that they set."""
    HAS_PROXIES: ClassVar[bool] = True
    """Whether there are lines `proxy NETWORK`."""
    includes = True

    def __init__(self, args: Args) -> None:
        *source, name = args.words
        for word in source:
            variable_name(args, word)
        self.source = compiled(args, source[0]) if source else None
        self.name = variable_name(args, name)
        self.networks: dict[int, dict[tuple[int, int], str]] = {4: {}, 6: {}}
        self.ranges: list[tuple[int, int, str]] = []
        self.default: str | None = None
        self.proxies: list[Network] = []
        self.in_ranges = self.recursive = self.volatile = False

    def entry(self, args: Args, warn: Warn) -> tuple[Any, ...]:
        key = args.name
        if not args.words and key in self.FLAGS:
            if key == "ranges" and any(self.networks.values()):
                args.fail('the "ranges" directive must be the first directive inside "geo" block')
            setattr(self, self.FLAGS[key], True)
            return ()
        if len(args.words) != 1:
            args.fail("invalid number of the geo parameters")
        if key == "proxy" and self.HAS_PROXIES:
            self.proxies.append(_network(args, args.first, warn))
        elif self.in_ranges:
            self._range(args, warn)
        else:
            self._cidr(args, warn)
        return ()

    def _cidr(self, args: Args, warn: Warn) -> None:
        key, value = args.name, args.first
        if key == "delete":
            network = _network(args, value, warn)
            if self._of(network).pop((network.mask, network.address), None) is None:
                warn(f'no network "{value}" to delete', args.place)
            return
        networks = _EVERYTHING if key == "default" else (_network(args, key, warn),)
        for network in networks:
            table, place = self._of(network), (network.mask, network.address)
            if place in table:
                warn(
                    f'duplicate network "{key}", value: "{value}", old value: "{table[place]}"',
                    args.place,
                )
            table[place] = value

    def _of(self, network: Network) -> dict[tuple[int, int], str]:
        return self.networks[network.version]

    def _range(self, args: Args, warn: Warn) -> None:
        key, value = args.name, args.first
        if key == "default":
            if self.default is not None:
                warn(
                    f'duplicate default geo range value: "{value}", old value: "{self.default}"',
                    args.place,
                )
            self.default = value
            return
        text = value if key == "delete" else key
        first, dash, last = (parse_ip(text.partition("-")[0]), "-" in text,
                             parse_ip(text.partition("-")[2]))  # fmt: skip
        if not dash or not _is_ipv4(first) or not _is_ipv4(last):
            args.fail(f'invalid range "{text}"')
        assert first is not None
        assert last is not None
        if first > last:
            args.fail(f'invalid range "{text}"')
        span = (first.number, last.number)
        known = [old for old in self.ranges if old[:2] == span]
        if key == "delete":
            if not known:
                warn(f'no address range "{text}" to delete', args.place)
            self.ranges = [old for old in self.ranges if old[:2] != span]
            return
        if known:
            warn(
                f'duplicate range "{text}", value: "{value}", old value: "{known[-1][2]}"',
                args.place,
            )
        self.ranges.append((*span, value))

    def finish(self, end: Place) -> Geo:
        return Geo(
            self.source,
            {
                version: dict(sorted(table.items(), reverse=True))
                for version, table in self.networks.items()
            },
            tuple(reversed(self.ranges)),
            self.default or "",
            tuple(self.proxies),
            self.recursive,
            self.volatile,
        )


_EVERYTHING = (Network(4, 0, 0), Network(6, 0, 0))


def _is_ipv4(address: IP | None) -> bool:
    return address is not None and address.version == 4


def _network(args: Args, text: str, warn: Warn) -> Network:
    if text == "255.255.255.255":
        return Network(4, 0xFFFFFFFF, 0xFFFFFFFF)
    parsed = parse_network(text)
    if parsed is None:
        args.fail(f'invalid network "{text}"')
    network, exact = parsed
    if not exact:
        warn(f"low address bits of {text} are meaningless", args.place)
    return network


_PERCENT = re.compile(r"([0-9]*)(?:\.([0-9]{0,2}))?%")
_WHOLE = 10_000


class SplitClientsBuilder:
    """Builds a `SplitClients`."""

    includes = False

    def __init__(self, args: Args) -> None:
        source, name = args.words
        self.source = compiled(args, source) if source else EMPTY
        self.name = variable_name(args, name)
        self.shares: list[tuple[int, str]] = []

    def entry(self, args: Args, warn: Warn) -> tuple[Any, ...]:
        key = args.name
        share = 0
        if key != "*":
            match = _PERCENT.fullmatch(key)
            if match is not None and (match[1] or match[2]):
                share = int(match[1] or 0) * 100 + int((match[2] or "").ljust(2, "0"))
            if not share:
                args.fail(f'invalid percent value "{key}"')
        self.shares.append((share, args.first if args.words else ""))
        return ()

    def finish(self, end: Place) -> SplitClients:
        total, last = 0, 0
        parts: list[tuple[int | None, str]] = []
        for share, value in self.shares:
            total = total + share if share else _WHOLE
            if total > _WHOLE:
                raise _too_much(end)
            if total == _WHOLE:
                parts.append((None, value))
            else:
                last += share * 0xFFFFFFFF // _WHOLE
                parts.append((last, value))
        return SplitClients(self.source, tuple(parts))


def _too_much(end: Place) -> ConfigError:
    return end.error("percent total is greater than 100%")


DIRECTIVES = (
    Directive(
        "map",
        HTTP,
        exactly(2),
        MapBuilder,
        "variable that depends on the value of another",
        MAP,
        repeat=Repeat.APPENDED,
        merge=Merge.NOT_INHERITED,
        opens_context=TABLE,
    ),
    Directive(
        "geo",
        HTTP,
        between(1, 2),
        GeoBuilder,
        "variable that depends on the client's address",
        GEO,
        repeat=Repeat.APPENDED,
        merge=Merge.NOT_INHERITED,
        opens_context=TABLE,
    ),
    Directive(
        "split_clients",
        HTTP,
        exactly(2),
        SplitClientsBuilder,
        "variable whose values are split by percentage",
        SPLIT,
        repeat=Repeat.APPENDED,
        merge=Merge.NOT_INHERITED,
        opens_context=TABLE,
    ),
    *(
        Directive(
            name,
            HTTP,
            exactly(1),
            number,
            "concerns nginx's implementation only",
            MAP,
            merge=Merge.NOT_INHERITED,
            status=Status.NO_EFFECT,
        )
        for name in ("map_hash_max_size", "map_hash_bucket_size")
    ),
)
