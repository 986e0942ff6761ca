"""Buffered request bodies, in memory or in a file, can be read for each attempt."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.client.request_body import BLOCK, BodyBufferPolicy, BufferedBody


@given(st.lists(st.binary(max_size=20)), st.integers(0, 40))
def test_buffered_body_is_read_as_written(pieces: list[bytes], memory: int) -> None:
    body = BufferedBody(BodyBufferPolicy(memory))
    for piece in pieces:
        body.write(piece)
    whole = b"".join(pieces)
    for _ in range(2):
        assert b"".join(body.blocks()) == whole
    assert body.length == len(whole)
    assert (body.file_name is None) is (len(whole) <= memory)
    body.close()


def test_large_body_is_read_in_blocks() -> None:
    body = BufferedBody(BodyBufferPolicy(0))
    body.write(b"x" * (BLOCK + 1))
    assert [len(block) for block in body.blocks()] == [BLOCK, 1]
    body.close()


def test_temporary_file_is_removed_with_the_body() -> None:
    body = BufferedBody(BodyBufferPolicy(1))
    body.write(b"ab")
    assert body.file_name is not None
    assert os.path.exists(body.file_name)
    name = body.file_name
    body.close()
    assert not os.path.exists(name)


@pytest.mark.parametrize("memory", [0, 10])
def test_empty_body_has_no_blocks(memory: int) -> None:
    body = BufferedBody(BodyBufferPolicy(memory))
    assert list(body.blocks()) == []
    body.close()
