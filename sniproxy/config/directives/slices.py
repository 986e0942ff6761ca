"""The directive of nginx's slice module."""

from __future__ import annotations

from .core import HSL
from .directive import Settings, directive, settings
from .slots import size

MODULE = "ngx_http_slice_filter_module"


@settings(MODULE)
class Slices(Settings):
    """In which parts a response is requested from its upstream."""

    slice: int = directive(
        HSL,
        size,
        "size of the ranges in which a response is requested; 0 for all at once",
        default="0",
    )
