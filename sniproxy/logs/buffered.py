"""Access log lines buffered in memory (`buffer=`, `flush=`, `gzip`)."""

from __future__ import annotations

import gzip

import trio

from .sinks import FileSink


class BufferedSink:
    """Buffers up to `size` bytes for up to `flush` seconds (None means no limit).

    With a compression `level`, every flush writes a separate gzip member; concatenated members are
    a valid gzip file.
    """

    def __init__(
        self, file: FileSink, size: int, flush: float | None = None, level: int | None = None
    ) -> None:
        self.file = file
        self.size = size
        self._flush_after = flush
        self._level = level
        self._buffer = bytearray()
        self._generation = 0
        """Incremented whenever the buffer is emptied."""

    @property
    def settings(self) -> tuple[int, float | None, int | None]:
        return self.size, self._flush_after, self._level

    def write(self, line: str) -> None:
        data = line.encode("latin-1", "replace")
        if len(self._buffer) + len(data) > self.size:
            self.flush()
        if len(data) > self.size:
            self._write_bytes(data)
            return
        if not self._buffer and self._flush_after is not None:
            trio.lowlevel.spawn_system_task(self._flush_later, self._flush_after, self._generation)
        self._buffer += data

    def flush(self) -> None:
        """Write the buffered lines."""
        self._generation += 1
        if self._buffer:
            data = bytes(self._buffer)
            self._buffer.clear()
            self._write_bytes(data)

    def close(self) -> None:
        """Do nothing: the file belongs to `Sinks`."""

    def _write_bytes(self, data: bytes) -> None:
        if self._level is not None:
            data = gzip.compress(data, self._level, mtime=0)
        self.file.write_bytes(data)

    async def _flush_later(self, seconds: float, turn: int) -> None:
        await trio.sleep(seconds)
        if turn == self._generation:
            self.flush()
