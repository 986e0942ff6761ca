"""`$slice_range`, of nginx's slice module."""

from __future__ import annotations

import re

from ..context import RequestContext
from ..included import SliceState
from ..models import RequestHead
from .variable import Variable

_LARGEST = 2**63 - 1
_START = re.compile("bytes= *([0-9]*)", re.IGNORECASE)


def _slice_range(ctx: RequestContext) -> str | None:
    """The range of the slice that is to be requested; evaluating it turns slicing on."""
    size = ctx.location.filters.slices.slice
    if ctx.slice is None:
        if ctx.is_subrequest or ctx.status or not size:
            return None
        ctx.slice = SliceState(_first_byte(ctx.request) // size * size)
    return f"bytes={ctx.slice.start}-{ctx.slice.start + size - 1}"


def _first_byte(request: RequestHead) -> int:
    """Where the range begins that the client wants; 0 if it wants several, or the last bytes."""
    field = request.header("range")
    if field is None or len(field) < 7 or request.header("if-range") is not None:
        return 0
    found = _START.match(field)
    if found is None or "," in field or not found[1]:
        return 0
    start = int(found[1])
    return start if start <= _LARGEST else 0


VARIABLES = (
    Variable("slice_range", _slice_range, "range of the slice that is requested (`slice`)"),
)
