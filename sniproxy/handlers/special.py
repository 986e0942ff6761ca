"""The built-in pages as responses: errors and redirects (nginx's special responses, pure)."""

from __future__ import annotations

from ..facts import Facts
from ..http import pages
from ..message import Response

SILENT = frozenset((408, 444, 499))
"""Statuses that close the connection without a word, when they are nginx's own."""


def special_response(status: int, facts: Facts, *, location: str | None = None) -> Response:
    """The built-in page of `status`; `location` is where a redirect leads."""
    if status in SILENT:
        return Response(status, silent=True)
    tokens = facts.location.core.server_tokens
    page = pages.error_page(
        status, server_tokens=tokens, user_agent=facts.request.header("user-agent")
    )
    shown = pages.shown_status(status)
    absolute = None
    headers: tuple[tuple[str, str], ...] = ()
    if location is not None:
        if location.startswith("/"):
            absolute = absolute_location(facts, location)
        else:
            headers = (("Location", location),)
    return Response(
        shown,
        page,
        content_type="text/html" if page else "",
        content_length=len(page),
        headers=headers,
        location=absolute,
        closes=pages.closes_connection(status),
    )


def absolute_location(facts: Facts, path: str) -> str:
    """`path` with scheme, host and port, as `absolute_redirect on` has it."""
    connection = facts.connection
    scheme = connection.scheme
    host = facts.request.host or connection.server_address
    default = 443 if scheme == "https" else 80
    port = f":{connection.server_port}" if connection.server_port not in (0, default) else ""
    return f"{scheme}://{host}{port}{path}"
