"""A stand-in for `sniproxy.tls.hello`, until that has landed."""

from __future__ import annotations

from dataclasses import dataclass

_VERSIONS = {0x0301: "TLSv1", 0x0302: "TLSv1.1", 0x0303: "TLSv1.2", 0x0304: "TLSv1.3"}
_SERVER_NAME, _ALPN, _TICKET, _PSK, _SUPPORTED_VERSIONS = 0, 16, 35, 41, 43


@dataclass(frozen=True, slots=True)
class ClientHello:
    server_name: str | None
    versions: tuple[str, ...]
    alpn: tuple[str, ...]
    session_offered: bool


def parse_client_hello(data: bytes) -> ClientHello | None:
    """The hello that `data`, the first bytes of a connection, hold; None if they hold none."""
    if len(data) < 43 or data[0] != 22 or data[5] != 1:
        return None
    record_length = int.from_bytes(data[3:5], "big")
    body = data[5 : 5 + record_length]
    if len(body) < record_length:
        return None
    position = 4 + 2 + 32
    legacy = int.from_bytes(body[4:6], "big")
    session_id, position = _vector(body, position, 1)
    _, position = _vector(body, position, 2)
    _, position = _vector(body, position, 1)
    block, _ = _vector(body, position, 2)
    extensions = {}
    while block:
        content, end = _vector(block, 2, 2)
        extensions[int.from_bytes(block[:2], "big")] = content
        block = block[end:]
    versions = extensions.get(_SUPPORTED_VERSIONS, b"\2" + legacy.to_bytes(2, "big"))[1:]
    numbers = [int.from_bytes(versions[i : i + 2], "big") for i in range(0, len(versions), 2)]
    offers_13 = 0x0304 in numbers
    return ClientHello(
        server_name=extensions[_SERVER_NAME][5:].decode("latin-1")
        if _SERVER_NAME in extensions
        else None,
        versions=tuple(_VERSIONS[number] for number in numbers if number in _VERSIONS),
        alpn=tuple(_names(extensions.get(_ALPN, b"")[2:])),
        session_offered=_PSK in extensions
        or bool(extensions.get(_TICKET))
        or (bool(session_id) and not offers_13),
    )


def _vector(data: bytes, position: int, width: int) -> tuple[bytes, int]:
    start = position + width
    end = start + int.from_bytes(data[position:start], "big")
    return data[start:end], end


def _names(data: bytes) -> list[str]:
    names = []
    while data:
        name, end = _vector(data, 0, 1)
        names.append(name.decode("latin-1"))
        data = data[end:]
    return names
