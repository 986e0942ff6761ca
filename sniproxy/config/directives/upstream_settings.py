"""Directives that proxy, FastCGI and the other upstream modules of nginx have in common.

nginx has one structure for them, `ngx_http_upstream_conf_t`, and a directive of each module for
each member. Here each is declared once: the settings class of a module inherits it, and the
prefix of the module makes its name (`connect_timeout` is `proxy_connect_timeout`).
"""

from __future__ import annotations

from typing import ClassVar

from ...template import Template
from .cache import NEXT_UPSTREAM, CacheSettings
from .core import temp_path
from .directive import (
    HTTP,
    LOCATION,
    SERVER,
    Repeat,
    Status,
    at_least,
    between,
    directive,
    exactly,
    settings,
)
from .slots import (
    buffer_sizes,
    flag,
    size,
    size_template,
    some_of,
    string,
    time,
)
from .upstream_target import ProxyPass

HSL = HTTP | SERVER | LOCATION

IGNORED_HEADERS = (
    "X-Accel-Redirect", "X-Accel-Expires", "X-Accel-Limit-Rate", "X-Accel-Buffering",
    "X-Accel-Charset", "Expires", "Cache-Control", "Set-Cookie", "Vary",
)  # fmt: skip


@settings("")
class UpstreamSettings(CacheSettings):
    """How the requests of a location are passed to its upstream, by any module."""

    pass_request_headers: bool = directive(
        HSL, flag, "pass the client's header fields to the upstream", default="on"
    )
    pass_request_body: bool = directive(
        HSL, flag, "pass the client's request body to the upstream", default="on"
    )
    request_buffering: bool = directive(
        HSL, flag, "read the complete request body before connecting to the upstream", default="on"
    )
    ignore_client_abort: bool = directive(
        HSL, flag, "finish the upstream request if the client closes the connection", default="off"
    )
    send_timeout: float = directive(
        HSL, time, "timeout between two writes to the upstream", default="60s"
    )
    read_timeout: float = directive(
        HSL, time, "timeout between two reads from the upstream", default="60s"
    )
    buffer_size: int = directive(HSL, size, "maximum size of a response head", default="4k")
    buffering: bool = directive(
        HSL, flag, "buffer responses; `off` forwards data as it arrives",
        default="on",
    )  # fmt: skip
    buffers: tuple[int, int] = directive(
        HSL, buffer_sizes,
        "number and size of response buffers; data is forwarded when it fills one",
        arity=exactly(2), default="8 4k",
    )  # fmt: skip
    busy_buffers_size: int | None = directive(
        HSL, size, "size of buffers being sent to the client; always one buffer",
        status=Status.NO_EFFECT,
    )  # fmt: skip
    temp_file_write_size: int | None = directive(
        HSL, size, "size of writes to temporary files; pieces are written as they arrive",
        status=Status.NO_EFFECT,
    )  # fmt: skip
    max_temp_file_size: int | None = directive(
        HSL, size,
        "maximum size of the temporary file of a response that a slow client receives",
    )  # fmt: skip
    temp_path: tuple[str, tuple[int, ...]] | None = directive(
        HSL, temp_path, "directory of temporary files for responses; by default the system's",
        arity=between(1, 4),
    )  # fmt: skip
    limit_rate: Template | None = directive(
        HSL, size_template, "bytes per second read from the upstream; 0 means unlimited"
    )
    force_ranges: bool = directive(
        HSL, flag, "serve byte ranges regardless of the upstream's Accept-Ranges", default="off"
    )
    hide_header: tuple[str, ...] = directive(
        HSL,
        string,
        "response header field that is not passed to the client",
        repeat=Repeat.APPENDED,
    )
    pass_header: tuple[str, ...] = directive(
        HSL,
        string,
        "response header field that is passed although hidden by default",
        repeat=Repeat.APPENDED,
    )
    ignore_headers: frozenset[str] = directive(
        HSL, some_of(*IGNORED_HEADERS), "response header fields whose effect is disabled",
        arity=at_least(1), default="", repeat=Repeat.MERGED,
    )  # fmt: skip
    intercept_errors: bool = directive(
        HSL, flag, "apply error_page to upstream responses", default="off"
    )
    next_upstream: frozenset[str] = directive(
        HSL, some_of(*NEXT_UPSTREAM), "failures after which the next peer is tried",
        arity=at_least(1), default="error timeout", repeat=Repeat.MERGED,
    )  # fmt: skip

    NEEDS_CACHE_KEY: ClassVar[bool] = False
    """Whether a key in the cache has no default."""

    @property
    def target(self) -> ProxyPass | None:
        """The upstream (`proxy_pass`, `fastcgi_pass`, …)."""
        target: ProxyPass | None = getattr(self, f"{self.PREFIX}pass")
        return target

    @classmethod
    def has_directive(cls, field: str) -> bool:
        """Whether the module has a directive for a field."""
        return f"{cls.PREFIX}{field}" in cls._KEYS


WITHOUT_SSL = {
    row.field: row.default_value()
    for row in UpstreamSettings.DIRECTIVES
    if row.field.startswith("ssl_")
}
"""The fields that are no directives of a module without TLS, with their values."""
