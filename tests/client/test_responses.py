"""Writing responses: framing for the client's HTTP version, and what is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import h11
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.client.response_writer import ResponseWriter
from sniproxy.config.model import Server
from sniproxy.context import RequestContext
from sniproxy.models import BodyReadError, Response
from sniproxy.tls.stream import SocketStream
from sniproxy.variables import lookup
from tests.configured import make_context, request, servers


class Wire:
    """A stream that stores what is sent."""

    def __init__(self) -> None:
        self.data = b""

    async def send_all(self, data: bytes, timeout: float, on_blocked: object = None) -> None:
        self.data += data


class Pieces:
    """A body in pieces, which may fail at its end."""

    def __init__(self, pieces: Sequence[bytes], *, breaks: bool = False) -> None:
        self.pieces = list(pieces)
        self.breaks = breaks
        self.abandoned = False

    async def read(self) -> bytes:
        if self.pieces:
            return self.pieces.pop(0)
        if self.breaks:
            raise BodyReadError
        return b""

    def discard(self) -> None:
        self.abandoned = True


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return servers(tmp_path, "server { }")[0]


def written(
    server: Server, response: Response, *, may_keep: bool = True, **more: Any
) -> tuple[list[bytes], bytes, bool, RequestContext]:
    """Head lines, body, whether keep-alive follows, and the request context."""
    wire = Wire()
    request_ = request(**more)
    noted = make_context(request_, server)
    writer = ResponseWriter(cast(SocketStream, wire))

    async def write() -> bool:
        return await writer.write(noted, response, may_keep=may_keep)

    pool = trio.run(write)
    head, _, body = wire.data.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), body, pool, noted


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=5),
    st.booleans(),
    st.sampled_from(["GET", "HEAD"]),
    st.sampled_from([200, 204, 206, 304, 404]),
    st.booleans(),
)
def test_h11_reads_a_response_as_it_was_meant(
    tmp_path_factory: pytest.TempPathFactory,
    pieces: list[bytes],
    known_length: bool,
    method: str,
    status: int,
    may_keep: bool,
) -> None:
    server = servers(tmp_path_factory.mktemp("h11"), "server { }")[0]
    wire = Wire()
    context = make_context(request(method=method, headers=(("Host", "a"),)), server)
    body = b"".join(pieces)
    length = len(body) if known_length else None
    response = Response(status, Pieces(pieces), content_type="a/b", content_length=length)
    writer = ResponseWriter(cast(SocketStream, wire))
    keep = trio.run(partial(writer.write, context, response, may_keep=may_keep))
    judge = h11.Connection(h11.CLIENT)
    judge.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    judge.send(h11.EndOfMessage())
    judge.receive_data(wire.data)
    if not keep:
        judge.receive_data(b"")
    head = judge.next_event()
    assert isinstance(head, h11.Response)
    assert head.status_code == status
    received = b""
    while isinstance(event := judge.next_event(), h11.Data):
        received += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert received == (b"" if method == "HEAD" or status in (204, 304) else body)
    assert (judge.their_state is h11.DONE) is keep
    assert judge.trailing_data[0] == b""


KEEPALIVE, CLOSED, CHUNKED = (
    b"Connection: keep-alive",
    b"Connection: close",
    b"Transfer-Encoding: chunked",
)


@pytest.mark.parametrize(
    ("length", "more", "body", "fields", "pool"),
    [
        (5, {}, b"hello", [KEEPALIVE, b"Content-Length: 5"], True),
        (None, {}, b"5\r\nhello\r\n0\r\n\r\n", [KEEPALIVE, CHUNKED], True),
        (5, {"version": 10}, b"hello", [KEEPALIVE, b"Content-Length: 5"], True),
        (None, {"version": 10}, b"hello", [CLOSED], False),
        (5, {"keepalive": False}, b"hello", [CLOSED], False),
        (None, {"keepalive": False}, b"5\r\nhello\r\n0\r\n\r\n", [CLOSED, CHUNKED], False),
        (5, {"may_keep": False}, b"hello", [CLOSED], False),
    ],
)
def test_response_framing(
    server: Server,
    length: int | None,
    more: dict[str, Any],
    body: bytes,
    fields: list[bytes],
    pool: bool,
) -> None:
    response = Response(200, Pieces([b"hello"]), content_length=length)
    head, sent, lives, noted = written(server, response, **more)
    assert sent == body
    assert set(fields) <= set(head)
    assert (CHUNKED in head) is (CHUNKED in fields)
    assert lives is pool
    assert noted.status == 200
    assert noted.body_bytes_sent == len(body)
    assert noted.bytes_sent == len(b"\r\n".join(head)) + 4 + len(body)


@pytest.mark.parametrize(("status", "method"), [(204, "GET"), (304, "GET"), (200, "HEAD")])
def test_response_without_body(server: Server, status: int, method: str) -> None:
    head, body, pool, noted = written(server, Response(status, b"hello"), method=method)
    assert body == b""
    assert CHUNKED not in head
    assert pool
    assert noted.body_bytes_sent == 0


def test_http_0_9_response_has_no_head(server: Server) -> None:
    head, _, pool, noted = written(
        server, Response(200, b"hello", content_length=5), version=9, keepalive=False
    )
    assert head == [b"hello"]
    assert not pool
    assert noted.bytes_sent == noted.body_bytes_sent == 5


def test_response_that_is_not_http_is_passed_on(server: Server) -> None:
    head, _, _, _ = written(server, Response(9, Pieces([b"hello"])), version=10, keepalive=False)
    assert head == [b"hello"]


def test_response_444_sends_nothing(server: Server) -> None:
    head, body, pool, noted = written(server, Response(444, close_without_response=True))
    assert (head, body, pool) == ([b""], b"", False)
    assert noted.status == 444


def test_body_that_fails_midway_closes_the_connection(server: Server) -> None:
    pieces = Pieces([b"he"], breaks=True)
    _, body, pool, noted = written(server, Response(200, pieces))
    assert body == b"2\r\nhe\r\n"
    assert not pool
    assert pieces.abandoned
    assert noted.body_bytes_sent == len(body)


def test_body_that_fails_at_once_closes_the_connection(server: Server) -> None:
    head, body, pool, _ = written(server, Response(200, Pieces([], breaks=True)))
    assert head[0] == b"HTTP/1.1 200 OK"
    assert body == b""
    assert not pool


def test_variables_of_the_response(server: Server) -> None:
    response = Response(
        302, b"hi", "text/html", content_length=2, headers=(("X-A", "1"),), location="http://a/"
    )
    *_, noted = written(server, response)
    value = lookup(noted)
    seen = {
        name: value(f"sent_http_{name}")
        for name in ("content_type", "content_length", "location", "x_a", "connection", "server")
    }
    assert seen == {
        "content_type": "text/html",
        "content_length": "2",
        "location": "http://a/",
        "x_a": "1",
        "connection": "close",
        "server": None,
    }
