"""Directives of nginx's http v2 module: HTTP/2 towards clients."""

from __future__ import annotations

from .directive import HTTP, SERVER, Settings, directive, settings
from .slots import flag, number, size

HS = HTTP | SERVER


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
