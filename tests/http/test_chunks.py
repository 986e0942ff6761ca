"""Chunked bodies compared with nginx, received in pieces of any size."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sniproxy.http.chunks import (
    LAST_CHUNK,
    BodyTooLargeError,
    ChunkReader,
    MalformedChunkError,
    chunk,
    last_chunk,
)
from sniproxy.models import Side
from tests.http.oracle import Nginx, ScriptedUpstream

BODIES: dict[str, bytes] = {
    "one": b"3\r\nabc\r\n0\r\n\r\n",
    "two": b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
    "none": b"0\r\n\r\n",
    "hexadecimal": b"a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n",
    "zeros": b"0000003\r\nabc\r\n000\r\n\r\n",
    "extension": b'3;a="b"\r\nabc\r\n0;c\r\n\r\n',
    "space": b"3 \r\nabc\r\n0 \r\n\r\n",
    "tab": b"3\tx y\r\nabc\r\n0\t\r\n\r\n",
    "NUL in an extension": b"3;\0\r\nabc\r\n0\r\n\r\n",
    "trailers": b"1\r\na\r\n0\r\nA: b\r\nx\r\n: \0\r\n\r\n",
    "space before": b" 3\r\nabc\r\n0\r\n\r\n",
    "no size": b"\r\nabc\r\n0\r\n\r\n",
    "no digit": b"g\r\n",
    "a prefix": b"0x3\r\nabc\r\n",
    "a sign": b"+3\r\nabc\r\n",
    "digit, then letter": b"3z\r\nabc\r\n",
    "LF after the size": b"3\nabc\r\n0\r\n\r\n",
    "LF after an extension": b"3;a\nabc\r\n0\r\n\r\n",
    "LF after the data": b"3\r\nabc\n0\r\n\r\n",
    "LF after the last size": b"3\r\nabc\r\n0\n\r\n",
    "LF after the last extension": b"3\r\nabc\r\n0;\n\r\n",
    "LF for the end": b"3\r\nabc\r\n0\r\n\n",
    "LF in a trailer": b"0\r\nA: b\n\r\n",
    "CR in an extension": b"3;a\rb\r\nabc\r\n0\r\n\r\n",
    "CR in a trailer": b"0\r\nA: b\rc\r\n\r\n",
    "CR after the size": b"3\rabc",
    "CR after the last size": b"0\rabc",
    "too long data": b"3\r\nabcd\r\n0\r\n\r\n",
    "CR in place of data": b"3\r\nab\r\n0\r\n\r\n",
    "a size of 59 bits": b"7ffffffffffffff\r\nabc",
    "a size of 60 bits": b"800000000000000\r\nabc",
    "digits of 60 bits alone": b"800000000000000",
    "a size of 64 bits": b"ffffffffffffffff\r\nabc",
    "a size of 80 bits": b"fffffffffffffffffff\r\nabc",
    "many zeros": b"0" * 100 + b"3\r\nabc\r\n0\r\n\r\n",
    "half a size": b"3",
    "half the data": b"3\r\nab",
    "half the end": b"3\r\nabc\r\n0\r\n",
    "a trailer without the end": b"0\r\nA: b\r\n",
}


def decoded(body: bytes) -> bytes | type[MalformedChunkError] | None:
    """The decoded body, None if it is incomplete, `MalformedChunkError` if it is malformed."""
    reader = ChunkReader()
    try:
        data = reader.feed(body)
    except MalformedChunkError:
        return MalformedChunkError
    return data if reader.done else None


def ask(
    nginx: Nginx, upstream: ScriptedUpstream, body: bytes
) -> bytes | type[MalformedChunkError] | None:
    upstream.script, upstream.seen = b"HTTP/1.0 204 No Content\r\n\r\n", b""
    answer = nginx.ask(
        b"POST /proxy/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    )
    if answer.status == 400:
        assert answer.messages("client sent") == ["error: client sent invalid chunked body"]
        return MalformedChunkError
    return upstream.seen.partition(b"\r\n\r\n")[2] if answer.status == 204 else None


@pytest.mark.nginx
@pytest.mark.parametrize("name", BODIES)
def test_nginx_reads_the_same_from_a_client(
    nginx: Nginx, upstream: ScriptedUpstream, name: str
) -> None:
    assert decoded(BODIES[name]) == ask(nginx, upstream, BODIES[name])


PIECES = [b"3", b"0", b"\r\n", b"\r", b"\n", b"abc", b"3\r\nabc\r\n", b"0\r\n", b";", b" ", b"A: b"]


@pytest.mark.nginx
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=10))
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_nginx_reads_anything_the_same(
    nginx: Nginx, upstream: ScriptedUpstream, pieces: list[bytes]
) -> None:
    body = b"".join(pieces)
    reader = ChunkReader()
    try:
        reader.feed(body)
    except MalformedChunkError:
        pass
    else:
        body = body[
            : len(body) - len(reader.leftover)
        ]  # nginx would continue with the next request
    assert decoded(body) == ask(nginx, upstream, body)


@pytest.mark.nginx
@pytest.mark.parametrize("name", [name for name in BODIES if len(BODIES[name]) < 100])
def test_nginx_reads_the_same_from_an_upstream(
    nginx: Nginx, upstream: ScriptedUpstream, name: str
) -> None:
    body = BODIES[name]
    upstream.script = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    answer = nginx.ask(b"GET /proxy/ HTTP/1.0\r\n\r\n")
    bad = answer.messages("upstream sent invalid chunked response")
    ours = decoded(body)
    if ours is MalformedChunkError:
        with pytest.raises(MalformedChunkError) as refused:
            ChunkReader(Side.UPSTREAM).feed(body)
        assert bad == [f"error: {refused.value}"]
    else:
        assert not bad
    if isinstance(ours, bytes):
        assert answer.body == ours


@pytest.mark.nginx
@pytest.mark.parametrize(
    "body", [b"a\r\n0123456789\r\n1\r\na\r\n", b"b\r\n0123456789a\r\n", b"64\r\na"]
)
def test_nginx_has_the_same_body_limit(nginx: Nginx, body: bytes) -> None:
    answer = nginx.ask(
        b"POST /limited HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    )
    with pytest.raises(BodyTooLargeError) as refused:
        ChunkReader(limit=10).feed(body)
    assert answer.status == 413
    text = f"error: client intended to send too large chunked body: {refused.value} bytes"
    assert [line.partition(", client")[0] for line in answer.log] == [text]


# Splitting


def cut(body: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(place % (len(body) + 1) for place in cuts), len(body)]
    return [body[a:b] for a, b in itertools.pairwise(places)]


@given(st.sampled_from(sorted(BODIES)), st.lists(st.integers(0, 200), max_size=20))
def test_result_is_independent_of_how_data_is_split(name: str, cuts: list[int]) -> None:
    body = BODIES[name]
    reader = ChunkReader()
    parts: list[bytes] = []
    try:
        for part in cut(body, cuts):
            if not reader.done:
                parts.append(reader.feed(part))
    except MalformedChunkError:
        assert decoded(body) is MalformedChunkError
    else:
        assert decoded(body) == (b"".join(parts) if reader.done else None)


@given(
    st.lists(st.binary(min_size=1, max_size=50)),
    st.lists(st.tuples(st.text("ab-", min_size=1), st.text("x y"))),
    st.binary(max_size=10),
    st.lists(st.integers(0, 500), max_size=10),
)
def test_encoded_body_is_decoded_again(
    pieces: list[bytes], trailers: list[tuple[str, str]], rest: bytes, cuts: list[int]
) -> None:
    body = b"".join(map(chunk, pieces)) + last_chunk(trailers)
    reader = ChunkReader()
    read = b"".join(reader.feed(part) for part in cut(body, cuts) if not reader.done)
    assert read == b"".join(pieces)
    assert reader.done
    whole = ChunkReader()
    assert whole.feed(body + rest) == read
    assert whole.leftover == rest


def test_endless_line_is_not_stored() -> None:
    reader = ChunkReader()
    for part in (b"3;", b"a" * 10000, b"b" * 10000, b"\r\nabc\r\n0\r\nX:", b"c" * 10000, b"\r\n\r"):
        reader.feed(part)
        assert len(reader._pending) < 100
    reader.feed(b"\n")
    assert reader.done


def test_keep_trailers_leaves_trailers_to_the_caller() -> None:
    reader = ChunkReader(keep_trailers=True)
    assert reader.feed(b"1\r\na\r\n0\r\nA: b\r\n\r\n") == b"a"
    assert reader.done
    assert reader.leftover == b"A: b\r\n\r\n"


def test_encode_chunks() -> None:
    assert chunk(b"x" * 10) == b"a\r\n" + b"x" * 10 + b"\r\n"
    assert last_chunk() == LAST_CHUNK
    assert last_chunk([("A", "b")]) == b"0\r\nA: b\r\n\r\n"


def test_min_remaining() -> None:
    body = b"5\r\nhello\r\n1f;x\r\n" + b"x" * 31 + b"\r\n0\r\nT: x\r\n\r\n"
    reader = ChunkReader(Side.UPSTREAM)
    least = []
    for position in range(len(body)):
        least.append(reader.min_remaining)
        reader.feed(body[position : position + 1])
        assert reader.min_remaining <= len(body) - position - 1
    assert least[:13] == [5, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 10, 40]
    assert least[-10:] == [4, 3, 2, 4, 4, 4, 4, 3, 2, 1]
    assert (reader.done, reader.min_remaining) == (True, 0)
