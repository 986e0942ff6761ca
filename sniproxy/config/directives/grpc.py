"""Directives of nginx's http grpc module that other upstream modules do not have."""

from __future__ import annotations

import re

from ..addresses import AddressError, parse_address
from .cache import WITHOUT_CACHE
from .directive import (
    LOCATION,
    LOCATION_IF,
    Args,
    Merge,
    Repeat,
    directive,
    exactly,
    settings,
)
from .proxy import HSL, SetHeader, set_header
from .slots import compiled, some_of
from .upstream_settings import UpstreamSettings
from .upstream_target import ProxyPass

_SCHEME = re.compile("(grpcs?)://", re.IGNORECASE)


def grpc_pass(args: Args) -> ProxyPass:
    url = args.first
    place = (args.place.file, args.place.line)
    if "$" in url:
        return ProxyPass(url, "grpc", None, compiled(args, url), *place)
    scheme, rest = split_grpc_url(url)
    try:
        address = parse_address(rest, 0)
    except AddressError as error:
        args.fail(f'{error} in upstream "{rest}"')
    return ProxyPass(url, scheme, address, None, *place)


def split_grpc_url(url: str) -> tuple[str, str]:
    """The scheme of a URL, which is optional, and its rest."""
    match = _SCHEME.match(url)
    if match is None:
        return "grpc", url
    return match[1].lower(), url[match.end() :]


@settings(
    "ngx_http_grpc_module",
    prefix="grpc_",
    converters={
        "next_upstream": some_of(
            *("error", "timeout", "invalid_header", "non_idempotent", "off"),
            *("http_500", "http_502", "http_503", "http_504", "http_403", "http_404", "http_429"),
        ),
    },
    fixed={
        "pass_request_headers": True,
        "pass_request_body": True,
        "request_buffering": False,
        "ignore_client_abort": False,
        "buffering": False,
        "buffers": (8, 4096),
        "busy_buffers_size": None,
        "temp_file_write_size": None,
        "max_temp_file_size": 0,
        "temp_path": None,
        "limit_rate": None,
        "force_ranges": False,
        **WITHOUT_CACHE,
    },
)
class GrpcSettings(UpstreamSettings):
    """The gRPC settings of a location."""

    grpc_pass: ProxyPass | None = directive(
        LOCATION | LOCATION_IF, grpc_pass, "address of the gRPC server or group",
        merge=Merge.NOT_INHERITED,
    )  # fmt: skip
    grpc_set_header: tuple[SetHeader, ...] = directive(
        HSL, set_header, "header field of requests to the upstream",
        arity=exactly(2), repeat=Repeat.APPENDED,
    )  # fmt: skip
