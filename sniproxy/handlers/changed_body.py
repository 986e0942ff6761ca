"""What filters share: fields of responses whose bodies change, bodies as readers, errors."""

from __future__ import annotations

from collections.abc import Sequence

from ..config.directives.gzip import ANY_TYPE
from ..context import RequestContext
from ..http.content_type import media_type
from ..logs.error import ConnectionLog
from ..models import BodyReader, Header, Level, Response
from ..upstream.request_writer import READING_HEAD


class WholeBody:
    """A body that is in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def read(self) -> bytes:
        data, self._data = self._data, b""
        return data

    def discard(self) -> None:
        self._data = b""


def reader(body: bytes | BodyReader) -> BodyReader:
    """The body as a reader."""
    return WholeBody(body) if isinstance(body, bytes) else body


class MediaTypes:
    """The media types to which a filter applies (`sub_filter_types` and the like)."""

    def __init__(self, types: frozenset[str]) -> None:
        self._types = types
        self._any = ANY_TYPE in types

    def __contains__(self, content_type: str) -> bool:
        return self._any or media_type(content_type) in self._types


def without_length(response: Response, ctx: RequestContext) -> Response:
    """The response with the fields of another encoding or content.

    Its length is unknown, ranges are not served, and the entity tag is weak.
    """
    return _changed(response, ctx, ("accept-ranges",), keeps_tag=True)


def without_validators(
    response: Response, ctx: RequestContext, *, keeps_date: bool, serves_ranges: bool = False
) -> Response:
    """The response without length, and without Last-Modified and ETag.

    With `keeps_date` Last-Modified stays, and the entity tag becomes weak. `serves_ranges` is
    whether Accept-Ranges stays.
    """
    names = () if serves_ranges else ("accept-ranges",)
    if keeps_date:
        return _changed(response, ctx, names, keeps_tag=True)
    changed = _changed(response, ctx, (*names, "last-modified", "etag"), keeps_tag=False)
    return changed._replace(last_modified=None)


def _changed(
    response: Response, ctx: RequestContext, names: Sequence[str], *, keeps_tag: bool
) -> Response:
    ctx.redirect_headers = _changed_fields(ctx.redirect_headers, names, weaken=keeps_tag)
    headers = _changed_fields(response.headers, names, weaken=keeps_tag)
    return response._replace(content_length=None, headers=headers)


def _changed_fields(
    headers: Sequence[Header], names: Sequence[str], *, weaken: bool
) -> tuple[Header, ...]:
    left = []
    for name, value in headers:
        kind = name.lower()
        if kind in names:
            continue
        if weaken and kind == "etag" and not value.startswith("W/"):
            if not value.startswith('"'):
                continue
            value = f"W/{value}"
        left.append((name, value))
    return tuple(left)


def report_head_error(text: str, response: Response, log: ConnectionLog) -> None:
    """Write an error; that of an upstream's response belongs to its head, as in nginx."""
    action = log.action
    if response.status_line is not None and log.upstream is not None:
        log.action = READING_HEAD
    log.write(Level.ERROR, text)
    log.action = action
