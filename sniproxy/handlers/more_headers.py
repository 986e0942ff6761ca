"""`more_set_headers` and its siblings: set and remove fields of responses and requests.

nginx's headers-more module. Fields of responses are changed before `add_header` adds its own;
those of requests behind the rewrite directives.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from ..config.directives.more_headers import HeaderChange, HeaderCommand
from ..config.model import Location
from ..context import RequestContext, absolute_location
from ..http.content_type import split_content_type
from ..http.pages import displayed_status
from ..logs.error import ConnectionLog
from ..models import Header, Response, first_header
from ..template import literal
from ..variables import lookup
from .added_headers import current_headers

CACHE_CONTROL = "cache-control"
_SIMPLE_NAME = re.compile("[A-Za-z0-9-]+")
_ONCE = frozenset(
    (
        *("if-modified-since", "if-unmodified-since", "if-match", "if-none-match", "user-agent"),
        *("host", "connection", "referer", "content-length", "content-type", "range", "if-range"),
        *("transfer-encoding", "expect", "upgrade", "accept-encoding", "via", "authorization"),
        *("keep-alive", "x-real-ip"),
    )
)
"""Request fields of which only the first is set; of others the rest is removed."""


class _InvalidValueError(Exception):
    """A value with which the request fails."""


def _matches(name: str, pattern: str) -> bool:
    """Whether the lower-case `pattern` stands for the field `name`."""
    name = name.lower()
    return name == pattern or (pattern.endswith("*") and name.startswith(pattern[:-1]))


def _set_all(
    headers: Sequence[Header], change: HeaderChange, value: str, *, create: bool = True
) -> tuple[Header, ...]:
    """Give the first field of this name the value, and remove the others."""
    pattern, left, found = change.name.lower(), [], False
    for name, present in headers:
        if not _matches(name, pattern):
            left.append((name, present))
        elif value and not found:
            left.append((name, value))
            found = True
    if value and not found and create:
        left.append((change.name, value))
    return tuple(left)


# --- responses ---


class ResponseHeaderChanges:
    """The commands of one location about responses."""

    def __init__(self, commands: tuple[HeaderCommand, ...]) -> None:
        self._commands = commands

    def apply(self, response: Response, ctx: RequestContext, log: ConnectionLog) -> Response:
        """Change the fields of a response, before others are added."""
        if response.close_without_response:
            return response
        ctx.status = response.status
        values = lookup(ctx)
        for command in self._commands:
            if command.types and split_content_type(response.content_type)[0] not in command.types:
                continue
            if command.statuses and displayed_status(response.status) not in command.statuses:
                continue
            for change in command.changes:
                ctx.sent_headers = partial(tuple, current_headers(response, ctx))
                value = change.value.render(values)
                try:
                    response = _changed(response, change, value, command, ctx)
                except _InvalidValueError:
                    return response.without_body()._replace(close_without_response=True)
        return response


def response_header_changes(location: Location) -> ResponseHeaderChanges | None:
    """The changes of a location to responses; None without any."""
    commands = location.filters.more_headers.output
    return ResponseHeaderChanges(commands) if commands else None


def _changed(
    response: Response,
    change: HeaderChange,
    value: str,
    command: HeaderCommand,
    ctx: RequestContext,
) -> Response:
    if command.appends:
        added = ((change.name, value),) if value else ()
        return response._replace(headers=(*response.headers, *added))
    match change.name.lower():
        case "content-type":
            return _with_type(response, change, value)
        case "content-length":
            return _with_length(response, value)
        case "location":
            return _with_location(response, change, value, ctx)
        case "cache-control":
            return response._replace(headers=_with_cache_control(response.headers, value))
        case "server":
            response = response._replace(add_server=False)
        case "date":
            response = response._replace(add_date=False)
        case "last-modified":
            response = response._replace(last_modified=None)
        case "accept-ranges" if not value:
            response = response._replace(allow_ranges=False)
        case pattern if response.location is not None and _matches("location", pattern):
            response = response._replace(location=value or None)
            value = ""
    return response._replace(headers=_set_all(response.headers, change, value))


def _with_type(response: Response, change: HeaderChange, value: str) -> Response:
    charset = split_content_type(response.content_type)[1]
    if value and charset and not split_content_type(value)[1]:
        # nginx remembers the charset apart from the type.
        value = f"{value}; charset={charset}"
    headers = _set_all(response.headers, change, "", create=False)
    return response._replace(content_type=value, headers=headers)


def _with_length(response: Response, value: str) -> Response:
    if not value:
        return response._replace(content_length=None)
    if not value.isascii() or not value.isdigit():
        raise _InvalidValueError
    return response._replace(content_length=int(value))


def _with_location(
    response: Response, change: HeaderChange, value: str, ctx: RequestContext
) -> Response:
    headers = response.headers
    if response.location is not None:
        # It is the first field of a redirect.
        headers = (("Location", response.location), *headers)
    location = absolute_location(ctx, value) if value else None
    left = _set_all(headers, change, "" if location else value)
    named = [(change.name, v) if n.lower() == "location" else (n, v) for n, v in left]
    return response._replace(location=location, headers=tuple(named))


def _with_cache_control(headers: Sequence[Header], value: str) -> tuple[Header, ...]:
    if first_header(headers, CACHE_CONTROL) is None:
        return (*headers, ("Cache-Control", value))
    return _set_all(headers, HeaderChange(CACHE_CONTROL, literal("")), value)


# --- requests ---


class RequestHeaderChanges:
    """The commands of one location about requests."""

    def __init__(self, commands: tuple[HeaderCommand, ...]) -> None:
        self._commands = commands

    def apply(self, ctx: RequestContext, log: ConnectionLog) -> Response | None:
        """Change the fields of a request; a response if the connection is to be closed."""
        if ctx.request.version < 10:
            return None
        values = lookup(ctx)
        for command in self._commands:
            if command.types and ctx.request.header("content-type") not in command.types:
                continue
            for change in command.changes:
                value = change.value.render(values)
                try:
                    _change_request(ctx, change, value, replaces=command.replaces)
                except _InvalidValueError:
                    return Response(0, close_without_response=True)
                log.headers = ctx.request.headers
        return None


def request_header_changes(location: Location) -> RequestHeaderChanges | None:
    """The changes of a location to requests; None without any."""
    commands = location.filters.more_headers.input
    return RequestHeaderChanges(commands) if commands else None


def _change_request(
    ctx: RequestContext, change: HeaderChange, value: str, *, replaces: bool
) -> None:
    request, name = ctx.request, change.name.lower()
    if name == "host":
        request = request._replace(host=_host(value) if value else "")
    elif name == "content-length":
        if value and not (value.isascii() and value.isdigit()):
            raise _InvalidValueError
        request = request._replace(content_length=int(value) if value else None)
    elif name == "connection" and "close" in value.lower():
        request = request._replace(keepalive=False)
    headers = _with_field(request.headers, change, value, create=not replaces)
    names = tuple([field.lower() for field, _ in headers])
    simple = all(map(_SIMPLE_NAME.fullmatch, names))
    ctx.request = request._replace(headers=headers, names=names if simple else ())


_HOST = re.compile(r"(\[[^]]*\]|[^:]*)(.*)", re.DOTALL)


def _host(value: str) -> str:
    """The host of a Host field, in lower case and without port; less strict than nginx."""
    host = _HOST.fullmatch(value)
    assert host is not None
    name = host[1].removesuffix(".")
    if ".." in value or "/" in value or "\0" in value or not name:
        raise _InvalidValueError
    return name.lower()


def _with_field(
    headers: Sequence[Header], change: HeaderChange, value: str, *, create: bool
) -> tuple[Header, ...]:
    name = change.name.lower()
    if value and name.endswith("*"):
        # For requests an asterisk stands for other names only if they are removed.
        left = list(headers)
        positions = [at for at, field in enumerate(left) if field[0].lower() == name]
        if positions:
            left[positions[0]] = (left[positions[0]][0], value)
        elif create:
            left.append((change.name, value))
        return tuple(left)
    if not value or name not in _ONCE:
        return _set_all(headers, change, value, create=create)
    for position, (field, _) in enumerate(headers):
        if field.lower() == name:
            return (*headers[:position], (field, value), *headers[position + 1 :])
    return (*headers, (change.name, value)) if create else tuple(headers)
