"""Compressed and decompressed bodies: flushes, bounded pieces, errors."""

from __future__ import annotations

import gzip
import zlib

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from sniproxy import config
from sniproxy.handlers.gunzip import PIECE, GunzipBody
from sniproxy.handlers.gzip import GzipBody
from sniproxy.handlers.gzip_allowed import accepts_gzip
from sniproxy.http.content_type import media_type
from sniproxy.models import BodyReadError
from tests.configured import make_context, request
from tests.upstream.fakes import Lines

[SERVER] = [
    server
    for http in [config.parse("events {} http { server { listen 8000; } }").http]
    if http is not None
    for server in http.servers
]
CONTEXT = make_context(request(), SERVER)
HELLO = gzip.compress(b"hello", mtime=0)
pieces = st.lists(st.binary(min_size=1, max_size=200), max_size=8)


class Pieces:
    """A body of some pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)
        self.discarded = False

    async def read(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def discard(self) -> None:
        self.discarded = True


def all_of(body: GzipBody | GunzipBody) -> list[bytes]:
    async def read() -> list[bytes]:
        found = []
        while piece := await body.read():
            found.append(piece)
        return found

    return trio.run(read)


def gunzipped(*pieces: bytes) -> list[bytes]:
    return all_of(GunzipBody(Pieces(*pieces), Lines().log()))


@given(pieces, st.booleans())
def test_what_is_compressed_is_decompressed(data: list[bytes], flushes: bool) -> None:
    body = GzipBody(Pieces(*data), zlib.compressobj(wbits=31), CONTEXT, buffer=100, flushes=flushes)
    packed = all_of(body)
    assert b"".join(gunzipped(*packed)) == b"".join(data)
    if flushes:
        # Each piece is complete as soon as it was read.
        assert len(packed) == len(data) + 1
        unpacker = zlib.decompressobj(31)
        assert [unpacker.decompress(piece) for piece in packed[:-1]] == data
    assert CONTEXT.gzip_sizes == (len(b"".join(data)), len(b"".join(packed)))


@given(st.lists(st.binary(max_size=100), min_size=1, max_size=4), st.integers(1, 50))
def test_any_cut_of_several_members_is_decompressed(members: list[bytes], size: int) -> None:
    data = b"".join(gzip.compress(member) for member in members)
    cut = [data[start : start + size] for start in range(0, len(data), size)]
    assert b"".join(gunzipped(*cut)) == b"".join(members)


def test_other_tasks_run_while_what_compresses_well_is_compressed() -> None:
    pieces = [bytes(32768)] * 100
    body = GzipBody(
        Pieces(*pieces), zlib.compressobj(wbits=31), CONTEXT, buffer=4096, flushes=False
    )

    async def count_turns() -> int:
        turns = 0
        with trio.CancelScope() as scope:

            async def compress() -> None:
                await body.read()
                scope.cancel()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(compress)
                while True:
                    await trio.lowlevel.checkpoint()
                    turns += 1
        return turns

    assert trio.run(count_turns) > 20


def test_a_bomb_is_decompressed_in_small_pieces() -> None:
    found = gunzipped(gzip.compress(bytes(50_000_000)))
    assert max(map(len, found)) <= PIECE
    assert sum(map(len, found)) == 50_000_000


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (HELLO[:-3], "inflate() returned -5 on response end"),
        (b"", "inflate() returned -5 on response end"),
        (b"plain text", "inflate() failed: 0, -3"),
        (HELLO + b"more", "inflate() failed: 0, -3"),
        (HELLO[:-8] + bytes(8), "inflate() failed: 0, -3"),
    ],
)
def test_invalid_data_ends_the_response(data: bytes, line: str) -> None:
    lines = Lines()
    with pytest.raises(BodyReadError) as raised:
        all_of(GunzipBody(Pieces(data), lines.log()))
    assert raised.value.invalid
    assert lines.lines[0].startswith(line)


@pytest.mark.parametrize(
    ("content_type", "found"),
    [
        ("text/html", "text/html"),
        ("Text/HTML; Charset=utf-8", "text/html"),
        ("text/html;a=b;charset=c", "text/html;a=b"),
        ("text/html; a=b", "text/html; a=b"),
        ("", ""),
    ],
)
def test_media_type(content_type: str, found: str) -> None:
    assert media_type(content_type) == found


@given(st.text(alphabet="gzip,;q=01. *x", max_size=20))
def test_any_accept_encoding_is_judged(field: str) -> None:
    assert accepts_gzip(field) in (True, False)
