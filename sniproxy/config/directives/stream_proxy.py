"""Directives of nginx's stream proxy module, beside those that all kinds of upstreams have."""

from __future__ import annotations

from ...template import Template
from .directive import Directive, at_least, directive, exactly, exclusive, settings
from .slots import flag, number, size, size_template, templates, time
from .stream_core import BOTH
from .upstream_tls import ConnectionSettings

MODULE = "ngx_stream_proxy_module"
UNLIMITED_RESPONSES = 0x7FFFFFFF
"""`proxy_responses` by default: a session ends by its timeout."""


def _buffer_size(name: str, doc: str) -> Directive:
    return Directive(name, BOTH, exactly(1), size, doc, MODULE, default="16k")


@settings(MODULE, prefix="proxy_", contexts=BOTH)
class StreamProxySettings(ConnectionSettings):
    """How a server passes its sessions to an upstream."""

    proxy_timeout: float = directive(
        BOTH, time, "timeout between two reads or writes, of client or upstream", default="10m"
    )
    proxy_buffer_size: int = exclusive(
        16384,
        _buffer_size("proxy_buffer_size", "size of the buffer for each direction"),
        _buffer_size("proxy_downstream_buffer", "deprecated; now `proxy_buffer_size`"),
        _buffer_size("proxy_upstream_buffer", "deprecated; now `proxy_buffer_size`"),
    )
    proxy_upload_rate: Template | None = directive(
        BOTH, size_template, "bytes per second read from the client; 0 means unlimited"
    )
    proxy_download_rate: Template | None = directive(
        BOTH, size_template, "bytes per second read from the upstream; 0 means unlimited"
    )
    proxy_requests: int = directive(
        BOTH,
        number,
        "datagrams after which a UDP session takes no more; 0 means unlimited",
        default="0",
    )
    proxy_responses: int = directive(
        BOTH,
        number,
        "datagrams expected in response to each datagram of the client",
        default=str(UNLIMITED_RESPONSES),
    )
    proxy_next_upstream: bool = directive(
        BOTH, flag, "try the next peer if no connection can be made", default="on"
    )
    proxy_protocol: bool = directive(
        BOTH,
        flag,
        "begin connections to upstreams with a header of the PROXY protocol",
        default="off",
    )
    proxy_half_close: bool = directive(
        BOTH, flag, "close each direction of a TCP connection independently", default="off"
    )
    proxy_ssl: bool = directive(BOTH, flag, "use TLS towards the upstream", default="off")
    proxy_ssl_alpn: tuple[Template, ...] = directive(
        BOTH, templates, "protocols offered to the upstream by ALPN", arity=at_least(1), default=""
    )
