"""`gzip`: compress responses (nginx's gzip filter)."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import trio

from ..config.directives.gzip import Gzip
from ..config.model import Location
from ..context import RequestContext
from ..logs.error import ConnectionLog
from ..models import BodyReader, Response, first_header
from .changed_body import MediaTypes, without_length
from .gzip_allowed import gzip_allowed

if TYPE_CHECKING:
    from zlib import _Compress

STATUSES = frozenset((200, 403, 404))
"""Statuses of responses that are compressed."""
_PAUSE = 1 << 17
"""Bytes compressed, in about a millisecond, after which other tasks run."""
_UNUSABLE = 262
"""Bytes of a window that zlib does not use."""
_WITH_HEADER = 16
"""zlib's flag, added to the window's size, for gzip's header."""


class GzipFilter:
    """Compresses the responses of one location."""

    def __init__(self, settings: Gzip) -> None:
        self._settings = settings
        self._types = MediaTypes(settings.gzip_types)

    def apply(self, response: Response, ctx: RequestContext, log: ConnectionLog) -> Response:
        settings, length = self._settings, response.content_length
        if (
            response.status not in STATUSES
            or response.close_without_response
            or (length is not None and length < settings.gzip_min_length)
            or response.content_type not in self._types
            or first_header(response.headers, "content-encoding")
        ):
            return response
        ctx.gzip_vary = True
        if not gzip_allowed(ctx, response):
            return response
        compressor = self._compressor(length)
        recoded = without_length(response, ctx)
        headers = (*recoded.headers, ("Content-Encoding", "gzip"))
        body = response.body
        if isinstance(body, bytes):
            compressed = compressor.compress(body)
            if response.flushes:
                compressed += compressor.flush(zlib.Z_SYNC_FLUSH)
            compressed += compressor.flush()
            if ctx.method != "HEAD":
                ctx.gzip_sizes = len(body), len(compressed)
            return recoded._replace(headers=headers, body=compressed)
        return recoded._replace(
            headers=headers,
            body=GzipBody(
                body,
                compressor,
                ctx,
                buffer=settings.gzip_buffers[1],
                flushes=response.flushes,
            ),
        )

    def _compressor(self, length: int | None) -> _Compress:
        """zlib's stream; as in nginx a short response needs less memory."""
        window, memory = self._settings.gzip_window, self._settings.gzip_hash
        if length and window > 9:
            while length < (1 << (window - 1)) - _UNUSABLE:
                window -= 1
                memory = max(memory - 1, 1)
        return zlib.compressobj(
            self._settings.gzip_comp_level, zlib.DEFLATED, window + _WITH_HEADER, memory
        )


def gzip_filter(location: Location) -> GzipFilter | None:
    """The filter of a location with `gzip on`."""
    return GzipFilter(location.gzip) if location.gzip.gzip else None


class GzipBody:
    """A compressed body."""

    def __init__(
        self,
        body: BodyReader,
        compressor: _Compress,
        ctx: RequestContext,
        *,
        buffer: int,
        flushes: bool,
    ) -> None:
        """Output is sent when it fills `buffer` bytes, or with `flushes` after each piece."""
        self._body = body
        self._compressor = compressor
        self._ctx = ctx
        self._flushes = flushes
        self._buffer = buffer
        self._read = self._written = 0
        self._ended = False

    async def read(self) -> bytes:
        """Compress pieces until the output fills a buffer; raises `BodyReadError`."""
        compressor = self._compressor
        output, unpaused = b"", 0
        while not self._ended:
            piece = await self._body.read()
            self._read += len(piece)
            if piece:
                data = compressor.compress(piece)
                if self._flushes:
                    data += compressor.flush(zlib.Z_SYNC_FLUSH)
            else:
                self._ended = True
                data = compressor.flush()
            output += data
            if self._flushes or len(output) >= self._buffer:
                break
            unpaused += len(piece)
            if unpaused >= _PAUSE:
                # What compresses well takes many pieces to fill a buffer.
                unpaused = 0
                await trio.lowlevel.checkpoint()
        self._written += len(output)
        if self._ended:
            self._ctx.gzip_sizes = self._read, self._written
        return output

    def discard(self) -> None:
        self._body.discard()
