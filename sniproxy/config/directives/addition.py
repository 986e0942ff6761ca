"""Directives of nginx's addition module: `add_before_body`, `add_after_body`."""

from __future__ import annotations

from .core import HSL
from .directive import Repeat, Settings, at_least, directive, settings
from .gzip import media_types
from .slots import string

MODULE = "ngx_http_addition_filter_module"


@settings(MODULE)
class Addition(Settings):
    """Responses that are sent before and after those of a location."""

    add_before_body: str | None = directive(
        HSL, string, "URI whose response is sent before others; empty for none"
    )
    add_after_body: str | None = directive(
        HSL, string, "URI whose response is sent after others; empty for none"
    )
    addition_types: frozenset[str] = directive(
        HSL,
        media_types,
        "media types of responses that get additions, besides text/html; `*` means all",
        arity=at_least(1),
        default="text/html",
        repeat=Repeat.MERGED,
    )
