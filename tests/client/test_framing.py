"""How messages follow each other: which connections live on, and how bodies end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.client.framing import Framing
from tests.configured import request


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize("grants", [True, False])
def test_keepalive_needs_both_sides(asks: bool, grants: bool) -> None:
    framing = Framing()
    framing.request(request(keepalive=asks))
    framing.response(chunked=False, keepalive=grants)
    framing.end()
    assert framing.next_request() is (asks and grants)


def test_next_request_needs_complete_response() -> None:
    framing = Framing()
    framing.request(request())
    framing.response(chunked=True, keepalive=True)
    assert not framing.next_request()


def test_content_length_is_not_counted_by_framing() -> None:
    framing = Framing()
    framing.request(request())
    framing.response(chunked=False, keepalive=True)
    assert framing.piece(b"abc") == b"abc"
    assert framing.end() == b""


def test_response_to_head_is_not_chunked() -> None:
    framing = Framing()
    framing.request(request(method="HEAD"))
    framing.response(chunked=False, keepalive=True)
    assert framing.end() == b""
    assert framing.next_request()


@given(st.lists(st.binary(min_size=1), max_size=5))
def test_chunked_response_is_framed(pieces: list[bytes]) -> None:
    framing = Framing()
    framing.request(request())
    framing.response(chunked=True, keepalive=True)
    wire = b"".join(framing.piece(piece) for piece in pieces) + framing.end()
    assert wire == b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
    assert framing.next_request()


def test_framing_is_reused_for_many_requests() -> None:
    framing = Framing()
    for method in ("GET", "HEAD", "GET"):
        framing.request(request(method=method))
        framing.response(chunked=False, keepalive=True)
        framing.end()
        assert framing.next_request()
