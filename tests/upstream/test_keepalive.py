"""Idle connections: whose they are, which goes first, and when they have served long enough."""

from __future__ import annotations

import pytest

from sniproxy.upstream.keepalive import IDLE_SECONDS, MOST, REQUESTS, KeptConnections
from tests.upstream.fakes import ScriptedStream
from tests.upstream.test_peers import peer

A, B = peer("a"), peer("b")


def test_the_last_one_used_goes_first_and_to_its_peer_alone() -> None:
    kept = KeptConnections()
    streams = [ScriptedStream() for _ in range(3)]
    for owner, stream in zip((A, B, A), streams, strict=True):
        kept.put(owner, stream.as_stream)
    assert kept.take(A) is streams[2].as_stream
    assert kept.take(A) is streams[0].as_stream
    assert kept.take(A) is None
    assert kept.take(B) is streams[1].as_stream


def test_one_that_has_something_to_say_is_of_no_use() -> None:
    kept = KeptConnections()
    stream = ScriptedStream(quiet=False)
    kept.put(A, stream.as_stream)
    assert kept.take(A) is None
    assert stream.ended == "closed"


def test_the_oldest_makes_room() -> None:
    kept = KeptConnections()
    streams = [ScriptedStream() for _ in range(MOST + 1)]
    for stream in streams:
        kept.put(A, stream.as_stream)
    assert [stream.ended for stream in streams] == ["shut down", *[""] * MOST]


def test_a_thousand_requests_are_enough() -> None:
    kept = KeptConnections()
    stream = ScriptedStream(requests=REQUESTS - 1)
    kept.put(A, stream.as_stream)
    assert stream.ended == "shut down"
    assert kept.take(A) is None


def test_idle_for_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("sniproxy.upstream.keepalive.time.monotonic", lambda: now)
    kept = KeptConnections()
    old, young = ScriptedStream(), ScriptedStream()
    kept.put(A, old.as_stream)
    now = 1.0
    kept.put(A, young.as_stream)
    now = IDLE_SECONDS + 0.5
    kept.close_old()
    assert (old.ended, young.ended) == ("shut down", "")
    assert kept.take(A) is young.as_stream


def test_the_end_of_all() -> None:
    kept = KeptConnections()
    stream = ScriptedStream()
    kept.put(A, stream.as_stream)
    kept.close()
    assert stream.ended == "shut down"
    assert kept.take(A) is None
