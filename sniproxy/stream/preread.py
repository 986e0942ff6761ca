"""Read a ClientHello ahead, as nginx's `ssl_preread` does (pure).

The hello may be spread over many records and segments. nginx's parser is not OpenSSL's: it takes
the first name of the first SNI extension, and does not look at much else.
"""

from __future__ import annotations

import enum
from collections.abc import Generator
from dataclasses import dataclass

_VERSIONS = {
    (0, 2): "SSLv2",
    (3, 0): "SSLv3",
    (3, 1): "TLSv1",
    (3, 2): "TLSv1.1",
    (3, 3): "TLSv1.2",
    (3, 4): "TLSv1.3",
}
_RECORD_HEADER = 5
_CLIENT_HELLO = 1
_SERVER_NAME, _ALPN, _SUPPORTED_VERSIONS = 0, 16, 43


class PrereadResult(enum.Enum):
    """What is known after the data that has arrived."""

    INCOMPLETE = enum.auto()
    HELLO = enum.auto()
    """It is a ClientHello, read as far as needed."""
    OTHER = enum.auto()
    """It is none, or is malformed."""


@dataclass(slots=True)
class PrereadHello:
    """What the variables `$ssl_preread_…` have."""

    version: tuple[int, int] = (0, 0)
    server_name: str = ""
    alpn: str = ""
    """Protocols, separated by commas."""

    @property
    def protocol(self) -> str:
        """The highest protocol version that the client supports; "" if it is unknown."""
        return _VERSIONS.get(self.version, "")


class _MalformedHelloError(ValueError):
    pass


class HelloReader:
    """Reads a ClientHello from data that grows."""

    __slots__ = ("_parser", "_position", "_unparsed", "_wanted", "hello")

    def __init__(self) -> None:
        self.hello = PrereadHello()
        self._position = 0
        """Bytes of the data that were read, which are complete records."""
        self._parser: Generator[int, bytes, None] | None = None
        """None until the quick reader has declined."""
        self._wanted = 0
        """Number of bytes that the parser waits for."""
        self._unparsed = b""

    def feed(self, data: bytes) -> PrereadResult:
        """Continue with all the data that has arrived, including what was there before."""
        if not self._position and read_simple_hello(data, self.hello):
            return PrereadResult.HELLO
        while len(data) - self._position >= _RECORD_HEADER:
            start = self._position
            first, second, third, fourth, fifth = data[start : start + _RECORD_HEADER]
            if first & 0x80 and third == _CLIENT_HELLO and fourth in (0, 3):
                self.hello.version = fourth, fifth
                return PrereadResult.HELLO
            if first != 0x16 or second != 3:
                return PrereadResult.OTHER
            end = start + _RECORD_HEADER + (fourth << 8 | fifth)
            if len(data) < end:
                break
            self._position = end
            try:
                if self._parse_record(data[start + _RECORD_HEADER : end]):
                    return PrereadResult.HELLO
            except _MalformedHelloError:
                return PrereadResult.OTHER
        return PrereadResult.INCOMPLETE

    def _parse_record(self, payload: bytes) -> bool:
        """Whether the hello was read to its end; raises `_MalformedHelloError`."""
        data = self._unparsed + payload if self._unparsed else payload
        position = 0
        if self._parser is None:
            self._parser = _parse(self.hello)
            self._wanted = next(self._parser)
        try:
            while len(data) - position >= self._wanted:
                end = position + self._wanted
                self._wanted = self._parser.send(data[position:end])
                position = end
        except StopIteration:
            return True
        self._unparsed = data[position:]
        return False


def read_simple_hello(data: bytes, hello: PrereadHello) -> bool:
    """Read a well-formed hello that is one record, as clients send it, at a third of the cost.

    False, with `hello` unchanged, for anything else.
    """
    size = len(data)
    if size < 50 or data[0] != 0x16 or data[1] != 3 or data[5] != _CLIENT_HELLO:
        return False
    end = 9 + int.from_bytes(data[6:9])
    if end != _RECORD_HEADER + (data[3] << 8 | data[4]) or end > size:
        return False
    version = data[9], data[10]
    name, alpn = "", ""
    has_name = has_alpn = False
    try:
        position = 44 + data[43]
        position += 2 + (data[position] << 8 | data[position + 1])
        position += 1 + data[position]
        if position + 2 + (data[position] << 8 | data[position + 1]) != end:
            return False
        position += 2
        while position < end:
            kind = data[position] << 8 | data[position + 1]
            start = position + 4
            position = start + (data[position + 2] << 8 | data[position + 3])
            if kind == _SERVER_NAME:
                length = data[start + 3] << 8 | data[start + 4]
                if has_name or data[start + 2] or start + 5 + length != position:
                    return False
                if start + 2 + (data[start] << 8 | data[start + 1]) != position:
                    return False
                has_name = True
                name = data[start + 5 : position].decode("latin-1")
            elif kind == _ALPN:
                if has_alpn or start + 2 + (data[start] << 8 | data[start + 1]) != position:
                    return False
                has_alpn = True
                words, start = [], start + 2
                while start < position:
                    length = data[start]
                    words.append(data[start + 1 : start + 1 + length].decode("latin-1"))
                    start += 1 + length
                    if not length or start > position:
                        return False
                if not words:
                    return False
                alpn = ",".join(words)
            elif kind == _SUPPORTED_VERSIONS:
                if start + 1 + data[start] != position:
                    return False
                version = 3, 4
    except IndexError:
        return False
    if position != end:
        return False
    hello.version, hello.server_name, hello.alpn = version, name, alpn
    return True


def _parse(hello: PrereadHello) -> Generator[int, bytes, None]:
    """Yields the number of bytes needed, and receives them; ends with the hello.

    Each length is compared with what is left of the message before its bytes have arrived.
    """
    header = yield 4
    if header[0] != _CLIENT_HELLO:
        raise _MalformedHelloError
    left = int.from_bytes(header[1:4])

    def after(size: int) -> int:
        if left < size:
            raise _MalformedHelloError
        return left - size

    left = after(2)
    version = yield 2
    hello.version = version[0], version[1]
    left = after(32)
    yield 32
    for size_of_length in (1, 2, 1):  # session id, cipher suites, compression methods
        left = after(size_of_length)
        size = int.from_bytes((yield size_of_length))
        left = after(size)
        yield size
    if not left:
        return
    left = after(2)
    yield 2
    has_name = has_alpn = False
    while left:
        left = after(4)
        extension = yield 4
        kind, size = int.from_bytes(extension[:2]), int.from_bytes(extension[2:])
        if kind == _SERVER_NAME and not has_name:
            has_name = True
            left = after(2)
            names = int.from_bytes((yield 2))
            left = after(3)
            name_head = yield 3
            size = int.from_bytes(name_head[1:])
            if name_head[0] != 0 or names < 3 + size:
                raise _MalformedHelloError
            left = after(size)
            hello.server_name = (yield size).decode("latin-1")
            size = names - 3 - size
        elif kind == _ALPN and not has_alpn:
            has_alpn = True
            left = after(2)
            protocols = int.from_bytes((yield 2))
            words = []
            while True:
                left = after(1)
                size = (yield 1)[0]
                if not size or protocols < 1 + size:
                    raise _MalformedHelloError
                protocols -= 1 + size
                left = after(size)
                words.append((yield size).decode("latin-1"))
                hello.alpn = ",".join(words)
                if not protocols:
                    break
            size = 0
        elif kind == _SUPPORTED_VERSIONS:
            left = after(1)
            size = (yield 1)[0]
            hello.version = 3, 4
        left = after(size)
        yield size
