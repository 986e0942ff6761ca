"""Response bodies that are written to a file while they are sent (`proxy_cache`, `proxy_store`)."""

from __future__ import annotations

from collections.abc import Callable

from ..cache.store import TemporaryResponse
from ..models import BodyReader, BodyReadError


class RecordedBody:
    """The body of an upstream's response; a copy is written to a file as it is read."""

    def __init__(
        self,
        body: BodyReader,
        file: TemporaryResponse,
        finish: Callable[[TemporaryResponse], None],
        abandon: Callable[[], None],
    ) -> None:
        """`finish` is called when the file is complete, or `abandon` after it was removed."""
        self._body = body
        self._file = file
        self._finish = finish
        self._abandon = abandon
        self._over = False

    async def read(self) -> bytes:
        """Read the next piece, b"" at the end; raises `BodyReadError`, also if writing fails."""
        if self._over:
            return b""
        try:
            piece = await self._body.read()
            if piece:
                self._file.write(piece)
                return piece
        except BodyReadError:
            self.discard()
            raise
        self._over = True
        self._finish(self._file)
        return b""

    def discard(self) -> None:
        """Remove the file, and release the body without reading the rest."""
        if not self._over:
            self._over = True
            self._file.remove()
            self._abandon()
        self._body.discard()
