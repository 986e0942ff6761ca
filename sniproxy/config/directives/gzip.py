"""Directives about compressed responses: nginx's gzip, gunzip and gzip_static modules."""

from __future__ import annotations

import re

from ..regex import RegexError, compile_regex
from .directive import (
    HTTP,
    LOCATION,
    LOCATION_IF,
    SERVER,
    Args,
    Repeat,
    Settings,
    Status,
    at_least,
    directive,
    exactly,
    settings,
)
from .slots import buffer_sizes, flag, one_of, size, some_of, within

HSL = HTTP | SERVER | LOCATION
CORE = "ngx_http_core_module"

ANY_TYPE = "*"
MSIE6 = "msie6"

PROXIED = (
    *("off", "expired", "no-cache", "no-store", "private", "no_last_modified", "no_etag"),
    *("auth", "any"),
)


def media_types(args: Args) -> frozenset[str]:
    """Media types in lower case, `text/html` among them; `ANY_TYPE` stands for all."""
    return frozenset({"text/html", *(word.lower() for word in args.words)})


def disabled(args: Args) -> tuple[re.Pattern[str] | str, ...]:
    """Patterns of user agents; `MSIE6` stands for itself."""
    found: list[re.Pattern[str] | str] = []
    for word in args.words:
        try:
            found.append(word if word == MSIE6 else compile_regex(word, caseless=True))
        except RegexError as error:
            args.fail(str(error))
    return tuple(found)


def window(args: Args) -> int:
    """The logarithm of the window's size."""
    exponent = size(args).bit_length() - 1
    if not 9 <= exponent <= 15 or size(args) != 1 << exponent:
        args.fail_directive("must be 512, 1k, 2k, 4k, 8k, 16k, or 32k")
    return exponent


def hash_size(args: Args) -> int:
    """zlib's `memLevel`: the logarithm of the hash's size, less 7."""
    exponent = size(args).bit_length() - 1
    if not 9 <= exponent <= 17 or size(args) != 1 << exponent:
        args.fail_directive("must be 512, 1k, 2k, 4k, 8k, 16k, 32k, 64k, or 128k")
    return exponent - 8


@settings("ngx_http_gzip_filter_module")
class Gzip(Settings):
    """How the responses of a location are compressed and decompressed."""

    gzip: bool = directive(HSL | LOCATION_IF, flag, "compress responses", default="off")
    gzip_types: frozenset[str] = directive(
        HSL,
        media_types,
        "media types that are compressed, besides text/html; `*` means all",
        arity=at_least(1),
        default="text/html",
        repeat=Repeat.MERGED,
    )
    gzip_min_length: int = directive(
        HSL, size, "minimum Content-Length of responses that are compressed", default="20"
    )
    gzip_comp_level: int = directive(HSL, within(1, 9), "compression level", default="1")
    gzip_window: int = directive(HSL, window, "size of zlib's window", default="32k")
    gzip_hash: int = directive(HSL, hash_size, "size of zlib's hash", default="64k")
    gzip_buffers: tuple[int, int] = directive(
        HSL,
        buffer_sizes,
        "number and size of buffers for compressed data, which is sent when it fills one",
        arity=exactly(2),
        default="32 4k",
    )
    postpone_gzipping: int = directive(
        HSL, size, "bytes to collect before compressing", default="0", status=Status.NO_EFFECT
    )
    gzip_no_buffer: bool = directive(
        HSL, flag, "compress without buffering", default="off", status=Status.NO_EFFECT
    )
    gzip_http_version: int = directive(
        HSL,
        one_of({"1.0": 10, "1.1": 11}),
        "minimum HTTP version of requests whose responses are compressed",
        default="1.1",
        module=CORE,
    )
    gzip_proxied: frozenset[str] = directive(
        HSL,
        some_of(*PROXIED),
        "responses that are compressed for requests with a Via field",
        arity=at_least(1),
        default="off",
        repeat=Repeat.MERGED,
        module=CORE,
    )
    gzip_disable: tuple[tuple[re.Pattern[str] | str, ...], ...] = directive(
        HSL,
        disabled,
        "user agents whose responses are not compressed",
        arity=at_least(1),
        repeat=Repeat.APPENDED,
        module=CORE,
    )
    gzip_vary: bool = directive(
        HSL, flag, "add Vary: Accept-Encoding where it matters", default="off", module=CORE
    )
    gunzip: bool = directive(
        HSL,
        flag,
        "decompress responses for clients that do not accept gzip",
        default="off",
        module="ngx_http_gunzip_filter_module",
    )
    gunzip_buffers: tuple[int, int] = directive(
        HSL,
        buffer_sizes,
        "number and size of buffers for decompressed data",
        arity=exactly(2),
        default="32 4k",
        module="ngx_http_gunzip_filter_module",
        status=Status.NO_EFFECT,
    )
    gzip_static: str = directive(
        HSL,
        one_of({name: name for name in ("off", "on", "always")}),
        "send FILE.gz instead of FILE, if it exists",
        default="off",
        module="ngx_http_gzip_static_module",
    )
