"""The generator believes no answer that it has not compared byte by byte."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import pytest

from benchmarks.load import patience, read_answer, read_end
from benchmarks.wire import PERIOD, UnexpectedDataError, answer, connect

HEAD = b"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length: 16\r\nConnection: close\r\n\r\n"
BODY = answer(16)


class Script:
    """A connection that delivers `chunks`, then its end."""

    def __init__(self, chunks: Sequence[bytes]) -> None:
        self._chunks = list(chunks)

    def recv(self, size: int, /) -> bytes:
        return self._chunks.pop(0) if self._chunks else b""


@pytest.mark.parametrize(
    "chunks",
    [
        [HEAD + BODY],
        [HEAD, BODY],
        [HEAD[:20], HEAD[20:] + BODY[:5], BODY[5:]],
    ],
)
def test_right_answers(chunks: Sequence[bytes]) -> None:
    script = Script(chunks)
    read_answer(script, 16)
    read_end(script)


@pytest.mark.parametrize(
    ("chunks", "reason"),
    [
        ([HEAD.replace(b"200", b"502") + BODY], "not a 200 with 16 bytes"),
        ([HEAD.replace(b"16", b"15") + BODY], "not a 200 with 16 bytes"),
        ([HEAD + BODY[:-1] + b"x"], "wrong bytes"),
        ([HEAD + BODY[:-1]], "ended inside an answer"),
        ([HEAD[:-2]], "ended inside an answer"),
        ([HEAD + answer(17)], "1 bytes behind an answer"),
    ],
)
def test_wrong_answers(chunks: Sequence[bytes], reason: str) -> None:
    with pytest.raises(UnexpectedDataError, match=reason):
        read_answer(Script(chunks), 16)


def test_long_answer_wraps_around() -> None:
    size = 3 * PERIOD + 5
    body = answer(size)
    head = HEAD.replace(b"16", b"%d" % size)
    chunks = [body[start : start + 16384] for start in range(0, size, 16384)]
    read_answer(Script([head, *chunks]), size)
    with pytest.raises(UnexpectedDataError, match="wrong bytes"):
        read_answer(Script([head, *chunks[:3], chunks[0], *chunks[4:]]), size)


def test_nothing_may_follow() -> None:
    with pytest.raises(UnexpectedDataError, match="3 bytes behind an answer"):
        read_end(Script([b"odd"]))


def test_patience_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sock = connect(silent.getsockname()[1])
        with sock, pytest.raises(UnexpectedDataError, match="nothing came"), patience(0.05):
            sock.recv(1)
