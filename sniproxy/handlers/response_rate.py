"""`limit_rate`, `limit_rate_after` and `$limit_rate`: how quickly responses are sent."""

from __future__ import annotations

from ..config.directives.limits import ResponseRate
from ..config.directives.slots import parse_size
from ..context import RequestContext
from ..logs.error import ConnectionLog
from ..models import Level
from ..template import Template
from ..variables import lookup


def limit_response(rate: ResponseRate, ctx: RequestContext, log: ConnectionLog) -> None:
    """Evaluate the directives of a location, unless `$limit_rate` or an upstream has set a rate."""
    if ctx.limit_rate is None:
        ctx.limit_rate = _size(rate.limit_rate, ctx, log)
    if ctx.limit_rate:
        ctx.limit_rate_after = _size(rate.limit_rate_after, ctx, log)


def set_limit_rate(text: str, ctx: RequestContext, log: ConnectionLog) -> None:
    """Assign to `$limit_rate`; an invalid size is logged."""
    size = parse_size(text)
    if size is None:
        log.write(Level.ERROR, f'invalid $limit_rate "{text}"')
    else:
        ctx.limit_rate = size


def _size(value: Template | None, ctx: RequestContext, log: ConnectionLog) -> int:
    if value is None:
        return 0
    text = value.render(lookup(ctx))
    size = parse_size(text)
    if size is None:
        log.write(Level.ERROR, f'invalid size "{text}"')
    return size or 0
