"""A request body, read whole before it goes anywhere (`proxy_request_buffering on`).

Up to `client_body_buffer_size` it stays in memory, above it goes to a temporary file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO

BLOCK = 65536


class SpooledBody:
    """A body that can be read again for every try."""

    def __init__(self, memory: int) -> None:
        """`memory` is the bytes that it may take before it goes to a file."""
        self._memory_limit = memory
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self.length = 0

    @property
    def file_name(self) -> str | None:
        """The temporary file that holds the body, if one does."""
        return None if self._file is None else self._file.name

    def write(self, data: bytes) -> None:
        self.length += len(data)
        if self._file is None and self.length > self._memory_limit:
            self._file = tempfile.NamedTemporaryFile(prefix="client_body_")  # noqa: SIM115
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
        if self._file is not None:
            self._file.close()
