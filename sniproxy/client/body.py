"""Request bodies: read whole before they go anywhere, or passed on as they come.

Read whole (`proxy_request_buffering on`), a body stays in memory up to
`client_body_buffer_size`, and goes to a temporary file above it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import IO

from .spooling import Spooling

BLOCK = 65536


class SpooledBody:
    """A body that can be read again for every try."""

    def __init__(
        self, spooling: Spooling, on_file: Callable[[str], None] = lambda name: None
    ) -> None:
        """`on_file` is told the name of a file that the body goes to."""
        self._spooling = spooling
        self._on_file = on_file
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self.file_name: str | None = None
        """The temporary file that holds the body, if one does."""
        self.length = 0

    @property
    def held(self) -> str | None:
        """The body where it is in memory; None where it is in a file, or empty."""
        return self._memory.decode("latin-1") or None

    def write(self, data: bytes) -> None:
        """Take the next bytes; raises `Failed`."""
        self.length += len(data)
        memory = self._spooling.memory
        if self._file is None and memory is not None and self.length > memory:
            self._file, self.file_name = self._spooling.make_file()
            self._on_file(self.file_name)
            self._file.write(self._memory)
            self._memory = bytearray()
        if self._file is not None:
            self._file.write(data)
        else:
            self._memory += data

    def blocks(self) -> Iterator[bytes]:
        """The body from its beginning."""
        if self._file is None:
            if self._memory:
                yield bytes(self._memory)
            return
        self._file.seek(0)
        while block := self._file.read(BLOCK):
            yield block

    def close(self) -> None:
        if self._file is None or self._file.closed:
            return
        self._file.close()
        if not self._spooling.keeps and self.file_name is not None:
            os.unlink(self.file_name)


class ArrivingBody:
    """A body that is passed on as it comes; implements `upstream.sending.StreamedBody`."""

    def __init__(
        self,
        length: int | None,
        pieces: AsyncIterator[bytes],
        whole: Callable[[], Awaitable[SpooledBody]],
    ) -> None:
        """`pieces` and `whole` raise `ClientFailed`."""
        self.length = length
        self.is_over = False
        """Whether all of it has come."""
        self.at_end: Callable[[], None] | None = None
        """Called when it is over."""
        self._pieces = pieces
        self._whole = whole

    async def read(self) -> bytes:
        """The next bytes, b"" at the end; raises `ClientFailed`."""
        async for piece in self._pieces:
            if piece:
                return piece
        self._end()
        return b""

    async def whole(self) -> SpooledBody:
        """All of it; raises `ClientFailed`."""
        body = await self._whole()
        self._end()
        return body

    def _end(self) -> None:
        if not self.is_over:
            self.is_over = True
            if self.at_end is not None:
                self.at_end()
