"""`add_header`, `add_trailer`, `expires`: fields added to responses (pure)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from ..config.directives.headers import (
    AddedField,
    Expires,
    ExpiresBase,
    ExpiresError,
    Headers,
    VariableExpires,
    parse_expires,
)
from ..context import RequestContext
from ..http.dates import http_date
from ..http.serialize import builtin_headers
from ..models import Header, Response
from ..template import VariableLookup
from ..variables import lookup

SAFE = frozenset((200, 201, 204, 206, 301, 302, 303, 304, 307, 308))
"""The statuses for which fields are added without `always`."""

_REPLACED = frozenset(("etag", "last-modified"))
"""Fields that a response has once: a new value replaces the old one; an empty value removes it."""


def with_headers(response: Response, ctx: RequestContext, directive: Headers) -> Response:
    """Add the fields configured for the location."""
    # Variables see the current headers of the response.
    ctx.status = response.status
    values = lookup(ctx)
    safe = response.status in SAFE
    if directive.expires is not None and safe:
        ctx.sent_headers = partial(tuple, current_headers(response, ctx))
        expires = _evaluated(directive.expires, values)
        if expires is not None and expires.since is not ExpiresBase.OFF:
            # A time from variables counts as not passed: `no-cache` is for constant times,
            # unless the age itself is negative.
            negative = isinstance(directive.expires, Expires) and directive.expires.seconds < 0
            response = _expiring(response, expires, negative=negative)
    for field in directive.add_header:
        if safe or field.always:
            ctx.sent_headers = partial(tuple, current_headers(response, ctx))
            response = _added(response, field.name, field.value.render(values))
    trailers = [field for field in directive.add_trailer if safe or field.always]
    if trailers:
        response = _trailing(response, trailers, values)
    return response


def current_headers(response: Response, ctx: RequestContext) -> tuple[Header, ...]:
    """The headers for `$sent_http_…` before the response is framed."""
    own = builtin_headers(
        response.content_type, response.content_length, response.last_modified, response.location
    )
    return (*own, *ctx.redirect_headers, *response.headers)


def _added(response: Response, name: str, value: str) -> Response:
    kind = name.lower()
    if kind not in _REPLACED:
        return response._replace(headers=(*response.headers, (name, value))) if value else response
    if kind == "last-modified":
        response = response._replace(last_modified=None)
    return response._replace(headers=replaced(response.headers, name, value))


def replaced(headers: Sequence[Header], name: str, value: str) -> tuple[Header, ...]:
    """Replace the first field called `name`, or append it; an empty value removes it."""
    pooled = list(headers)
    for index, (known, _) in enumerate(pooled):
        if known.lower() == name.lower():
            pooled[index : index + 1] = [(name, value)] if value else []
            return tuple(pooled)
    return (*pooled, (name, value)) if value else tuple(pooled)


def _trailing(response: Response, fields: Sequence[AddedField], values: VariableLookup) -> Response:
    before = response.trailers

    def trailers() -> Sequence[Header]:
        own = [(field.name, field.value.render(values)) for field in fields]
        return (*(before() if before is not None else ()), *(field for field in own if field[1]))

    return response._replace(trailers=trailers, force_chunked=True)


# expires


def _evaluated(directive: Expires | VariableExpires, values: VariableLookup) -> Expires | None:
    if isinstance(directive, Expires):
        return directive
    try:
        return parse_expires(directive.value.render(values), modified=directive.modified)
    except ExpiresError:
        return None


def _expiring(response: Response, expires: Expires, *, negative: bool) -> Response:
    date, control = expiry(expires, int(time.time()), response.last_modified, negative=negative)
    headers = [
        header
        for index, header in enumerate(response.headers)
        if header[0].lower() != "cache-control" or index == _first(response, "cache-control")
    ]
    for name, value in (("Expires", date), ("Cache-Control", control)):
        index = next((i for i, h in enumerate(headers) if h[0].lower() == name.lower()), None)
        if index is None:
            headers.append((name, value))
        else:
            headers[index] = (headers[index][0], value)
    return response._replace(headers=tuple(headers))


def _first(response: Response, name: str) -> int | None:
    return next((i for i, h in enumerate(response.headers) if h[0].lower() == name), None)


def expiry(
    expires: Expires, now: int, modified: int | None, *, negative: bool = False
) -> tuple[str, str]:
    """The values of Expires and Cache-Control; times are POSIX times in whole seconds."""
    seconds = expires.seconds
    match expires.since:
        case ExpiresBase.EPOCH:
            return "Thu, 01 Jan 1970 00:00:01 GMT", "no-cache"
        case ExpiresBase.MAX:
            return "Thu, 31 Dec 2037 23:55:55 GMT", "max-age=315360000"
        case ExpiresBase.MIDNIGHT:
            at = next_local_time(seconds, now)
        case _ if not seconds:
            return http_date(now), "max-age=0"
        case ExpiresBase.MODIFIED if modified is not None:
            at = modified + seconds
        case _:
            at = now + seconds
    age = at - now
    return http_date(at), "no-cache" if negative or age < 0 else f"max-age={age}"


def next_local_time(seconds: int, now: int) -> int:
    """The next time of day that is `seconds` after local midnight, as POSIX time."""
    today = time.localtime(now)
    for day in (today.tm_mday, today.tm_mday + 1):
        at = int(
            time.mktime((today.tm_year, today.tm_mon, day, 0, 0, seconds, 0, 0, today.tm_isdst))
        )
        if at > now:
            break
    return at
