"""Directives of nginx's http memcached module."""

from __future__ import annotations

from .directive import HTTP, LOCATION, LOCATION_IF, SERVER, Args, Merge, directive, settings
from .gateways import gateway
from .slots import number, some_of
from .upstream_settings import UpstreamSettings
from .upstream_target import ProxyPass

HSL = HTTP | SERVER | LOCATION

_SHARED = frozenset(
    (
        "bind",
        "socket_keepalive",
        "connect_timeout",
        "send_timeout",
        "buffer_size",
        "read_timeout",
        "next_upstream",
        "next_upstream_tries",
        "next_upstream_timeout",
    )
)
"""The directives that other modules have too."""

_FIXED = {
    row.field: row.default_value()
    for row in UpstreamSettings.DIRECTIVES
    if row.field not in _SHARED
}
_FIXED |= {
    "buffering": False,
    "intercept_errors": True,
    "force_ranges": True,
    "pass_request_headers": False,
    "pass_request_body": False,
}
_WORDS = some_of("error", "timeout", "invalid_response", "not_found", "off")
_FAILURES = {"invalid_response": "invalid_header", "not_found": "http_404"}
"""nginx's names for these failures in this module."""


def next_upstream(args: Args) -> frozenset[str]:
    words: frozenset[str] = _WORDS(args)
    return frozenset(_FAILURES.get(word, word) for word in words)


@settings(
    "ngx_http_memcached_module",
    prefix="memcached_",
    converters={"next_upstream": next_upstream},
    fixed=_FIXED,
)
class MemcachedSettings(UpstreamSettings):
    """The memcached settings of a location."""

    memcached_pass: ProxyPass | None = directive(
        LOCATION | LOCATION_IF, gateway("memcached"), "address of the memcached server or group",
        merge=Merge.NOT_INHERITED,
    )  # fmt: skip
    memcached_gzip_flag: int = directive(
        HSL, number, "bits of a value's flags that mean it is compressed", default="0"
    )
