"""Responses on the wire: framing by what the client speaks, and what is noted of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import trio

from sniproxy.client.framing import Framing
from sniproxy.client.responses import ResponseWriter
from sniproxy.config.model import Server
from sniproxy.facts import Facts
from sniproxy.message import BodyBroken, Response
from sniproxy.tls.stream import SocketStream
from sniproxy.variables import lookup
from tests.configured import facts, request, servers


class Wire:
    """A stream that keeps what is sent."""

    def __init__(self) -> None:
        self.data = b""

    async def send_all(self, data: bytes, timeout: float) -> None:
        self.data += data


class Pieces:
    """A body piece by piece, broken off at its end if it is to be."""

    def __init__(self, pieces: Sequence[bytes], *, breaks: bool = False) -> None:
        self.pieces = list(pieces)
        self.breaks = breaks
        self.abandoned = False

    async def read(self) -> bytes:
        if self.pieces:
            return self.pieces.pop(0)
        if self.breaks:
            raise BodyBroken
        return b""

    def abandon(self) -> None:
        self.abandoned = True


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return servers(tmp_path, "server { }")[0]


def written(
    server: Server, response: Response, *, may_keep: bool = True, **more: Any
) -> tuple[list[bytes], bytes, bool, Facts]:
    """Head lines, body, whether the connection lives on, and the facts."""
    wire, framing = Wire(), Framing()
    request_ = request(**more)
    framing.request(request_)
    noted = facts(request_, server)
    writer = ResponseWriter(cast(SocketStream, wire), framing)

    async def write() -> bool:
        return await writer.write(noted, response, may_keep=may_keep)

    kept = trio.run(write)
    head, _, body = wire.data.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), body, kept, noted


KEPT, CLOSED, CHUNKED = (
    b"Connection: keep-alive",
    b"Connection: close",
    b"Transfer-Encoding: chunked",
)


@pytest.mark.parametrize(
    ("length", "more", "body", "fields", "kept"),
    [
        (5, {}, b"hello", [KEPT, b"Content-Length: 5"], True),
        (None, {}, b"5\r\nhello\r\n0\r\n\r\n", [KEPT, CHUNKED], True),
        (5, {"version": 10}, b"hello", [KEPT, b"Content-Length: 5"], True),
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
    kept: bool,
) -> None:
    response = Response(200, Pieces([b"hello"]), content_length=length)
    head, sent, lives, noted = written(server, response, **more)
    assert sent == body
    assert set(fields) <= set(head)
    assert (CHUNKED in head) is (CHUNKED in fields)
    assert lives is kept
    assert noted.status == 200
    assert noted.body_bytes_sent == len(body)
    assert noted.bytes_sent == len(b"\r\n".join(head)) + 4 + len(body)


@pytest.mark.parametrize(("status", "method"), [(204, "GET"), (304, "GET"), (200, "HEAD")])
def test_response_without_body(server: Server, status: int, method: str) -> None:
    head, body, kept, noted = written(server, Response(status, b"hello"), method=method)
    assert body == b""
    assert CHUNKED not in head
    assert kept
    assert noted.body_bytes_sent == 0


def test_http_0_9_response_has_no_head(server: Server) -> None:
    head, _, kept, noted = written(
        server, Response(200, b"hello", content_length=5), version=9, keepalive=False
    )
    assert head == [b"hello"]
    assert not kept
    assert noted.bytes_sent == noted.body_bytes_sent == 5


def test_response_that_is_not_http_is_passed_on(server: Server) -> None:
    head, _, _, _ = written(server, Response(9, Pieces([b"hello"])), version=10, keepalive=False)
    assert head == [b"hello"]


def test_response_444_sends_nothing(server: Server) -> None:
    head, body, kept, noted = written(server, Response(444, silent=True))
    assert (head, body, kept) == ([b""], b"", False)
    assert noted.status == 444


def test_body_that_fails_midway_closes_the_connection(server: Server) -> None:
    pieces = Pieces([b"he"], breaks=True)
    _, body, kept, noted = written(server, Response(200, pieces))
    assert body == b"2\r\nhe\r\n"
    assert not kept
    assert pieces.abandoned
    assert noted.body_bytes_sent == len(body)


def test_body_that_fails_at_once_closes_the_connection(server: Server) -> None:
    head, body, kept, _ = written(server, Response(200, Pieces([], breaks=True)))
    assert head[0] == b"HTTP/1.1 200 OK"
    assert body == b""
    assert not kept


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
