"""Directives of nginx's http v2 module: HTTP/2 towards clients."""

from __future__ import annotations

from .directive import HTTP, LOCATION, SERVER, Args, Settings, directive, settings
from .slots import flag, number, size

HS = HTTP | SERVER
LARGEST_FRAME = 2**24 - 1


def chunk_size(args: Args) -> int:
    value = size(args)
    if not value:
        args.fail("the http2 chunk size cannot be zero")
    return min(value, LARGEST_FRAME)


@settings("ngx_http_v2_module")
class Http2(Settings):
    """The HTTP/2 settings of a server."""

    http2: bool = directive(HS, flag, "serve HTTP/2", default="off")
    http2_max_concurrent_streams: int = directive(
        HS, number, "maximum number of concurrent requests of a connection", default="128"
    )
    http2_body_preread_size: int = directive(
        HS, size, "bytes of each request body that a client may send before it is read",
        default="64k",
    )  # fmt: skip


@settings("ngx_http_v2_module")
class Http2Responses(Settings):
    """How the responses of a location are sent over HTTP/2."""

    http2_chunk_size: int = directive(
        HS | LOCATION, chunk_size, "largest payload of a DATA frame", default="8k"
    )
