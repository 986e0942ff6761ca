"""FastCGI records: what is written can be read, however it is cut."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniproxy.models import FailureType, ProxyError
from sniproxy.upstream.fastcgi import FastCGIHeadReader, error_stream_text
from sniproxy.upstream.fastcgi_records import (
    END_OF_BODY,
    END_REQUEST,
    PARAMS,
    STDERR,
    STDIN,
    STDOUT,
    InvalidRecordError,
    RecordReader,
    body_records,
    encode_params,
    record,
    request_records,
)
from tests.upstream.fakes import Lines

ENDED = record(STDOUT, b"") + record(END_REQUEST, bytes(8))


def cut(data: bytes, at: list[int]) -> list[bytes]:
    """The data, cut at positions that are taken modulo its length."""
    places = sorted({place % (len(data) + 1) for place in at} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


def read(pieces: list[bytes]) -> list[tuple[int, bytes]]:
    """Kind and content of all records."""
    reader = RecordReader()
    found: list[tuple[int, bytes]] = []
    for data in pieces:
        reader.feed(reader.rest + data)
        while (piece := reader.next()) is not None:
            if piece.starts:
                found.append((piece.kind, b""))
            found[-1] = (piece.kind, found[-1][1] + piece.content)
    assert reader.is_empty
    return found


KINDS = st.sampled_from((STDOUT, STDERR, END_REQUEST))
RECORDS = st.lists(st.tuples(KINDS, st.binary(max_size=99)))
CUTS = st.lists(st.integers(0, 10_000), max_size=20)


@given(RECORDS, CUTS)
def test_records_are_read_however_they_are_cut(
    records: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    data = b"".join(record(kind, content) for kind, content in records)
    assert len(data) % 8 == 0
    assert read(cut(data, cuts)) == records


@given(st.binary(max_size=200), CUTS)
def test_garbage_is_refused_or_read(data: bytes, cuts: list[int]) -> None:
    reader = RecordReader()
    with contextlib.suppress(InvalidRecordError):
        for piece in cut(data, cuts):
            reader.feed(reader.rest + piece)
            while reader.next() is not None:
                pass
        assert reader.is_empty


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (b"\2", "unsupported FastCGI protocol version: 2"),
        (b"H", "unsupported FastCGI protocol version: 72"),
        (b"\1\1", "invalid FastCGI record type: 1"),
        (b"\1\6\1", "unexpected FastCGI request id high byte: 1"),
        (b"\1\6\0\0", "unexpected FastCGI request id low byte: 0"),
    ],
)
def test_a_wrong_byte_is_refused_at_once(header: bytes, text: str) -> None:
    reader = RecordReader()
    reader.feed(header)
    with pytest.raises(InvalidRecordError, match=f"^upstream sent {text}$"):
        reader.next()


def decoded(params: bytes) -> list[tuple[str, str]]:
    """The inverse of `encode_params`, by the specification."""
    found, position = [], 0
    while position < len(params):
        lengths = []
        for _ in range(2):
            size = 4 if params[position] & 0x80 else 1
            lengths.append(int.from_bytes(params[position : position + size], "big") & 0x7FFFFFFF)
            position += size
        text = params[position : position + sum(lengths)].decode("latin-1")
        position += sum(lengths)
        found.append((text[: lengths[0]], text[lengths[0] :]))
    return found


LATIN = st.text(st.characters(max_codepoint=255), max_size=300)


@given(st.lists(st.tuples(LATIN, LATIN), max_size=5))
def test_params_can_be_decoded(params: list[tuple[str, str]]) -> None:
    assert decoded(encode_params(params)) == params


@given(st.binary(max_size=100_000))
def test_a_body_is_sent_in_records_of_32k(body: bytes) -> None:
    sent, contents = body_records(body), b""
    while sent:
        length, padding = int.from_bytes(sent[4:6], "big"), sent[6]
        assert sent[1] == STDIN
        assert 0 < length <= 32768
        contents += sent[8 : 8 + length]
        sent = sent[8 + length + padding :]
    assert contents == body


def test_a_request_begins_with_its_parameters() -> None:
    params = encode_params([("A", "b")])
    assert request_records(params, keep_connection=True) == (
        b"\1\1\0\1\0\x08\0\0\0\1\1\0\0\0\0\0" + record(PARAMS, params) + record(PARAMS, b"")
    )
    assert END_OF_BODY == b"\1\5\0\1\0\0\0\0"


@pytest.mark.parametrize(
    ("sent", "logged"),
    [
        (b"oops", "oops"),
        (b"oops. \r\n.", "oops"),
        (b"...", "."),
        (b"one\ntwo\n", "one\ntwo"),
        (b"\xff.", "\xff"),
    ],
)
def test_texts_of_the_error_stream_are_trimmed(sent: bytes, logged: str) -> None:
    assert error_stream_text(sent) == f'FastCGI sent in stderr: "{logged}"'


@given(CUTS, CUTS)
def test_a_head_is_read_however_it_is_cut(text_cuts: list[int], cuts: list[int]) -> None:
    head, body = b"Status: 404 Gone\r\nX-A: b\r\nContent-Type: a/b\r\n\r\n", b"body"
    records = [record(STDOUT, text) for text in cut(head + body, text_cuts) if text]
    data = b"".join(records) + ENDED
    reader = FastCGIHeadReader(Lines().log())
    parsed = None
    pieces = cut(data, cuts)
    while parsed is None:
        parsed = reader.feed(pieces.pop(0))
    assert (parsed.head.status, parsed.head.status_line) == (404, "404 Gone")
    assert dict(parsed.head.headers)["X-A"] == "b"
    rest = b""
    while pieces or not reader.records.is_empty:
        while (piece := reader.records.next()) is not None:
            rest += piece.content if piece.kind == STDOUT else b""
        if pieces:
            reader.records.feed(reader.records.rest + pieces.pop(0))
    assert rest == body


@given(st.binary(max_size=100))
def test_any_output_is_a_head_or_refused(output: bytes) -> None:
    reader = FastCGIHeadReader(Lines().log(), ("fatal",))
    try:
        parsed = reader.feed(record(STDERR, output) + record(STDOUT, output + b"x") + ENDED)
    except ProxyError as failed:
        kind = failed.failure.kind
    else:
        kind = FailureType.INVALID_HEADER if parsed is not None else FailureType.ERROR
    assert kind is FailureType.INVALID_HEADER
