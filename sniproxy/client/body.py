"""A request body, read whole before it goes anywhere (`proxy_request_buffering on`).

Up to `client_body_buffer_size` it stays in memory, above it goes to a temporary file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

BLOCK = 65536


class SpooledBody:
    """A body of known length that can be read again for every try."""

    def __init__(self, memory: int) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=memory)
        self.length = 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self.length += len(data)

    @property
    def on_disk(self) -> bool:
        return bool(getattr(self._file, "_rolled", False))

    def blocks(self) -> Iterator[bytes]:
        """The body from its beginning."""
        self._file.seek(0)
        while block := self._file.read(BLOCK):
            yield block

    def close(self) -> None:
        self._file.close()
