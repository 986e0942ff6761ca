"""Bodies off the wire: where they end, what is left behind them, what ends them early."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trio
import trio.testing

from sniproxy.client.requests import RequestReader
from sniproxy.config.model import Server
from sniproxy.http.chunks import BadChunk, TooLargeBody
from sniproxy.message import Failed, FailureClass, Side
from sniproxy.tls.stream import SocketStream
from tests.configured import facts, request, servers

T = TypeVar("T")


def received(data: bytes, use: Callable[[RequestReader], Awaitable[T]], *, ends: bool = True) -> T:
    """What `use` makes of a client that has sent `data` (and then ended its side)."""

    async def main() -> T:
        near, far = socket.socketpair()
        with far:
            far.sendall(data)
            if ends:
                far.shutdown(socket.SHUT_WR)
            near.setblocking(False)
            stream = SocketStream(near, Side.CLIENT)
            try:
                return await use(RequestReader(stream))
            finally:
                stream.close()

    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.fixture
def server(tmp_path: Path) -> Server:
    text = "server { client_body_buffer_size 8; client_max_body_size 20; client_body_timeout 5s; }"
    return servers(tmp_path, text)[0]


@pytest.mark.parametrize(
    ("data", "more", "body", "rest", "on_the_wire"),
    [
        (b"hello", {"content_length": 5}, b"hello", b"", 5),
        (b"helloGET /", {"content_length": 5}, b"hello", b"GET /", 5),
        (b"x" * 20, {"content_length": 20}, b"x" * 20, b"", 20),
        (b"", {"content_length": 0}, b"", b"", 0),
        (b"3\r\nabc\r\n0\r\n\r\n", {"chunked": True}, b"abc", b"", 13),
        (b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET /", {"chunked": True}, b"abcde", b"GET /", 20),
        (b"0\r\n\r\n", {"chunked": True}, b"", b"", 5),
    ],
)
def test_complete_body_is_read(
    server: Server, data: bytes, more: dict[str, Any], body: bytes, rest: bytes, on_the_wire: int
) -> None:
    request_ = facts(request(method="POST", **more), server, request_length=100)

    async def use(reader: RequestReader) -> tuple[bytes, bytes]:
        spooled = await reader.body(request_)
        whole = b"".join(spooled.blocks())
        spooled.close()
        return whole, bytes(reader.buffer)

    assert received(data, use) == (body, rest)
    assert request_.body_length == len(body)
    assert request_.request_length == 100 + on_the_wire


@pytest.mark.parametrize(
    ("data", "more", "error"),
    [
        (b"hell", {"content_length": 5}, Failed),
        (b"3\r\nab", {"chunked": True}, Failed),
        (b"z\r\n", {"chunked": True}, BadChunk),
        (b"15\r\nx", {"chunked": True}, TooLargeBody),
    ],
)
def test_malformed_body_raises(
    server: Server, data: bytes, more: dict[str, Any], error: type[Exception]
) -> None:
    request_ = facts(request(method="POST", **more), server)
    with pytest.raises(error):
        received(data, lambda reader: reader.body(request_))
    assert received(data, lambda reader: reader.discard_body(request_)) is False


def test_missing_body_times_out(server: Server) -> None:
    request_ = facts(request(method="POST", content_length=5), server)
    with pytest.raises(Failed) as failed:
        received(b"he", lambda reader: reader.body(request_), ends=False)
    assert failed.value.failure.kind is FailureClass.TIMEOUT


def test_unread_body_is_discarded(server: Server) -> None:
    request_ = facts(request(method="POST", content_length=5), server, request_length=100)

    async def use(reader: RequestReader) -> tuple[bool, bytes]:
        return await reader.discard_body(request_), bytes(reader.buffer)

    assert received(b"helloGET", use) == (True, b"GET")
    assert request_.request_length == 100


@pytest.mark.parametrize(("data", "came"), [(b"G", True), (b"", False)])
def test_first_byte_starts_a_request(data: bytes, came: bool) -> None:
    assert received(data, lambda reader: reader.wait(5)) is came
