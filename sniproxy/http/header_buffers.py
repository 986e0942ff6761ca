"""Maximum length of the lines of a request head, derived from nginx's buffers."""

from __future__ import annotations


class HeaderBuffers:
    """Simulates the buffers into which nginx would read a request head.

    A line has to fit into one buffer. If it does not fit into the rest of the `first` buffer
    (`client_header_buffer_size`) or of the current large one, it is moved to the next of the
    `large` ones (`large_client_header_buffers`: number and size).
    """

    __slots__ = ("_large", "_left", "_size", "_used")

    def __init__(self, first: int, large: tuple[int, int], leading: int) -> None:
        """`leading` is the number of bytes of empty lines before the head."""
        self._left, self._large = large
        self._size = first
        self._used = leading % first  # nginx discards empty lines that fill a buffer

    def limit(self) -> int:
        """Maximum length of the next line, including its end."""
        here = self._size - self._used
        return max(here, self._large) if self._left else here

    def take(self, length: int) -> None:
        """Account for a line of `length` bytes, which is within the limit."""
        if self._used + length > self._size:
            self._left -= 1
            self._size, self._used = self._large, 0
        self._used += length
