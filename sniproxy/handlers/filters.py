"""Filters: conditional requests, added fields, the chain of body filters, ranges.

nginx's order: the slice filter, the not-modified filter, headers-more, the headers filter, those of
`filter_chain`, the range filter.
"""

from __future__ import annotations

from dataclasses import replace

from ..config.directives.files import ALL_RANGES
from ..context import RequestContext
from ..http.conditions import evaluate_conditions, has_conditions
from ..http.dates import parse_http_date
from ..http.ranges import (
    RangeNotSatisfiableError,
    RangeRules,
    content_range,
    multipart,
    requested_ranges,
)
from ..logs.error import ConnectionLog
from ..models import Response, SpecialResponse, first_header
from ..upstream.request_writer import READING_HEAD
from .added_headers import with_headers
from .file_body import FileBody
from .filter_chain import FilterChain, apply_chain
from .force_ranges import force_ranges
from .sliced import join_slices

DATED = (200, 206, 304)
"""Statuses with which Last-Modified is sent."""
OF_THE_WHOLE = frozenset(("etag", "last-modified"))
"""Fields that are not sent with a 416; fields added before are sent."""


def apply_filters(
    response: Response, ctx: RequestContext, chain: FilterChain | None, log: ConnectionLog
) -> Response | SpecialResponse:
    """Apply the filters: returns the response, a part of it, or 304, 412 or 416."""
    if response.status_line is None or log.upstream is None:
        return _apply(response, ctx, chain, log)
    # As in nginx the log lines of filters belong to the head of the upstream's response.
    action, log.action = log.action, READING_HEAD
    filtered = _apply(response, ctx, chain, log)
    log.action = action
    return filtered


def _apply(
    response: Response, ctx: RequestContext, chain: FilterChain | None, log: ConnectionLog
) -> Response | SpecialResponse:
    added = None if ctx.is_subrequest else ctx.location.headers
    changes = None if chain is None else chain.header_changes
    if chain is not None and chain.joins_slices and not ctx.is_subrequest:
        response = join_slices(response, ctx, log)
    if not response.allow_conditional or ctx.is_subrequest:
        if changes is not None:
            response = changes.apply(response, ctx, log)
        if added is not None:
            response = with_headers(response, ctx, added)
        if chain is not None:
            response = apply_chain(chain.body_filters, response, ctx, log)
        if response.force_ranges and not ctx.is_subrequest:
            return force_ranges(response, ctx)
        return response
    outcome: Response | SpecialResponse = response
    if response.status == 200:
        outcome = _unless_known(response, ctx)
    if changes is not None and isinstance(outcome, Response):
        outcome = changes.apply(outcome, ctx, log)
    if added is not None and isinstance(outcome, Response):
        outcome = with_headers(outcome, ctx, added)
    if chain is not None and isinstance(outcome, Response):
        outcome = apply_chain(chain.body_filters, outcome, ctx, log)
    if isinstance(outcome, Response) and outcome.status == 200:
        outcome = _in_parts(sent := outcome, ctx)
        if added is not None and isinstance(outcome, SpecialResponse):
            pooled = [field for field in sent.headers if field[0].lower() not in OF_THE_WHOLE]
            outcome = replace(outcome, headers=(*pooled, *outcome.headers))
    if isinstance(outcome, SpecialResponse):
        response.without_body()
        return outcome
    if ctx.method == "HEAD":
        outcome = _without_body(outcome)
    if outcome.status not in DATED:
        outcome = outcome._replace(last_modified=None)
    return outcome


def _unless_known(response: Response, ctx: RequestContext) -> Response | SpecialResponse:
    if not has_conditions(ctx.request):
        return response
    verdict = evaluate_conditions(
        ctx.request,
        _modified(response),
        first_header(response.headers, "etag"),
        ctx.location.files.if_modified_since,
    )
    if verdict == "failed":
        return SpecialResponse(412)
    if verdict == "send":
        return response
    left = tuple([field for field in response.headers if field[0].lower() != "content-encoding"])
    return _without_body(response)._replace(
        status=304, status_line=None, content_type="", content_length=None, headers=left
    )


def _without_body(response: Response) -> Response:
    """The response without a body; one that is stored stays, to be read but not sent."""
    return response if response.read_to_end else response.without_body()


def _modified(response: Response) -> int | None:
    """When the response was modified, POSIX time; an upstream says so in a field."""
    if response.last_modified is not None:
        return response.last_modified
    field = first_header(response.headers, "last-modified")
    return None if field is None else parse_http_date(field)


def _in_parts(response: Response, ctx: RequestContext) -> Response | SpecialResponse:
    body, most = response.body, ctx.location.files.max_ranges
    length = response.content_length
    if not response.allow_ranges or not most or ctx.request.version < 10 or length is None:
        return response
    if not isinstance(body, FileBody):
        return force_ranges(response, ctx)
    try:
        parts = requested_ranges(
            ctx.request,
            length,
            _modified(response),
            first_header(response.headers, "etag"),
            RangeRules(most, reject_inefficient=most == ALL_RANGES),
        )
    except RangeNotSatisfiableError:
        return SpecialResponse(416, headers=(("Content-Range", f"bytes */{length}"),))
    if not parts:
        return response._replace(headers=(*response.headers, ("Accept-Ranges", "bytes")))
    if len(parts) == 1:
        start, end = parts[0]
        return response._replace(
            status=206,
            status_line=None,
            body=body.of(parts),
            content_length=end - start,
            headers=(*response.headers, ("Content-Range", content_range(parts[0], length))),
        )
    whole = multipart(parts, length, response.content_type)
    return response._replace(
        status=206,
        status_line=None,
        body=body.of(whole.pieces),
        content_type=whole.content_type,
        content_length=whole.length,
    )
