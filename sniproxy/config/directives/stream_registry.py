"""All directives inside `stream {}`; imported if a configuration has such a block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

from . import limits, log, main, maps
from .directive import (
    STREAM,
    STREAM_SERVER,
    STREAM_UPSTREAM,
    Arity,
    Context,
    Directive,
    Merge,
    Settings,
    Slot,
    Status,
    between,
    block,
    exactly,
)
from .slots import flag, number, words
from .stream_core import (
    BOTH,
    MODULE,
    StreamAccess,
    StreamConnectionLimits,
    StreamContent,
    StreamCore,
    StreamLog,
    StreamRealIP,
    StreamSsl,
)
from .stream_proxy import StreamProxySettings
from .stream_upstream import StreamGroup

STREAM_SETTINGS: tuple[type[Settings], ...] = (
    StreamCore,
    StreamRealIP,
    StreamConnectionLimits,
    StreamAccess,
    StreamSsl,
    StreamProxySettings,
    StreamContent,
    StreamLog,
    StreamGroup,
)


class StreamGeoBuilder(maps.GeoBuilder):
    """Builds a `Geo` of `stream {}`, where there is no X-Forwarded-For."""

    FLAGS: ClassVar[Mapping[str, str]] = {
        name: field for name, field in maps.GeoBuilder.FLAGS.items() if "proxy" not in name
    }
    HAS_PROXIES: ClassVar[bool] = False


def _block_level() -> Iterator[Directive]:
    """The directives that `stream {}` itself has in common with `http {}`."""
    for row in (*maps.DIRECTIVES, *limits.DIRECTIVES, *log.DIRECTIVES):
        if row.name == "limit_req_zone":
            continue
        moved = row.in_stream(STREAM)
        yield replace(moved, slot=StreamGeoBuilder) if row.name == "geo" else moved


def _other(
    contexts: Context, arity: Arity, slot: Slot, names: str, module: str = MODULE
) -> Iterator[Directive]:
    for name in names.split():
        yield Directive(
            name,
            contexts,
            arity,
            slot,
            "concerns nginx's implementation only",
            module,
            merge=Merge.NOT_INHERITED,
            status=Status.NO_EFFECT,
        )


STREAM_DIRECTIVES: tuple[Directive, ...] = (
    block("server", STREAM, STREAM_SERVER, "a virtual server", module=MODULE),
    block(
        "upstream",
        STREAM,
        STREAM_UPSTREAM,
        "named group of servers",
        module="ngx_stream_upstream_module",
        arity=exactly(1),
    ),
    *(row for part in STREAM_SETTINGS for row in part.DIRECTIVES),
    *_block_level(),
    *_other(
        STREAM,
        exactly(1),
        number,
        "variables_hash_max_size variables_hash_bucket_size server_names_hash_max_size "
        "server_names_hash_bucket_size",
    ),
    *_other(BOTH, exactly(1), flag, "tcp_nodelay"),
    *_other(BOTH, between(1, 4), words, "open_log_file_cache", "ngx_stream_log_module"),
)


def _index() -> dict[str, tuple[Directive, ...]]:
    index: dict[str, tuple[Directive, ...]] = {}
    for row in (*STREAM_DIRECTIVES, *(row for row in main.DIRECTIVES if row.name == "include")):
        index[row.name] = (*index.get(row.name, ()), row)
    return index


STREAM_BY_NAME = _index()
