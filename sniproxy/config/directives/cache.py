"""Directives of nginx's upstream modules that cache or store responses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from ...template import Template
from ..numbers import parse_number
from ..tree import Place
from .directive import (
    HTTP,
    LOCATION,
    SERVER,
    Args,
    Directive,
    Merge,
    Repeat,
    Settings,
    at_least,
    between,
    directive,
    settings,
)
from .slots import (
    compiled,
    flag,
    number,
    offset,
    parse_offset,
    parse_size,
    parse_time,
    some_of,
    template,
    templates,
    time,
)
from .upstream_tls import ConnectionSettings

HSL = HTTP | SERVER | LOCATION

ANY_STATUS = 0
"""The `any` of `proxy_cache_valid`."""
_CACHED_STATUSES = (200, 301, 302)
_METHODS = ("GET", "HEAD", "POST")

NEXT_UPSTREAM = (
    "error",
    "timeout",
    "invalid_header",
    "non_idempotent",
    "http_500",
    "http_503",
    "http_403",
    "http_404",
    "http_429",
    "updating",
    "off",
)
"""The failures that `fastcgi_next_upstream` and `fastcgi_cache_use_stale` may name."""

_PAGE = 4096
_MAX_LEVELS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePath:
    """`proxy_cache_path`: a cache, that is, a folder of files and a zone of keys."""

    path: str
    """Folder of the files, without a slash at the end unless it is `/`."""
    zone: str
    size: int
    """Size of the zone in bytes."""
    levels: tuple[int, ...] = ()
    """Lengths of the names of the subfolders that files are in."""
    use_temp_path: bool = True
    """Whether a file is written in `proxy_temp_path` before it is renamed."""
    inactive: float = 600.0
    """Seconds without use after which a file is removed."""
    max_size: int | None = None
    """Maximum size of all files in bytes; None means unlimited."""
    min_free: int = 0
    """Bytes that must be free in the file system."""
    loader_files: int = 100
    loader_sleep: float = 0.05
    loader_threshold: float = 0.2
    manager_files: int = 100
    manager_sleep: float = 0.05
    manager_threshold: float = 0.2
    place: Place


def cache_path(args: Args) -> CachePath:
    values: dict[str, Any] = {}
    for word in args.words[1:]:
        name, equals, text = word.partition("=")
        parse = _PARAMETERS.get(name) if equals else None
        if parse is None:
            args.fail(f'invalid parameter "{word}"')
        values.update(parse(args, name, text))
    if not values.get("zone"):
        args.fail(f'"{args.name}" must have "keys_zone" parameter')
    path = args.first.removesuffix("/") or args.first
    return CachePath(path=path, place=args.place, **values)


def _keys_zone(args: Args, name: str, text: str) -> dict[str, Any]:
    zone, colon, size_text = text.partition(":")
    zone_size = parse_size(size_text) if colon else None
    if zone_size is None:
        args.fail(f'invalid keys zone size "{name}={text}"')
    if zone_size < 2 * _PAGE:
        args.fail(f'keys zone "{name}={text}" is too small')
    return {"zone": zone, "size": zone_size}


def _levels(args: Args, name: str, text: str) -> dict[str, Any]:
    levels = text.split(":") if text else []
    if len(levels) > _MAX_LEVELS or not all(level in ("1", "2") for level in levels):
        args.fail(f'invalid "levels" "{name}={text}"')
    return {name: tuple(int(level) for level in levels)}


def _use_temp_path(args: Args, name: str, text: str) -> dict[str, Any]:
    if text not in ("on", "off"):
        args.fail(f'invalid {name} value "{name}={text}", it must be "on" or "off"')
    return {name: text == "on"}


def _inactive_time(text: str) -> float | None:
    return parse_time(text, whole_seconds=True)


def _parameter(parse: Callable[[str], float | None]) -> Callable[..., dict[str, Any]]:
    """A parameter of `proxy_cache_path` whose value `parse` reads."""

    def of(args: Args, name: str, text: str) -> dict[str, Any]:
        value = parse(text)
        if value is None:
            args.fail(f'invalid {name} value "{name}={text}"')
        return {name: value}

    return of


_PARAMETERS: Mapping[str, Callable[[Args, str, str], dict[str, Any]]] = {
    "levels": _levels,
    "use_temp_path": _use_temp_path,
    "keys_zone": _keys_zone,
    "inactive": _parameter(_inactive_time),
    "max_size": _parameter(parse_offset),
    "min_free": _parameter(parse_offset),
    "loader_files": _parameter(parse_number),
    "loader_sleep": _parameter(parse_time),
    "loader_threshold": _parameter(parse_time),
    "manager_files": _parameter(parse_number),
    "manager_sleep": _parameter(parse_time),
    "manager_threshold": _parameter(parse_time),
}


def cache_zone(args: Args) -> Template | None:
    """The name of a zone, which may contain variables; None for `off`."""
    return None if args.first == "off" else compiled(args, args.first)


@dataclass(frozen=True, slots=True)
class CacheValid:
    """`proxy_cache_valid [STATUS …] TIME`."""

    statuses: tuple[int, ...]
    """`ANY_STATUS` means all."""
    seconds: float


def valid_rule(args: Args) -> CacheValid:
    *words, time_text = args.words
    seconds = parse_time(time_text, whole_seconds=True)
    if seconds is None:
        args.fail(f'invalid time value "{time_text}"')
    statuses = []
    for word in words:
        status = ANY_STATUS if word == "any" else parse_number(word)
        if status is None or (word != "any" and not 100 <= status <= 599):
            args.fail(f'invalid status "{word}"')
        statuses.append(status)
    return CacheValid(tuple(statuses) if words else _CACHED_STATUSES, seconds)


@dataclass(frozen=True, slots=True)
class Store:
    """`proxy_store`: where responses are stored."""

    path: Template | None
    """None for `on`, the file that `root` or `alias` gives."""


def store_target(args: Args) -> Store | None:
    """None for `off`."""
    if args.first == "off":
        return None
    if args.first == "on":
        return Store(None)
    if not args.first:
        args.fail("empty path")
    return Store(compiled(args, args.first))


_SHIFTS = {"user": 6, "group": 3, "all": 0}
_RIGHTS = {"rw": 6, "r": 4}


def store_mode(args: Args) -> int:
    """The mode of stored files and folders; the owner may read and write unless `user` is given."""
    mode, owner = 0, 0o600
    for word in args.words:
        name, _, right = word.partition(":")
        if name not in _SHIFTS or right not in _RIGHTS:
            args.fail(f'invalid value "{word}"')
        if name == "user":
            owner = 0
        mode |= _RIGHTS[right] << _SHIFTS[name]
    return mode | owner


@settings("")
class CacheSettings(ConnectionSettings):
    """How the responses of a location's upstream are cached or stored."""

    cache: Template | None = directive(
        HSL,
        cache_zone,
        "zone of the cache for responses",
        default="off",
    )
    cache_key: Template | None = directive(
        HSL,
        template,
        "key of a response in the cache; of HTTP upstreams by default scheme, upstream and URI",
    )
    cache_bypass: tuple[tuple[Template, ...], ...] = directive(
        HSL,
        templates,
        "do not answer from the cache if a value is neither empty nor `0`",
        arity=at_least(1),
        repeat=Repeat.APPENDED,
    )
    no_cache: tuple[tuple[Template, ...], ...] = directive(
        HSL,
        templates,
        "do not cache the response if a value is neither empty nor `0`",
        arity=at_least(1),
        repeat=Repeat.APPENDED,
    )
    cache_valid: tuple[CacheValid, ...] = directive(
        HSL,
        valid_rule,
        "how long responses with certain statuses are valid",
        arity=at_least(1),
        repeat=Repeat.APPENDED,
    )
    cache_min_uses: int = directive(
        HSL, number, "number of requests after which a response is cached", default="1"
    )
    cache_max_range_offset: int | None = directive(
        HSL, offset, "first byte of a range from which on the request is passed without the cache"
    )
    cache_use_stale: frozenset[str] = directive(
        HSL,
        some_of(*NEXT_UPSTREAM),
        "failures after which an expired response is sent",
        arity=at_least(1),
        default="off",
        repeat=Repeat.MERGED,
    )
    cache_methods: frozenset[str] = directive(
        HSL,
        some_of(*_METHODS),
        "request methods whose responses are cached; GET and HEAD always are",
        arity=at_least(1),
        default="GET HEAD",
        repeat=Repeat.MERGED,
    )
    cache_lock: bool = directive(
        HSL, flag, "let one request at a time fill an entry of the cache", default="off"
    )
    cache_lock_timeout: float = directive(
        HSL, time, "time after which a waiting request is passed too, uncached", default="5s"
    )
    cache_lock_age: float = directive(
        HSL, time, "time after which another request may fill the entry", default="5s"
    )
    cache_revalidate: bool = directive(
        HSL, flag, "revalidate expired responses by conditional requests", default="off"
    )
    cache_convert_head: bool = directive(
        HSL, flag, "pass HEAD as GET if the response is to be cached", default="on"
    )
    cache_background_update: bool = directive(
        HSL, flag, "update an expired response while it is being sent", default="off"
    )
    store: Store | None = directive(
        HSL, store_target, "file that responses are stored in", default="off"
    )
    store_access: int = directive(
        HSL,
        store_mode,
        "permissions of stored files and folders",
        arity=between(1, 3),
        default="user:rw",
    )

    def merge(self, level: Mapping[str, Any]) -> Self:
        """Merge as usual, except that caching turns off an inherited store, and the reverse."""
        cache, store = f"{self.PREFIX}cache", f"{self.PREFIX}store"
        if level.get(store) is not None:
            level = {**level, cache: None}
        elif level.get(cache) is not None:
            level = {**level, store: None}
        # `super()` has no class to refer to, since `settings` makes a new one.
        return Settings.merge(self, level)

    @property
    def cached_methods(self) -> frozenset[str]:
        """The methods whose responses are cached."""
        return self.cache_methods | {"GET", "HEAD"}

    def valid_for(self, status: int) -> float | None:
        """Seconds that a response with `status` is valid by `proxy_cache_valid`, or None."""
        for rule in self.cache_valid:
            if status in rule.statuses or ANY_STATUS in rule.statuses:
                return rule.seconds
        return None


WITHOUT_CACHE = {
    row.field: row.default_value()
    for row in CacheSettings.DIRECTIVES
    if row.field not in {row.field for row in ConnectionSettings.DIRECTIVES}
}
"""The fields that are no directives of a module without a cache, with their values."""


def cache_path_directive(settings: type[Settings], module: str) -> Directive:
    """`proxy_cache_path` or its kin."""
    return Directive(
        f"{settings.PREFIX}cache_path",
        HTTP,
        at_least(2),
        cache_path,
        "folder and zone of a cache",
        module,
        repeat=Repeat.APPENDED,
        merge=Merge.NOT_INHERITED,
    )
