"""Reading a ClientHello ahead: the same result however the data is cut, and no exception."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sniproxy.stream.preread import HelloReader, PrereadResult
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
