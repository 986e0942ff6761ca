"""The PROXY protocol, versions 1 and 2, as nginx reads it (`ngx_proxy_protocol.c`). No I/O.

A proxy in front sends a header before anything else on a connection, TLS included. It has the
addresses of the client and of the server that the client has connected to; in version 2 also
further fields (TLVs).
"""

from __future__ import annotations

import re
import socket
import struct
from dataclasses import dataclass
from typing import Protocol

MAX_HEADER = 4097
"""Maximum length of a header before TLS, in bytes."""
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_V2_HEAD = struct.Struct("!12sBBH")
_V1 = re.compile(rb"TCP[46] ([0-9a-fA-F.:]*) ([0-9a-fA-F.:]*) ([0-9]+) ([0-9]+)\r\n")
_MAX_PORT = 65535
_MAX_NUMBER = 2**63 - 1
_PROXY, _STREAM = 1, 1
_ADDRESSES = {
    1: (socket.AF_INET, struct.Struct("!4s4sHH")),
    2: (socket.AF_INET6, struct.Struct("!16s16sHH")),
}
"""Family and layout of the addresses of version 2, by the number of the family."""

_SSL = 0x20
_TYPES = {"alpn": 0x01, "authority": 0x02, "unique_id": 0x05, "ssl": _SSL, "netns": 0x30}
_SSL_TYPES = {"version": 0x21, "cn": 0x22, "cipher": 0x23, "sig_alg": 0x24, "key_alg": 0x25}
_SSL_HEAD = struct.Struct("!BI")
"""Head of the TLV of type SSL: a bit field, and the result of verification."""


class InvalidProxyHeaderError(Exception):
    """A header that nginx refuses; the text is its message, "" if it logs nothing."""


class TLVError(Exception):
    """TLVs that cannot be read; the text is nginx's message, "" if it logs nothing."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """The addresses in a header, in text form, and its TLVs."""

    client_address: str
    client_port: int
    server_address: str
    server_port: int
    tlvs: bytes = b""

    def tlv(self, name: str) -> str | None:
        """The value of `$proxy_protocol_tlv_NAME`; None if the header has none.

        `name` is a known name, `0x` with a number in hexadecimal, or either after `ssl_`. Raises
        `TLVError`.
        """
        tlvs, types = self.tlvs, _TYPES
        word = name
        if name.startswith("ssl_"):
            inside = _find(tlvs, _SSL)
            if inside is None:
                return None
            if len(inside) < _SSL_HEAD.size:
                raise TLVError("")
            word = name.removeprefix("ssl_")
            if word == "verify":
                return str(_SSL_HEAD.unpack_from(inside)[1])
            tlvs, types = inside[_SSL_HEAD.size :], _SSL_TYPES
        if word.startswith("0x"):
            valid = re.fullmatch("0x[0-9a-fA-F]+", word) is not None
            number = int(word, 16) if valid else _MAX_NUMBER + 1
            if number > _MAX_NUMBER:
                raise TLVError(f'invalid PROXY protocol TLV "{name}"')
        elif word in types:
            number = types[word]
        else:
            raise TLVError(f'unknown PROXY protocol TLV "{name}"')
        value = _find(tlvs, number)
        return None if value is None else value.decode("latin-1")


def _find(tlvs: bytes, wanted: int) -> bytes | None:
    """The value of the first TLV of a type. Raises `TLVError` if one before it is cut off."""
    position = 0
    while position < len(tlvs):
        value = position + 3
        end = value + int.from_bytes(tlvs[position + 1 : value])
        if value > len(tlvs) or end > len(tlvs):
            raise TLVError("broken PROXY protocol TLV")
        if tlvs[position] == wanted:
            return tlvs[value:end]
        position = end
    return None


def read_proxy_header(data: bytes) -> tuple[ProxyHeader | None, int]:
    """Parse the header at the start of `data`; returns it, and its length.

    The header is None if it has no addresses: version 1 with `UNKNOWN`, version 2 with `LOCAL` or
    another family. As in nginx, a header that is incomplete is refused: proxies send it in one
    piece. Raises `InvalidProxyHeaderError`.
    """
    if len(data) >= _V2_HEAD.size and data.startswith(SIGNATURE):
        return _read_v2(data)
    if len(data) >= 8 and data.startswith(b"PROXY "):
        if data.startswith(b"UNKNOWN", 6):
            end = data.find(b"\r\n", 13)
            if end >= 0:
                return None, end + 2
        found = _V1.match(data, 6)
        if found is not None:
            client, server, *ports = (group.decode("ascii") for group in found.groups())
            numbers = [int(port) if len(port.lstrip("0")) < 6 else -1 for port in ports]
            if all(0 <= number <= _MAX_PORT for number in numbers):
                return ProxyHeader(client, numbers[0], server, numbers[1]), found.end()
    line = re.split(rb"[\r\n]", data, maxsplit=1)[0].decode("latin-1")
    raise InvalidProxyHeaderError(f'broken header: "{line}"')


def _read_v2(data: bytes) -> tuple[ProxyHeader | None, int]:
    _, version_command, family_transport, length = _V2_HEAD.unpack_from(data)
    version, command = divmod(version_command, 16)
    if version != 2:
        raise InvalidProxyHeaderError(f"unknown PROXY protocol version: {version}")
    end = _V2_HEAD.size + length
    if end > len(data):
        raise InvalidProxyHeaderError("header is too large")
    family, transport = divmod(family_transport, 16)
    if command != _PROXY or transport != _STREAM or family not in _ADDRESSES:
        return None, end
    socket_family, layout = _ADDRESSES[family]
    if length < layout.size:
        raise InvalidProxyHeaderError("")
    client, server, client_port, server_port = layout.unpack_from(data, _V2_HEAD.size)
    return (
        ProxyHeader(
            socket.inet_ntop(socket_family, client),
            client_port,
            socket.inet_ntop(socket_family, server),
            server_port,
            bytes(data[_V2_HEAD.size + layout.size : end]),
        ),
        end,
    )


class _Addresses(Protocol):
    """The addresses of a connection."""

    @property
    def client_address(self) -> str: ...
    @property
    def client_port(self) -> int: ...
    @property
    def server_address(self) -> str: ...
    @property
    def server_port(self) -> int: ...


def proxy_header_v1(connection: _Addresses) -> bytes:
    """The header of version 1 for a connection, to be sent to an upstream."""
    client, server = connection.client_address, connection.server_address
    if client == "unix:":
        return b"PROXY UNKNOWN\r\n"
    family = "TCP6" if ":" in client else "TCP4"
    ports = f"{connection.client_port} {connection.server_port}"
    return f"PROXY {family} {client} {server} {ports}\r\n".encode("latin-1")
