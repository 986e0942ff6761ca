"""Trailer fields of chunked upstream responses (`proxy_pass_trailers`)."""

from __future__ import annotations

from ..models import Header
from . import header_fields


class MalformedTrailersError(ValueError):
    """Malformed trailers; `str()` is nginx's log message, at level error."""


class TrailerReader:
    """Reads trailer lines up to the empty line."""

    def __init__(self, limit: int) -> None:
        """`limit` is the maximum size in bytes, including the empty line (`proxy_buffer_size`)."""
        self.trailers: list[Header] = []
        self.done = False
        self.leftover = b""
        """Bytes after the trailers."""
        self.is_new = True
        """Whether no data was fed yet."""
        self._limit = limit
        self._pending = ""
        self._read = 0

    def feed(self, data: bytes) -> None:
        """Process received data. Raises `MalformedTrailersError` as early as nginx."""
        self.is_new = False
        taken = data[: self._limit - self._read]
        self._read += len(taken)
        text = self._pending + taken.decode("latin-1")
        position = 0
        while not self.done:
            try:
                line = header_fields.read_line(text, position, len(text))
            except header_fields.InvalidLineError as error:
                raise MalformedTrailersError(f'upstream sent invalid trailer: "{error}"') from None
            if line is None:
                if self._read == self._limit:
                    raise MalformedTrailersError("upstream sent too big trailers")
                self._pending = text[position:]
                return
            position = line.end()
            if line["name"] is None:
                self.done = True
            else:
                self.trailers.append((line["name"], (line["value"] or "").rstrip(" ")))
        self.leftover = text[position:].encode("latin-1") + data[len(taken) :]
