"""Reading request bodies: their end, data after them, errors."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trio
import trio.testing

from sniproxy.client.request_body import BufferedBody, RequestBodyReader
from sniproxy.client.request_reader import RequestReader
from sniproxy.config.model import Server
from sniproxy.context import RequestContext
from sniproxy.models import Response, Side, SpecialResponse
from sniproxy.tls.stream import SocketStream
from tests.configured import make_context, request, servers
from tests.upstream.fakes import Lines

T = TypeVar("T")


def received(data: bytes, use: Callable[[RequestReader], Awaitable[T]], *, ends: bool = True) -> T:
    """The result of `use` for a client that sent `data` (and then closed its side)."""

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


async def read_all(
    reader: RequestReader, context: RequestContext, lines: Lines | None = None
) -> BufferedBody | SpecialResponse | Response | None:
    body_reader = RequestBodyReader(reader.stream, reader, (lines or Lines()).log())
    body = await body_reader.read_all(context)
    body_reader.close()
    return body


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
    request_ = make_context(request(method="POST", **more), server, request_length=100)

    async def use(reader: RequestReader) -> tuple[bytes, bytes]:
        body_reader = RequestBodyReader(reader.stream, reader, Lines().log())
        body = await body_reader.read_all(request_)
        whole = b"".join(body.blocks()) if isinstance(body, BufferedBody) else b""
        body_reader.close()
        return whole, bytes(reader.buffer)

    assert received(data, use) == (body, rest)
    assert request_.body_length == len(body)
    assert request_.request_length == 100 + on_the_wire


@pytest.mark.parametrize(
    ("data", "more", "status", "line"),
    [
        (b"hell", {"content_length": 5}, 400, "client prematurely closed connection"),
        (b"3\r\nab", {"chunked": True}, 400, "client prematurely closed connection"),
        (b"z\r\n", {"chunked": True}, 400, "client sent invalid chunked body"),
        (
            b"15\r\nx",
            {"chunked": True},
            413,
            "client intended to send too large chunked body: 0+21 bytes",
        ),
    ],
)
def test_broken_bodies(
    server: Server, data: bytes, more: dict[str, Any], status: int, line: str
) -> None:
    request_ = make_context(request(method="POST", **more), server)
    lines = Lines()
    rejection = received(data, lambda reader: read_all(reader, request_, lines))
    assert isinstance(rejection, SpecialResponse | Response)
    assert (rejection.status, lines.lines) == (status, [line])
    assert received(data, lambda reader: reader.discard_body(request_)) is False


def test_missing_body_times_out(server: Server) -> None:
    request_ = make_context(request(method="POST", content_length=5), server)
    rejection = received(b"he", lambda reader: read_all(reader, request_), ends=False)
    assert rejection == Response(408, close_without_response=True)


def test_unread_body_is_discarded(server: Server) -> None:
    request_ = make_context(request(method="POST", content_length=5), server, request_length=100)

    async def use(reader: RequestReader) -> tuple[bool, bytes]:
        return await reader.discard_body(request_), bytes(reader.buffer)

    assert received(b"helloGET", use) == (True, b"GET")
    assert request_.request_length == 100
