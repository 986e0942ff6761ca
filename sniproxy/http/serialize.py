"""The response head that goes to the client, field by field in nginx's order (pure)."""

from __future__ import annotations

import time
from collections.abc import Iterable

from ..models import Header, Response
from .dates import http_date
from .pages import server_field, status_line

_SERVER_FIELDS = {tokens: f"Server: {server_field(tokens)}" for tokens in ("on", "off", "build")}
"""By `server_tokens`."""


def response_head(
    response: Response,
    *,
    keepalive: bool,
    chunked: bool,
    server_tokens: str = "on",
    keepalive_header: float | None = None,
) -> bytes:
    """Status line and fields, with the empty line behind them.

    Server, Date, Content-Type, Content-Length, a redirect's own Location, Transfer-Encoding and
    Connection have their places; all others follow as the upstream or the configuration had
    them. A 204 of our own says nothing of a body.
    """
    line = response.status_line
    if line is None:
        line = status_line(response.status)
    lines = [f"HTTP/1.1 {line}"]
    if response.add_server:
        lines.append(_SERVER_FIELDS[server_tokens])
    if response.add_date:
        lines.append(_date_field())
    if response.status != 204 or response.status_line is not None:
        if response.content_type:
            lines.append(f"Content-Type: {response.content_type}")
        if response.content_length is not None:
            lines.append(f"Content-Length: {response.content_length}")
        if response.last_modified is not None:
            lines.append(f"Last-Modified: {http_date(response.last_modified)}")
    if response.location is not None:
        lines.append(f"Location: {response.location}")
    if chunked:
        lines.append("Transfer-Encoding: chunked")
    if response.status == 101:
        lines.append("Connection: upgrade")
    elif keepalive:
        lines.append("Connection: keep-alive")
        if keepalive_header:
            lines.append(f"Keep-Alive: timeout={keepalive_header:.0f}")
    else:
        lines.append("Connection: close")
    lines += [f"{name}: {value}" for name, value in response.headers]
    lines.append("\r\n")
    return "\r\n".join(lines).encode("latin-1")


def builtin_headers(
    content_type: str, content_length: int | None, last_modified: int | None, location: str | None
) -> list[Header]:
    """Those with places of their own, as far as the answer has them; for `$sent_http_…`."""
    defaults = (
        ("Content-Type", content_type or None),
        ("Content-Length", content_length),
        ("Last-Modified", http_date(last_modified) if last_modified is not None else None),
        ("Location", location),
    )
    return [(name, str(value)) for name, value in defaults if value is not None]


def early_hints(headers: Iterable[Header]) -> bytes:
    """A 103 with these fields."""
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers])
    return f"HTTP/1.1 103 Early Hints\r\n{fields}\r\n".encode("latin-1")


_last_date = (0, "")


def _date_field() -> str:
    # One second, one text: nginx too makes it once a second.
    global _last_date
    now = int(time.time())
    if _last_date[0] != now:
        _last_date = (now, f"Date: {http_date(now)}")
    return _last_date[1]
