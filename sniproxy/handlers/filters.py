"""What becomes of an answer just before it goes out: conditions, added fields, ranges.

nginx's not-modified, headers and range filters, in its order.
"""

from __future__ import annotations

from dataclasses import replace

from ..config.directives.files import ALL_RANGES
from ..facts import Facts
from ..http.conditions import evaluate_conditions
from ..http.ranges import (
    RangeNotSatisfiableError,
    RangeRules,
    content_range,
    multipart,
    requested_ranges,
)
from ..message import Response, Special, first_header
from .files import FileBody
from .headers import with_headers

DATED = (200, 206, 304)
"""The statuses with which Last-Modified goes out."""
OF_THE_WHOLE = frozenset(("etag", "last-modified"))
"""The fields that do not go out with a 416; what was added before does."""


def filtered(response: Response, facts: Facts) -> Response | Special:
    """`response`, a part of it, or what answers instead: 304, 412, 416."""
    added = facts.location.headers
    if not response.conditional:
        return response if added is None else with_headers(response, facts, added)
    outcome: Response | Special = response
    if response.status == 200:
        outcome = _unless_known(response, facts)
    if added is not None and isinstance(outcome, Response):
        outcome = with_headers(outcome, facts, added)
    if isinstance(outcome, Response) and outcome.status == 200:
        outcome = _in_parts(sent := outcome, facts)
        if added is not None and isinstance(outcome, Special):
            kept = [field for field in sent.headers if field[0].lower() not in OF_THE_WHOLE]
            outcome = replace(outcome, headers=(*kept, *outcome.headers))
    if isinstance(outcome, Special):
        response.without_body()
        return outcome
    if facts.method == "HEAD":
        outcome = outcome.without_body()
    if outcome.status not in DATED:
        outcome = outcome._replace(last_modified=None)
    return outcome


def _unless_known(response: Response, facts: Facts) -> Response | Special:
    verdict = evaluate_conditions(
        facts.request,
        response.last_modified,
        first_header(response.headers, "etag"),
        facts.location.files.if_modified_since,
    )
    if verdict == "failed":
        return Special(412)
    if verdict == "send":
        return response
    return response.without_body()._replace(status=304, content_type="", content_length=None)


def _in_parts(response: Response, facts: Facts) -> Response | Special:
    body, most = response.body, facts.location.files.max_ranges
    if not isinstance(body, FileBody) or not most or facts.request.version < 10:
        return response
    length = body.file.size
    try:
        parts = requested_ranges(
            facts.request,
            length,
            response.last_modified,
            first_header(response.headers, "etag"),
            RangeRules(most, reject_inefficient=most == ALL_RANGES),
        )
    except RangeNotSatisfiableError:
        return Special(416, headers=(("Content-Range", f"bytes */{length}"),))
    if not parts:
        return response._replace(headers=(*response.headers, ("Accept-Ranges", "bytes")))
    if len(parts) == 1:
        start, end = parts[0]
        return response._replace(
            status=206,
            body=body.of(parts),
            content_length=end - start,
            headers=(*response.headers, ("Content-Range", content_range(parts[0], length))),
        )
    whole = multipart(parts, length, response.content_type)
    return response._replace(
        status=206,
        body=body.of(whole.pieces),
        content_type=whole.content_type,
        content_length=whole.length,
    )
