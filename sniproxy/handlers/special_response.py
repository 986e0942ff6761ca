"""The built-in pages as responses: errors and redirects (nginx's special responses, pure)."""

from __future__ import annotations

from ..context import RequestContext, absolute_location
from ..http import pages
from ..models import Header, Response

SILENT = frozenset((408, 444, 499))
"""Statuses that close the connection without a word, when they are nginx's own."""


def special_response(
    status: int,
    ctx: RequestContext,
    *,
    location: str | None = None,
    headers: tuple[Header, ...] = (),
) -> Response:
    """The built-in page of `status`; `location` is where a redirect leads."""
    if status in SILENT:
        return Response(status, close_without_response=True)
    core = ctx.location.core
    page = pages.error_page(
        status,
        server_tokens=core.server_tokens,
        user_agent=ctx.request.header("user-agent"),
        msie_padding=core.msie_padding,
    )
    displayed = pages.displayed_status(status)
    absolute = None
    if location is not None:
        absolute = absolute_location(ctx, location)
        if absolute is None:
            headers = (("Location", location), *headers)
    return Response(
        displayed,
        page,
        content_type="text/html" if page else "",
        content_length=len(page),
        headers=headers,
        location=absolute,
        close_connection=pages.closes_connection(status),
    )
