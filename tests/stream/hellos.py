"""ClientHello messages as bytes, well-formed and not."""

from __future__ import annotations

SNI, ALPN, VERSIONS = 0, 16, 43


def vector(data: bytes, size: int) -> bytes:
    """`data` after its length in `size` bytes."""
    return len(data).to_bytes(size) + data


def extension(kind: int, body: bytes) -> bytes:
    return kind.to_bytes(2) + vector(body, 2)


def server_name(name: bytes, kind: int = 0) -> bytes:
    return extension(SNI, vector(bytes((kind,)) + vector(name, 2), 2))


def alpn(*names: bytes) -> bytes:
    return extension(ALPN, vector(b"".join(vector(name, 1) for name in names), 2))


def message(*extensions: bytes, version: bytes = b"\3\3") -> bytes:
    """A handshake message."""
    body = version + bytes(32) + vector(b"", 1) + vector(b"\x13\x01", 2) + vector(b"\0", 1)
    body += vector(b"".join(extensions), 2)
    return b"\1" + vector(body, 3)


def records(data: bytes, size: int = 16384) -> bytes:
    """A message in records of at most `size` bytes."""
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"\x16\3\1" + vector(piece, 2) for piece in pieces)


def hello(name: bytes = b"a.test", *more: bytes) -> bytes:
    return records(message(server_name(name), *more))
