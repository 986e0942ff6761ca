"""`$date_local` and `$date_gmt`, of nginx's SSI module."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..context import RequestContext
from .variable import Variable

FORMAT = "%A, %d-%b-%Y %H:%M:%S %Z"


def _formatted(ctx: RequestContext, clock: Callable[[float], time.struct_time]) -> str | None:
    now = int(time.time())
    pattern = FORMAT if ctx.time_format is None else ctx.time_format
    if pattern == "%s":
        return str(now)
    text = pattern.partition("\0")[0].encode("latin-1").decode("utf-8", "surrogateescape")
    try:
        formatted = time.strftime(text, clock(now))
    except ValueError:  # an invalid format
        return None
    return formatted.encode("utf-8", "surrogateescape").decode("latin-1") or None


VARIABLES = (
    Variable(
        "date_local",
        lambda ctx: _formatted(ctx, time.localtime),
        "time in the local time zone, by the format of the SSI command `config`",
    ),
    Variable("date_gmt", lambda ctx: _formatted(ctx, time.gmtime), "the same in GMT"),
)
