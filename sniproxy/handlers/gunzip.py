"""`gunzip`: decompress responses for clients that do not accept gzip (nginx's gunzip filter)."""

from __future__ import annotations

import zlib
from typing import NoReturn

from ..config.model import Location
from ..context import RequestContext
from ..logs.error import ConnectionLog
from ..models import BodyReader, BodyReadError, Level, Response, first_header
from .changed_body import reader, without_length
from .gzip_allowed import gzip_allowed

_WITH_HEADER = 16 + zlib.MAX_WBITS
PIECE = 32768
"""Maximum size of a piece of decompressed data: a small response can be very large."""


class GunzipFilter:
    """Decompresses the responses of one location."""

    def apply(self, response: Response, ctx: RequestContext, log: ConnectionLog) -> Response:
        encoding = first_header(response.headers, "content-encoding")
        if encoding is None or encoding.lower() != "gzip" or response.close_without_response:
            return response
        ctx.gzip_vary = True
        if gzip_allowed(ctx, response):
            return response
        recoded = without_length(response, ctx)
        return recoded._replace(
            body=GunzipBody(reader(response.body), log),
            headers=tuple(
                [field for field in recoded.headers if field[0].lower() != "content-encoding"]
            ),
        )


def gunzip_filter(location: Location) -> GunzipFilter | None:
    """The filter of a location with `gunzip on`."""
    return GunzipFilter() if location.gzip.gunzip else None


class GunzipBody:
    """A decompressed body; its pieces are of bounded size."""

    def __init__(self, body: BodyReader, log: ConnectionLog) -> None:
        self._body = body
        self._log = log
        self._stream = zlib.decompressobj(_WITH_HEADER)
        self._left = b""
        """Compressed data that was read."""
        self._is_complete = False
        """Whether the data read so far ends with the end of a member."""
        self._may_have_more = False
        """Whether the stream may hold output that it has not returned."""

    async def read(self) -> bytes:
        """Decompress until there is some output; raises `BodyReadError`."""
        while True:
            data = self._left
            if not data and not self._may_have_more:
                data = await self._body.read()
                if not data:
                    if self._is_complete:
                        return b""
                    self._fail("inflate() returned -5 on response end")
            try:
                piece = self._stream.decompress(data, PIECE)
                if self._stream.eof:
                    self._begin_member()
                else:
                    self._left = self._stream.unconsumed_tail
                    self._may_have_more = len(piece) == PIECE
                    self._is_complete = False
            except zlib.error:
                self._fail("inflate() failed: 0, -3")
            if piece:
                return piece

    def _begin_member(self) -> None:
        """Continue behind the end of a member; raises `zlib.error` if no other one follows."""
        self._left = self._stream.unused_data
        self._stream = zlib.decompressobj(_WITH_HEADER)
        self._is_complete, self._may_have_more = not self._left, False
        if self._left:
            self._stream.copy().decompress(self._left, 1)

    def _fail(self, text: str) -> NoReturn:
        self._log.write(Level.ERROR, text)
        raise BodyReadError(invalid=True)

    def discard(self) -> None:
        self._body.discard()
