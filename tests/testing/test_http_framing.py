from __future__ import annotations

import pytest

from sniproxy.testing.http_framing import message_length

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "complete"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", False),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", True),
        (b"POST / HTTP/1.1\r\ncontent-length:3\r\n\r\nab", False),
        (CHUNKED + b"1\r\na\r\n0\r\n\r\n", True),
        (CHUNKED + b"1\r\na\r\n", False),
        (CHUNKED + b"1\r\na\r\n0\r\nX-A: b\r\n\r\n", True),
        (CHUNKED + b"1\r\na\r\n0\r\nX-A: b\r\n", False),
        (CHUNKED + b"3\r\na10\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", False),
        (b"", False),
    ],
)
@pytest.mark.parametrize("following", [b"", b"GET / "])
def test_message_length(data: bytes, complete: bool, following: bytes) -> None:
    if complete:
        assert message_length(data + following) == len(data)
    else:
        assert message_length(data) is None


def test_response_to_head_has_no_body() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    assert message_length(head, head_only=True) == len(head)
