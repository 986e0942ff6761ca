"""Response bodies: their end, whether the connection is reusable, what is logged."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.context import UpstreamState
from sniproxy.models import BodyReadError, Failure, FailureType, ResponseHead
from sniproxy.upstream.response_body import BUFFER_SIZE, BodyReadOptions, ResponseBody
from tests.upstream.fakes import Lines, ScriptedStream

RESET = Failure("readv() failed", errno=104)
LATE = Failure("upstream timed out", kind=FailureType.TIMEOUT, errno=110)


class Played:
    """The result of reading a body."""

    def __init__(
        self,
        script: list[bytes | Failure],
        rest: bytes = b"",
        *,
        method: str = "GET",
        reading: BodyReadOptions | None = None,
        **head: Any,
    ) -> None:
        self.lines = Lines()
        self.facts = UpstreamState("192.0.2.3:80", 0.0)
        self.given_back: list[bool] = []
        defaults = {"status": 200, "keepalive": True} | head
        self.body = ResponseBody(
            ScriptedStream(script).as_stream,
            ResponseHead(11, reason="OK", headers=(), **defaults),
            rest,
            method=method,
            options=reading or BodyReadOptions(60),
            state=self.facts,
            log=self.lines.log(),
            release=self.given_back.append,
        )
        self.pieces: list[bytes] = []
        self.broken = False
        trio.run(self._read)

    async def _read(self) -> None:
        try:
            while piece := await self.body.read():
                self.pieces.append(piece)
        except BodyReadError:
            self.broken = True

    @property
    def whole(self) -> bytes:
        return b"".join(self.pieces)


@pytest.mark.parametrize(
    ("script", "rest", "head", "whole", "reusable"),
    [
        ([b"hello"], b"", {"content_length": 5}, b"hello", True),
        ([b"lo"], b"hel", {"content_length": 5}, b"hello", True),
        ([], b"hello", {"content_length": 5}, b"hello", True),
        ([], b"", {"content_length": 0}, b"", True),
        ([b"he", b"llo"], b"", {"content_length": 5, "keepalive": False}, b"hello", False),
        ([b"3\r\nabc\r\n", b"0\r\n\r\n"], b"", {"chunked": True}, b"abc", True),
        ([], b"3\r\nabc\r\n0\r\n\r\n", {"chunked": True}, b"abc", True),
        ([b"hello", b""], b"", {}, b"hello", False),
        ([], b"", {"status": 204}, b"", True),
        ([], b"", {"status": 304, "content_length": 5}, b"", True),
    ],
)
def test_ends(
    script: list[bytes | Failure], rest: bytes, head: dict[str, Any], whole: bytes, reusable: bool
) -> None:
    played = Played(script, rest, **head)
    assert played.whole == whole
    assert not played.broken
    assert played.given_back == [reusable]
    assert played.facts.response_length == len(whole) + 10 * bool(head.get("chunked"))
    assert played.facts.response_time is not None
    assert played.lines.lines == []


def test_head_has_no_body() -> None:
    played = Played([], method="HEAD", content_length=5)
    assert (played.whole, played.given_back) == (b"", [True])


@pytest.mark.parametrize(
    ("script", "head", "whole", "line"),
    [
        (
            [b"hello!"],
            {"content_length": 5},
            b"hello",
            'upstream sent more data than specified in "Content-Length" header'
            " while reading upstream",
        ),
        (
            [b"1\r\na\r\n0\r\n\r\nx"],
            {"chunked": True},
            b"a",
            "upstream sent data after final chunk while reading upstream",
        ),
    ],
)
def test_too_much(
    script: list[bytes | Failure], head: dict[str, Any], whole: bytes, line: str
) -> None:
    played = Played(script, **head)
    assert played.whole == whole
    assert played.given_back == [False]
    assert played.lines.lines == [line]


@pytest.mark.parametrize(
    ("script", "head", "whole", "line"),
    [
        ([b""], {"content_length": 5}, b"", "upstream prematurely closed connection"),
        ([b"he", b""], {"content_length": 5}, b"he", "upstream prematurely closed connection"),
        ([b"2\r\nhe", b""], {"chunked": True}, b"he", "upstream prematurely closed connection"),
        ([b"z\r\n"], {"chunked": True}, b"", "upstream sent invalid ch"),
        ([b"he", LATE], {}, b"", "upstream timed out (110: Connection timed out)"),
        ([b"he", RESET], {}, b"", "readv() failed (104: Connection reset by peer)"),
    ],
)
def test_breaks(
    script: list[bytes | Failure], head: dict[str, Any], whole: bytes, line: str
) -> None:
    """Data received before the upstream has closed is forwarded, before an error it is not."""
    played = Played(script, **head)
    assert played.broken
    assert played.whole == whole
    assert played.given_back == [False]
    (logged,) = played.lines.lines
    assert logged.startswith(line)
    assert logged.endswith(" while reading upstream")


def test_small_pieces_are_held_back() -> None:
    small = [b"x" * 1000] * 9
    played = Played([*small, b""])
    assert [len(piece) for piece in played.pieces] == [5000, 4000]
    assert len(played.pieces[0]) >= BUFFER_SIZE


def test_a_client_that_has_gone() -> None:
    played = Played([b"x" * BUFFER_SIZE, b"", b""], content_length=2 * BUFFER_SIZE)
    played.body.discard()
    assert played.given_back == [False]


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8))
def test_any_cut_is_one_body(data: bytes, cuts: list[int]) -> None:
    wire = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (data[:50], data[50:]) if p)
    wire += b"0\r\n\r\n"
    places = sorted({0, *(cut for cut in cuts if cut < len(wire)), len(wire)})
    script: list[bytes | Failure] = [wire[start:end] for start, end in itertools.pairwise(places)]
    played = Played(script, chunked=True)
    assert played.whole == data
    assert played.given_back == [True]
