"""Range requests for upstream responses (`proxy_force_ranges`).

At most one range, because an upstream's body cannot be rewound.
"""

from __future__ import annotations

from ..context import RequestContext
from ..http.dates import parse_http_date
from ..http.ranges import RangeNotSatisfiableError, RangeRules, content_range, requested_ranges
from ..models import BodyReader, Response, SpecialResponse, first_header
from .sliced import SlicedBody

ONE = RangeRules(1, reject_inefficient=False)
OF_THE_WHOLE = frozenset(("etag", "last-modified"))


def force_ranges(response: Response, ctx: RequestContext) -> Response | SpecialResponse:
    """The response, the requested part of it, or 416."""
    length = response.content_length
    if response.status != 200 or length is None or ctx.request.version < 10:
        return response
    if ctx.request.header("range") is None:
        return response._replace(headers=(*response.headers, ("Accept-Ranges", "bytes")))
    modified = first_header(response.headers, "last-modified")
    etag = first_header(response.headers, "etag")
    since = None if modified is None else parse_http_date(modified)
    try:
        parts = requested_ranges(ctx.request, length, since, etag, ONE)
    except RangeNotSatisfiableError:
        response.without_body()
        ctx.redirect_headers = tuple(
            [f for f in response.headers if f[0].lower() not in OF_THE_WHOLE]
        )
        return SpecialResponse(416, headers=(("Content-Range", f"bytes */{length}"),))
    if not parts:
        return response._replace(headers=(*response.headers, ("Accept-Ranges", "bytes")))
    start, end = parts[0]
    return response._replace(
        status=206,
        status_line=None,
        body=_part(response.body, start, end),
        content_length=end - start,
        headers=(*response.headers, ("Content-Range", content_range(parts[0], length))),
    )


def _part(body: bytes | BodyReader, start: int, end: int) -> bytes | BodyReader:
    if isinstance(body, bytes):
        return body[start:end]
    if isinstance(body, SlicedBody):
        body.select(start, end)
        return body
    return RangeBody(body, start, end)


class RangeBody:
    """A part of a body; the whole body is read."""

    def __init__(self, body: BodyReader, start: int, end: int) -> None:
        self._body = body
        self._start = start
        self._end = end
        self._position = 0

    async def read(self) -> bytes:
        """Read the next piece of the part, b"" at the end of the body; raises `BodyReadError`."""
        while piece := await self._body.read():
            first = max(self._start - self._position, 0)
            last = max(self._end - self._position, 0)
            self._position += len(piece)
            if part := piece[first:last]:
                return part
        return b""

    def discard(self) -> None:
        self._body.discard()
