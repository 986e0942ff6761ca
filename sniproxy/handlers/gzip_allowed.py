"""Whether a client accepts gzip (`ngx_http_gzip_ok()`)."""

from __future__ import annotations

import re
import time

from ..config.directives.gzip import Gzip
from ..context import RequestContext
from ..http.dates import parse_http_date
from ..models import Response, first_header

_GZIP = re.compile(r"(?:\A|[, ])gzip", re.IGNORECASE)
_ACCEPTED = re.compile(
    r" *(?:,| *\Z|;[ ]*(?:\Z|q=(?P<quality>[01](?:\.[0-9]*)?)(?:[, ]|\Z)))", re.IGNORECASE
)
_OLD_MSIE = re.compile(r"MSIE (?:[45]|6(?!.*SV1))..", re.DOTALL)


def gzip_allowed(ctx: RequestContext, response: Response) -> bool:
    """Whether the response may be compressed for the client; decided once for a request."""
    allowed = ctx.gzip_allowed
    if allowed is None:
        allowed = ctx.gzip_allowed = not ctx.is_subrequest and _allowed(ctx, response)
    return allowed


def _allowed(ctx: RequestContext, response: Response) -> bool:
    request, settings = ctx.request, ctx.location.gzip
    accepted = request.header("accept-encoding")
    if accepted is None or not accepts_gzip(accepted):
        return False
    if request.version < settings.gzip_http_version:
        return False
    agent = request.header("user-agent")
    if settings.gzip_disable and agent is not None and _is_disabled(settings, agent):
        return False
    if request.header("via") is None:
        return True
    return _allowed_for_proxies(ctx, response, settings.gzip_proxied)


def accepts_gzip(field: str) -> bool:
    """Whether an Accept-Encoding field allows gzip (`ngx_http_gzip_accept_encoding()`)."""
    if field.startswith("gzip,"):
        return True
    coding = _GZIP.search(field)
    if coding is None:
        return False
    accepted = _ACCEPTED.match(field, coding.end())
    if accepted is None:
        return False
    quality = accepted["quality"]
    return quality is None or _is_positive(quality)


def _is_positive(quality: str) -> bool:
    """nginx adds up the digits behind the point: more than three, or more than 1, is invalid."""
    whole, _, digits = quality.partition(".")
    total = int(whole) * 100 + sum(map(int, digits))
    return len(digits) <= 3 and 0 < total <= 100


def _is_disabled(settings: Gzip, agent: str) -> bool:
    return any(
        _OLD_MSIE.search(agent) if isinstance(pattern, str) else pattern.search(agent)
        for patterns in settings.gzip_disable
        for pattern in patterns
    )


def _allowed_for_proxies(ctx: RequestContext, response: Response, words: frozenset[str]) -> bool:
    """`gzip_proxied`, for a request with a Via field."""
    if "off" in words:
        return False
    if "any" in words:
        return True
    if "auth" in words and ctx.request.header("authorization") is not None:
        return True
    headers = (*ctx.redirect_headers, *response.headers)
    expires = first_header(headers, "expires")
    if expires is not None:
        return "expired" in words and _has_expired(expires, first_header(headers, "date"))
    control = [value.lower() for name, value in headers if name.lower() == "cache-control"]
    if control:
        given = {word.strip() for value in control for word in re.split("[,;]", value)}
        return not given.isdisjoint(words & {"no-cache", "no-store", "private"})
    if "no_last_modified" in words and (
        response.last_modified is not None or first_header(headers, "last-modified") is not None
    ):
        return False
    return not ("no_etag" in words and first_header(headers, "etag") is not None)


def _has_expired(expires: str, date: str | None) -> bool:
    end = parse_http_date(expires)
    now = int(time.time()) if date is None else parse_http_date(date)
    return end is not None and now is not None and end < now
