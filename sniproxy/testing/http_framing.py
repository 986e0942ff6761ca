"""Find the end of an HTTP/1 message: as much of HTTP as recording clients and upstreams need."""

from __future__ import annotations

import re

END_OF_HEAD = b"\r\n\r\n"
_LENGTH = re.compile(rb"^content-length: *([0-9]+) *$", re.IGNORECASE | re.MULTILINE)
_CHUNKED = re.compile(rb"^transfer-encoding: *chunked *$", re.IGNORECASE | re.MULTILINE)
_LAST_CHUNK = re.compile(rb"(?<![^\n])0\r\n(?:[!-9;-~]+:[^\r\n]*\r\n)*\r\n")
"""The last chunk, with the trailers."""
_BODILESS = re.compile(rb"HTTP/1\.[01] (?:1[0-9][0-9]|204|304)\b")


def message_length(data: bytes, *, head_only: bool = False) -> int | None:
    """Length in bytes of the first message in `data`; None while it is not complete.

    Always None for a response that ends when the connection is closed. `head_only` is for
    responses to HEAD requests.
    """
    head, end, body = data.partition(END_OF_HEAD)
    if not end:
        return None
    start = len(head) + len(end)
    head = head.replace(b"\r\n", b"\n")
    if head_only or _BODILESS.match(head):
        return start
    if _CHUNKED.search(head):
        last = _LAST_CHUNK.search(body)
        return None if last is None else start + last.end()
    if length := _LENGTH.search(head):
        total = start + int(length[1])
        return total if len(data) >= total else None
    return None if head.startswith(b"HTTP/") else start
