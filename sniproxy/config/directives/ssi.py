"""Directives of nginx's SSI module."""

from __future__ import annotations

from .core import HSL
from .directive import LOCATION_IF, Repeat, Settings, Status, at_least, directive, settings
from .gzip import CORE, media_types
from .slots import flag, size

MODULE = "ngx_http_ssi_filter_module"


@settings(MODULE)
class ServerSideIncludes(Settings):
    """How commands in the responses of a location are processed."""

    ssi: bool = directive(
        HSL | LOCATION_IF, flag, "process the SSI commands in responses", default="off"
    )
    ssi_silent_errors: bool = directive(
        HSL, flag, "put nothing in the place of a command that fails", default="off"
    )
    ssi_ignore_recycled_buffers: bool = directive(
        HSL, flag, "buffers are never recycled", default="off", status=Status.NO_EFFECT
    )
    ssi_min_file_chunk: int = directive(
        HSL,
        size,
        "size of a part of a file from which sendfile is used",
        default="1k",
        status=Status.NO_EFFECT,
    )
    ssi_value_length: int = directive(
        HSL, size, "maximum length of a parameter of a command", default="255"
    )
    ssi_types: frozenset[str] = directive(
        HSL,
        media_types,
        "media types whose commands are processed, besides text/html; `*` means all",
        arity=at_least(1),
        default="text/html",
        repeat=Repeat.MERGED,
    )
    ssi_last_modified: bool = directive(
        HSL,
        flag,
        "send Last-Modified and a weak ETag though commands are processed",
        default="off",
    )
    subrequest_output_buffer_size: int = directive(
        HSL,
        size,
        "maximum length of a response that a variable takes (`include set`)",
        default="4k",
        module=CORE,
    )
