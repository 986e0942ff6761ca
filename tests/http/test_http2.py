"""HTTP/2 without I/O: frames split anywhere, fields and their encoding, floods."""

from __future__ import annotations

import contextlib

import pytest
from hpack import Decoder, Encoder, HPACKError
from hpack.exceptions import OversizedHeaderListError
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.http.http2_fields import FieldDecoder, FieldEncoder
from sniproxy.http.http2_frames import (
    DATA,
    HEADERS,
    NO_ERROR,
    PING,
    SETTINGS,
    Frame,
    FrameReader,
    Http2ConnectionError,
    body_data,
    header_block,
)
from sniproxy.http.http2_request import read_http2_head
from sniproxy.http.request_fields import BadRequestError, HeadRules
from tests.http2_frames import fields

FRAMES = (
    Frame(SETTINGS, 0, 0, b"\0\3\0\0\0\1"),
    Frame(HEADERS, 4, 1, b"\x82\x86\x84"),
    Frame(DATA, 8, 1, b"\2abc\0\0"),
    Frame(PING, 0, 0, b"12345678"),
)
SENT = b"".join(frame.raw for frame in FRAMES)

_NAMES = st.text("abcdefghijklmnopqrstuvwxyz-0123456789", min_size=1, max_size=200)
_VALUES = st.binary(max_size=400)


@pytest.mark.parametrize("cut", range(len(SENT) + 1))
def test_frames_are_the_same_however_they_arrive(cut: int) -> None:
    reader = FrameReader()
    reader.buffer += SENT[:cut]
    found = list(reader.frames())
    reader.buffer += SENT[cut:]
    assert [*found, *reader.frames()] == list(FRAMES)
    assert not reader.buffer


def test_padding_and_priority_are_removed() -> None:
    assert body_data(FRAMES[2]) == b"abc"
    assert header_block(Frame(HEADERS, 0x28, 1, b"\2\0\0\0\0\7block\0\0")) == b"block"


def test_a_flood_of_pings_is_detected() -> None:
    reader = FrameReader()
    ping = FRAMES[3].raw
    reader.buffer += ping * 600_000
    with pytest.raises(Http2ConnectionError, match="http2 flood detected") as caught:
        list(reader.frames())
    assert caught.value.code == NO_ERROR
    assert reader.total // 8 - 17 <= 1048576


def test_a_large_frame_is_refused_by_its_header() -> None:
    reader = FrameReader()
    reader.buffer += b"\x00\x40\x01\x00\x00\x00\x00\x00\x01"
    with pytest.raises(Http2ConnectionError, match="client sent too large frame: 16385"):
        list(reader.frames())


@given(st.lists(st.tuples(_NAMES, _VALUES), max_size=8), st.booleans())
def test_fields_are_decoded_as_they_were(pairs: list[tuple[str, bytes]], resized: bool) -> None:
    encoder = FieldEncoder()
    if resized:
        encoder.header_table_size = 0
    sent = [(b":status", b"302"), *((name.encode(), value) for name, value in pairs)]
    for _ in range(2):  # nothing is remembered from one block to the next
        assert list(Decoder().decode(encoder.encode(sent), raw=True)) == sent


def test_a_request_has_the_line_and_fields_of_http_1() -> None:
    sent = fields(("cookie", "a"), ("x-y", "z"), ("cookie", "b"), path="/a/../b?c")
    parsed = read_http2_head(sent, 50, HeadRules(), None, ended=True)
    assert parsed.length == 50
    head = parsed.request
    assert head.line == "GET /a/../b?c HTTP/2.0"
    assert (head.path, head.args, head.version, head.host) == ("/b", "c", 20, "h.test")
    assert head.headers == (("x-y", "z"), ("host", "h.test"), ("cookie", "a; b"))
    assert not head.chunked


@pytest.mark.parametrize(
    ("length", "chunked", "ended"), [(None, True, False), ("3", False, False), (None, False, True)]
)
def test_a_body_without_a_length_counts_as_chunked(
    length: str | None, chunked: bool, ended: bool
) -> None:
    more = [] if length is None else [("content-length", length)]
    head = read_http2_head(fields(*more), 9, HeadRules(), None, ended=ended).request
    assert head.chunked is chunked
    assert head.content_length == (None if length is None else int(length))


def test_fields_larger_than_the_buffers_are_refused() -> None:
    rules = HeadRules(large_client_header_buffers=(2, 100))
    sent = fields(*((f"x{n}", "y" * 90) for n in range(3)))
    with pytest.raises(BadRequestError, match="client sent too large header") as caught:
        read_http2_head(sent, 9, rules, None, ended=True)
    assert caught.value.status == 494


@given(st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), max_size=4))
def test_any_fields_are_read_or_refused(more: list[tuple[str, str]]) -> None:
    with contextlib.suppress(BadRequestError):
        head = read_http2_head(fields(*more), 1, HeadRules(), None, ended=True).request
        assert head.line == "GET / HTTP/2.0"


_REPEATED = st.sampled_from(
    [(b":method", b"GET"), (b":path", b"/"), (b"x-a", b"1"), (b"x-b", b"2" * 300), (b"cookie", b"")]
)


@given(st.lists(st.lists(_REPEATED, max_size=12), max_size=6), st.binary(max_size=6))
def test_blocks_are_decoded_as_by_hpack(
    blocks: list[list[tuple[bytes, bytes]]], end: bytes
) -> None:
    largest = 1500
    encoder, decoder, expected = Encoder(), FieldDecoder(largest), Decoder(largest)
    for block in [*map(encoder.encode, blocks), end]:
        outcome: list[tuple[bytes, bytes]] | type[HPACKError]
        try:
            outcome = [(name, value) for name, value in expected.decode(block, raw=True)]
        except HPACKError as error:
            outcome = type(error)
        found: list[tuple[bytes, bytes]] | type[HPACKError]
        try:
            decoded = decoder.decode(block)
            found = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in decoded]
        except HPACKError as error:
            found = type(error)
        assert found == outcome
        if isinstance(found, type):
            return  # such an error ends the connection


def test_repeated_fields_are_limited() -> None:
    """A block of few bytes that refers to a long field again and again is refused."""
    decoder = FieldDecoder(10_000)
    assert decoder.decode(Encoder().encode([(b"x-long", b"a" * 3000)])) == [("x-long", "a" * 3000)]
    assert len(decoder.decode(b"\xbe" * 3)) == 3
    with pytest.raises(OversizedHeaderListError):
        decoder.decode(b"\xbe" * 4)
