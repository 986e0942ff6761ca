"""`slice`: join the parts in which a response is requested (nginx's slice filter)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..context import RequestContext
from ..included import SliceState
from ..logs.error import ConnectionLog
from ..models import BodyReader, BodyReadError, Response, first_header
from .changed_body import reader, report_head_error

_CONTENT_RANGE = re.compile(r"bytes +([0-9]+) *- *([0-9]+) */ *(?:([0-9]+)|\*) *")


class _UnexpectedSliceError(Exception):
    """A response is not the slice that was requested; `str()` is nginx's message."""


@dataclass(frozen=True, slots=True)
class _ContentRange:
    start: int
    end: int
    length: int


def join_slices(response: Response, ctx: RequestContext, log: ConnectionLog) -> Response:
    """The complete response, of which `response` is the first slice.

    Its body requests the others. One that is no slice is returned as it is.
    """
    state, size = ctx.slice, ctx.location.filters.slices.slice
    if state is None or response.status != 206:
        return response
    try:
        found = _checked(response, state, size)
    except _UnexpectedSliceError as error:
        report_head_error(str(error), response, log)
        return response.without_body()._replace(close_without_response=True)
    unsent = ("content-range", "accept-ranges")
    return response._replace(
        status=200,
        status_line=None,
        content_length=found.length,
        headers=tuple([f for f in response.headers if f[0].lower() not in unsent]),
        body=SlicedBody(reader(response.body), found, size, state, ctx),
        allow_ranges=True,
        force_ranges=True,
    )


def _checked(response: Response, state: SliceState, size: int) -> _ContentRange:
    """The range of a slice. Raises `_UnexpectedSliceError`."""
    if response.status != 206:
        raise _UnexpectedSliceError(f"unexpected status code {response.status} in slice response")
    etag = first_header(response.headers, "etag")
    if state.etag is not None and etag != state.etag:
        raise _UnexpectedSliceError("etag mismatch in slice response")
    if etag is not None:
        state.etag = etag
    found = _CONTENT_RANGE.fullmatch(first_header(response.headers, "content-range") or "")
    if found is None:
        raise _UnexpectedSliceError("invalid range in slice response")
    start, end = int(found[1]), int(found[2]) + 1
    if found[3] is None:
        raise _UnexpectedSliceError("no complete length in slice response")
    length = int(found[3])
    if start != state.start or end != min(start + size, length):
        raise _UnexpectedSliceError(f"unexpected range in slice response: {start}-{end}")
    return _ContentRange(start, end, length)


class SlicedBody:
    """A body whose parts are requested one after the other."""

    def __init__(
        self,
        body: BodyReader,
        present: _ContentRange,
        size: int,
        state: SliceState,
        ctx: RequestContext,
    ) -> None:
        self._body = body
        self._present = present
        self._size = size
        self._state = state
        self._ctx = ctx
        self._position = present.start
        """Where the next piece of the present slice begins."""
        self._start, self._end = 0, present.length

    def select(self, start: int, end: int) -> None:
        """Read only this part of the body."""
        self._start, self._end = start, end

    async def read(self) -> bytes:
        """The next piece; raises `BodyReadError`."""
        while True:
            piece = await self._body.read()
            if not piece:
                following = max(self._present.end, self._start // self._size * self._size)
                if following >= self._end:
                    return b""
                await self._request(following)
                continue
            begin = self._position
            self._position += len(piece)
            wanted = piece[max(self._start - begin, 0) : max(self._end - begin, 0)]
            if wanted:
                return wanted

    async def _request(self, start: int) -> None:
        self._body.discard()
        state = SliceState(start)
        state.etag = self._state.etag
        assert self._ctx.run_slice is not None
        response, report = await self._ctx.run_slice(state)
        try:
            self._present = _checked(response, state, self._size)
        except _UnexpectedSliceError as error:
            report(str(error))
            response.without_body()
            raise BodyReadError from None
        self._state, self._position = state, start
        self._body = reader(response.body)

    def discard(self) -> None:
        self._body.discard()
