"""How long a line of a request head may be: nginx's buffers, by their sizes alone."""

from __future__ import annotations


class HeaderBuffers:
    """The buffers that nginx would read one head into, line by line.

    A line lies in one buffer. One that does not end in the `first`
    (`client_header_buffer_size`), or in a large one that others began, moves to the next of
    the `large` ones (`large_client_header_buffers`: how many, and their size).
    """

    __slots__ = ("_large", "_left", "_size", "_used")

    def __init__(self, first: int, large: tuple[int, int], leading: int) -> None:
        """`leading`: the bytes of empty lines before the head."""
        self._left, self._large = large
        self._size = first
        self._used = leading % first  # empty lines that fill a buffer are forgotten

    def limit(self) -> int:
        """The longest line, with its end, that may come next."""
        here = self._size - self._used
        return max(here, self._large) if self._left else here

    def take(self, length: int) -> None:
        """The next line has come; it is `length` bytes long, within the limit."""
        if self._used + length > self._size:
            self._left -= 1
            self._size, self._used = self._large, 0
        self._used += length
