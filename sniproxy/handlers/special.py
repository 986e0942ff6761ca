"""The built-in pages as responses: errors and redirects (nginx's special responses, pure)."""

from __future__ import annotations

from ..facts import Facts
from ..http import pages
from ..message import Header, Response

SILENT = frozenset((408, 444, 499))
"""Statuses that close the connection without a word, when they are nginx's own."""


def special_response(
    status: int,
    facts: Facts,
    *,
    location: str | None = None,
    headers: tuple[Header, ...] = (),
) -> Response:
    """The built-in page of `status`; `location` is where a redirect leads."""
    if status in SILENT:
        return Response(status, silent=True)
    core = facts.location.core
    page = pages.error_page(
        status,
        server_tokens=core.server_tokens,
        user_agent=facts.request.header("user-agent"),
        msie_padding=core.msie_padding,
    )
    shown = pages.displayed_status(status)
    absolute = None
    if location is not None:
        absolute = absolute_location(facts, location)
        if absolute is None:
            headers = (("Location", location), *headers)
    return Response(
        shown,
        page,
        content_type="text/html" if page else "",
        content_length=len(page),
        headers=headers,
        location=absolute,
        closes=pages.closes_connection(status),
    )


def absolute_location(facts: Facts, target: str) -> str | None:
    """A path with scheme, host and port; None for a target that stays as it is.

    Directives: `absolute_redirect`, `server_name_in_redirect`, `port_in_redirect`.
    """
    core = facts.location.core
    if not core.absolute_redirect or not target.startswith("/"):
        return None
    connection = facts.connection
    scheme = connection.scheme
    host = facts.request.host or connection.server_address
    if core.server_name_in_redirect:
        host = facts.server.name
    usual = (0, 443 if scheme == "https" else 80)
    port = connection.server_port if core.port_in_redirect else 0
    return f"{scheme}://{host}{f':{port}' if port not in usual else ''}{target}"
