"""Sending a request while reading the response: errors and early responses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import pytest
import trio
import trio.testing

from sniproxy.context import UpstreamState
from sniproxy.http.chunks import ChunkReader
from sniproxy.logs.error import ConnectionLog
from sniproxy.models import ClientAbortedError, Failure, FailureType, ProxyError, SpecialResponse
from sniproxy.tls.stream import SocketStream
from sniproxy.upstream.request_writer import (
    CHUNKED,
    READING_HEAD,
    SENDING,
    UNFRAMED,
    BodyFraming,
    RequestWriter,
)
from tests.upstream.fakes import Lines

BROKEN = Failure("writev() failed", errno=104)
REFUSED = ClientAbortedError(SpecialResponse(413))


@dataclass(slots=True)
class Taking:
    """A peer that accepts a number of bytes, and then blocks or fails."""

    most: float = math.inf
    failure: Failure | None = None
    taken: bytes = b""
    has_waited: bool = True

    async def send_all(self, data: bytes, timeout: float) -> None:
        await trio.lowlevel.checkpoint()
        if len(self.taken) + len(data) <= self.most:
            self.taken += data
        elif self.failure is not None:
            raise ProxyError(self.failure)
        else:
            await trio.sleep_forever()


@dataclass(slots=True)
class Blocks:
    pieces: tuple[bytes, ...]

    @property
    def length(self) -> int:
        return sum(map(len, self.pieces))

    def blocks(self) -> Iterator[bytes]:
        return iter(self.pieces)


@dataclass(slots=True)
class Arriving:
    """A body that arrives in pieces, or ends with an error."""

    pieces: list[bytes | ClientAbortedError]
    length: int | None = None

    async def read(self) -> bytes:
        await trio.lowlevel.checkpoint()
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, ClientAbortedError):
            raise piece
        return piece

    async def read_all(self) -> Blocks:
        raise NotImplementedError


@dataclass(slots=True)
class Played:
    """The result of sending a request while reading a response."""

    peer: Taking
    body: Blocks | None = None
    streamed: Arriving | None = None
    framing: BodyFraming = UNFRAMED
    read_timeout: float = 60
    state: UpstreamState = field(default_factory=lambda: UpstreamState("192.0.2.3:80", 0.0))
    log: ConnectionLog = field(init=False)
    sending: RequestWriter = field(init=False)

    def __post_init__(self) -> None:
        self.log = Lines().log()
        self.sending = RequestWriter(
            cast(SocketStream, self.peer),
            b"head ",
            self.body,
            self.streamed,
            self.state,
            framing=self.framing,
            timeout=60,
            read_timeout=self.read_timeout,
            log=self.log,
        )

    def until(self, seconds: float, failure: Failure | None = None) -> str:
        """The result if the response takes `seconds`."""

        async def answer() -> str:
            await trio.sleep(seconds)
            if failure is not None:
                raise ProxyError(failure)
            return "answer"

        async def run() -> str:
            return await self.sending.run_while(answer)

        return trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))


def test_all_is_sent_before_the_answer() -> None:
    played = Played(Taking(), Blocks((b"a" * 10, b"b")))
    assert played.until(1) == "answer"
    assert played.sending.complete
    assert played.peer.taken == b"head " + b"a" * 10 + b"b"
    assert played.state.bytes_sent == len(played.peer.taken)


def test_an_answer_cuts_the_request_short() -> None:
    played = Played(Taking(most=9), Blocks((b"abcd", b"efgh")))
    assert played.until(1) == "answer"
    assert not played.sending.complete
    assert played.peer.taken == b"head abcd"


def test_chunks_are_cut_anew() -> None:
    played = Played(Taking(), streamed=Arriving([b"abc", b"defgh"]), framing=CHUNKED)
    assert played.until(1) == "answer"
    head, body = played.peer.taken[:5], played.peer.taken[5:]
    reader = ChunkReader()
    assert head == b"head "
    assert body == b"3\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r\n"
    assert (reader.feed(body), reader.done) == (b"abcdefgh", True)


def test_a_body_of_known_length_has_no_chunks() -> None:
    played = Played(Taking(), streamed=Arriving([b"abc", b"de"], length=5))
    played.until(1)
    assert played.peer.taken == b"head abcde"


def test_a_failure_to_send_is_reported() -> None:
    played = Played(Taking(most=5, failure=BROKEN), Blocks((b"abc",)))
    with pytest.raises(ProxyError) as failed:
        played.until(10)
    assert failed.value.failure is BROKEN
    assert played.log.action == SENDING


def test_what_came_before_a_failure_to_send_counts() -> None:
    assert Played(Taking(most=5, failure=BROKEN), Blocks((b"abc",))).until(0) == "answer"


def test_a_failure_amid_sending_counts_although_there_is_an_answer() -> None:
    peer = Taking(most=5, failure=BROKEN, has_waited=False)
    with pytest.raises(ProxyError) as failed:
        Played(peer, Blocks((b"abc",))).until(2)
    assert failed.value.failure is BROKEN


def test_an_answer_may_fail() -> None:
    late = Failure("upstream prematurely closed connection")
    with pytest.raises(ProxyError) as failed:
        Played(Taking(), Blocks((b"abc",))).until(1, late)
    assert failed.value.failure is late


def test_the_time_for_an_answer_begins_when_all_is_sent() -> None:
    played = Played(Taking(), Blocks((b"abc",)), read_timeout=5)
    with pytest.raises(ProxyError) as failed:
        played.until(10)
    assert failed.value.failure.kind is FailureType.TIMEOUT
    assert played.log.action == READING_HEAD
    assert Played(Taking(most=5), Blocks((b"abc",)), read_timeout=5).until(10) == "answer"


def test_a_client_that_fails_ends_it() -> None:
    played = Played(Taking(), streamed=Arriving([b"abc", REFUSED]))
    with pytest.raises(ClientAbortedError) as failed:
        played.until(10)
    assert failed.value is REFUSED
