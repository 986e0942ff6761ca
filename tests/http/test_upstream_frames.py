"""Frames of HTTP/2 upstreams without I/O: however they arrive, they have one meaning."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.http.http2_frames import LARGEST_WINDOW
from sniproxy.http.response_head import BadResponseError
from sniproxy.http.upstream_control import ConnectionWindows, UpstreamFrameError
from sniproxy.http.upstream_fields import HeaderBlockDecoder, encoded_field, encoded_request
from sniproxy.http.upstream_frames import ResponseFrames
from sniproxy.testing.upstreams.http2_session import (
    DATA,
    PING,
    SETTINGS,
    block,
    data,
    frame,
    headers,
    settings,
    window_update,
)
from sniproxy.testing.upstreams.spec import ReceivedRequest
from tests.conformance.upstream import http2

OK = ((":status", "200"), ("a", "b"))
NOTHING = ReceivedRequest(None, b"")
ANSWERS = {
    scenario.name: spec.http2.answer(1, NOTHING)
    for scenario in http2.TABLE.scenarios
    for spec in scenario.upstreams
    if spec.http2 is not None and spec.http2.answer is not None
}


def reader(limit: int = 4096) -> ResponseFrames:
    return ResponseFrames(ConnectionWindows(), limit=limit)


def outcome(received: bytes, piece: int) -> tuple[object, ...]:
    """What is read if it arrives in pieces: status, fields, body, trailers, end, error."""
    frames, body, in_body = reader(1 << 20), b"", False
    try:
        for start in range(0, len(received), piece):
            frames.feed(received[start : start + piece])
            while not in_body and frames.read_head():
                assert frames.head is not None
                if frames.head.status != 103:
                    in_body = True
                    frames.begin_body(frames.head.content_length)
            if in_body:
                body += frames.read_body()
    except (UpstreamFrameError, BadResponseError) as error:
        return (str(error),)
    head = frames.head
    return (
        head and (head.status, head.headers),
        body,
        frames.trailers,
        frames.done,
        frames.goaway,
        frames.is_between_frames,
        frames.take_answers(),
    )


@pytest.mark.parametrize("name", ANSWERS)
def test_frames_mean_the_same_however_they_arrive(name: str) -> None:
    received = settings() + ANSWERS[name]
    whole = outcome(received, len(received))
    assert outcome(received, 1) == whole
    assert outcome(received, 7) == whole


@given(st.binary(max_size=200), st.integers(1, 50))
def test_bytes_that_are_no_frames_are_refused_in_words(received: bytes, piece: int) -> None:
    outcome(headers(1, OK) + received, piece)
    outcome(received, piece)


@given(
    st.lists(
        st.builds(
            frame,
            st.integers(0, 10),
            st.integers(0, 255),
            st.sampled_from((0, 1, 3)),
            st.binary(max_size=20),
        ),
        max_size=6,
    ),
    st.integers(1, 30),
)
def test_any_frames_mean_the_same_however_they_arrive(many: list[bytes], piece: int) -> None:
    received = headers(1, OK) + b"".join(many)
    assert outcome(received, piece) == outcome(received, len(received))


def test_fields_that_are_sent_are_decoded_as_they_were() -> None:
    sent = encoded_request("PATCH", tls=True, target="/a?b", authority="h:1")
    sent += encoded_field("X-Long", "v" * 300)
    decoder = HeaderBlockDecoder(4096)
    decoder.feed(sent)
    found = []
    while (field := decoder.next_field()) is not None:
        found.append(field)
    assert found == [
        (":method", "PATCH"),
        (":scheme", "https"),
        (":path", "/a?b"),
        (":authority", "h:1"),
        ("x-long", "v" * 300),
    ]
    assert not decoder.is_incomplete


def test_data_is_sent_within_both_windows() -> None:
    windows = ConnectionWindows()
    frames = ResponseFrames(windows, limit=4096)
    assert frames.data_room == 65535
    frames.feed(settings(initial_window_size=10))
    frames.read_head()
    assert frames.data_room == 10
    sent = frames.data_frame(b"x" * 10, ends=True)
    assert sent == data(1, b"x" * 10)
    assert frames.data_room == 0
    frames.feed(settings(initial_window_size=5))
    frames.read_head()
    assert (frames.send_window, frames.data_room) == (-5, 0)
    frames.feed(window_update(1, 100_000))
    frames.read_head()
    assert frames.data_room == 65525
    windows.to_send = 3
    assert frames.data_room == 3
    following = ResponseFrames(windows, limit=4096)
    assert (following.stream, following.send_window) == (3, 5)


def test_windows_for_receiving_are_renewed_in_time() -> None:
    frames = reader()
    frames.feed(headers(1, OK))
    frames.read_head()
    frames.begin_body(None)
    piece = b"x" * 16384
    received = 0
    while not frames.has_answers:
        frames.feed(data(1, piece, ends=False))
        assert frames.read_body() == piece
        received += len(piece)
    assert received > LARGEST_WINDOW // 4 * 3
    assert frames.take_answers() == window_update(0, received) + window_update(1, received)


@pytest.mark.parametrize(("kind", "payload"), [(SETTINGS, b""), (PING, b"12345678")])
def test_control_frames_without_end_are_refused(kind: int, payload: bytes) -> None:
    frames = reader(1 << 20)
    frames.feed(frame(kind, 0, 0, payload) * 1001)
    assert not frames.read_head()
    frames.feed(frame(kind, 0, 0, payload))
    with pytest.raises(UpstreamFrameError, match=r"upstream sent too many (settings|ping) frames"):
        frames.read_head()


def test_answers_that_were_sent_allow_more_control_frames() -> None:
    frames = reader(1 << 20)
    for _ in range(5):
        frames.feed(frame(PING, 0, 0, b"12345678") * 1000)
        assert not frames.read_head()
        assert len(frames.take_answers()) == 1000 * 17


def test_frames_before_the_head_fill_the_buffer_only_if_they_are_incomplete() -> None:
    frames = reader(100)
    for _ in range(50):
        frames.feed(frame(99, 0, 0, b"x" * 50))
        assert not frames.read_head()
        assert frames.room == 100
    frames.feed(frame(99, 0, 0, b"x" * 200)[:100])
    with pytest.raises(UpstreamFrameError, match="upstream sent too big header"):
        frames.read_head()


def test_early_hints_count_with_the_frames_before_them() -> None:
    hints = headers(1, ((":status", "103"), ("link", "</a>")))
    frames = reader()
    frames.feed(settings() + hints + headers(1, OK, ends=True))
    assert frames.read_head()
    assert frames.head is not None
    assert frames.head.status == 103
    assert frames.hints == [("link", "</a>")]
    assert frames.hints_size == len(settings() + hints)
    assert frames.read_head()
    assert frames.head.status == 200
    assert frames.ended_with_head


def test_padding_that_arrives_later_is_no_data() -> None:
    frames = reader()
    frames.feed(headers(1, OK) + frame(DATA, 9, 1, b"\x05abc" + b"\0" * 5)[:-3])
    assert frames.read_head()
    frames.begin_body(None)
    assert frames.read_body() == b"abc"
    assert not frames.done
    frames.feed(b"\0\0\0")
    assert frames.read_body() == b""
    assert frames.is_finished


def test_a_block_may_be_cut_within_a_field() -> None:
    encoded = block(OK)
    for cut in range(len(encoded) + 1):
        frames = reader()
        frames.feed(frame(1, 0, 1, encoded[:cut]) + frame(9, 4, 1, encoded[cut:]))
        assert frames.read_head()
        assert frames.head is not None
        assert frames.head.headers == [("a", "b")]
