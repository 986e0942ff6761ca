"""Reading a ClientHello ahead: the same result however the data is cut, and no exception."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sniproxy.stream.preread import (
    HelloReader,
    PrereadHello,
    PrereadResult,
    read_simple_hello,
)
from tests.stream.hellos import alpn, extension, message, records, server_name

HELLO = message(server_name(b"a.test"), alpn(b"h2", b"x"), extension(43, b"\2\3\4"))


def read(data: bytes, cuts: list[int]) -> tuple[PrereadResult, str, str, str]:
    reader = HelloReader()
    for end in (*sorted(cut % (len(data) + 1) for cut in cuts), len(data)):
        result = reader.feed(data[:end])
        if result is not PrereadResult.INCOMPLETE:
            break
    return result, reader.hello.server_name, reader.hello.alpn, reader.hello.protocol


@given(st.integers(1, 400), st.lists(st.integers(0, 5000), max_size=8))
def test_result_does_not_depend_on_records_and_segments(size: int, cuts: list[int]) -> None:
    found = read(records(HELLO, size), cuts)
    assert found == (PrereadResult.HELLO, "a.test", "h2,x", "TLSv1.3")


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=4))
def test_any_data_is_read_without_an_exception(data: bytes, cuts: list[int]) -> None:
    read(data, cuts)
    read(records(b"\1\0\0\xff" + data) if data else b"", cuts)


@given(st.data())
def test_damaged_hello_is_read_without_an_exception(data: st.DataObject) -> None:
    damaged = bytearray(records(HELLO))
    at = data.draw(st.integers(0, len(damaged) - 1))
    damaged[at] = data.draw(st.integers(0, 255))
    read(bytes(damaged), [])


def test_hello_byte_by_byte() -> None:
    data = records(HELLO, 3)
    assert read(data, list(range(len(data))))[1] == "a.test"


NAMES = st.binary(max_size=20)
EXTENSIONS = st.one_of(
    st.builds(server_name, NAMES, st.sampled_from([0, 0, 0, 1])),
    st.builds(lambda names: alpn(*names), st.lists(st.binary(max_size=5), max_size=3)),
    st.builds(extension, st.sampled_from([0, 16, 43, 21, 0x0A0A]), st.binary(max_size=12)),
)


@given(
    st.lists(EXTENSIONS, max_size=5),
    st.binary(max_size=4),
    st.integers(-3, 3),
    st.sampled_from([b"\3\3", b"\3\1", b"\0\2"]),
)
def test_quick_reader_agrees_with_the_complete_one(
    extensions: list[bytes], rest: bytes, change: int, version: bytes
) -> None:
    data = bytearray(records(message(*extensions, version=version)) + rest)
    data[8] = (data[8] + change) % 256  # of the length of the message
    quick = PrereadHello()
    if read_simple_hello(bytes(data), quick):
        complete = HelloReader()
        result = _complete(bytes(data), complete)
        assert result is PrereadResult.HELLO
        assert complete.hello == quick


def _complete(data: bytes, reader: HelloReader) -> PrereadResult:
    """The result of the parser that takes records piece by piece."""
    size = 5 + int.from_bytes(data[3:5])
    payload = data[5:size]
    middle = len(payload) // 2
    pieces = (payload[:middle], payload[middle:])
    return reader.feed(b"".join(b"\x16\3\1" + len(p).to_bytes(2) + p for p in pieces))
