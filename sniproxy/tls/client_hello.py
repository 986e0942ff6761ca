"""Parse a ClientHello from the first bytes of a connection (pure).

Source: RFC 8446 section 4.1.2, RFC 6066 section 3, RFC 7301, RFC 8446 sections 4.2.1, 4.2.7,
4.2.11; the records around it RFC 8446 section 5.1. A hello may span several records.
"""

from __future__ import annotations

from dataclasses import dataclass


class NotTLSError(ValueError):
    """The bytes are not the beginning of a TLS ClientHello."""


class ServerNameError(NotTLSError):
    """The SNI is malformed; everything else that was looked at is not."""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """A parsed ClientHello. Numbers are IANA's, including GREASE, in the order received."""

    legacy_version: int
    """0x0303 for TLS 1.2 and 1.3."""
    random: bytes
    session_id: bytes
    cipher_suites: tuple[int, ...]
    extensions: tuple[tuple[int, bytes], ...]
    """All extensions, type and body, in order."""
    server_name: bytes | None = None
    """The SNI; None without one."""
    supported_versions: tuple[int, ...] = ()
    alpn: tuple[bytes, ...] = ()
    groups: tuple[int, ...] = ()
    key_shares: tuple[int, ...] = ()
    """Groups of the key shares."""
    signature_algorithms: tuple[int, ...] = ()
    session_ticket: bytes | None = None
    """A TLS 1.2 ticket; empty if the client only supports tickets."""
    psk_identities: tuple[bytes, ...] = ()
    """TLS 1.3 tickets offered."""

    @property
    def offers_session(self) -> bool:
        """Whether the client offers a session (a TLS 1.3 session id alone does not)."""
        tls12_id = bool(self.session_id) and 0x0304 not in self.supported_versions
        return bool(self.psk_identities or self.session_ticket) or tls12_id


HANDSHAKE_RECORD = 22
CLIENT_HELLO = 1
SERVER_NAME, GROUPS, SIGNATURE_ALGORITHMS, ALPN = 0, 10, 13, 16
SESSION_TICKET, PRE_SHARED_KEY, SUPPORTED_VERSIONS, KEY_SHARE = 35, 41, 43, 51

LONGEST = 1 << 17
"""OpenSSL refuses a ClientHello above 131,396 bytes."""


def parse_client_hello(data: bytes) -> ClientHello | None:
    """Parse the ClientHello at the start of `data`; None if it is incomplete.

    Raises `NotTLSError` as soon as `data` cannot be the start of one.
    """
    message = _message(data)
    if message is None:
        return None
    body = _Reader(message)
    version = body.number(2)
    random = body.take(32)
    session_id = body.vector(1)
    suites = _numbers(body.vector(2))
    body.vector(1)  # compression methods
    extensions = _extensions(_Reader(body.vector(2))) if body.rest else ()
    if body.rest:
        raise NotTLSError("data follows the extensions of a ClientHello")
    found = dict(reversed(extensions))
    ticket = found.get(SESSION_TICKET)
    return ClientHello(
        legacy_version=version,
        random=random,
        session_id=session_id,
        cipher_suites=suites,
        extensions=extensions,
        server_name=_server_name(found.get(SERVER_NAME)),
        supported_versions=_list_of_numbers(found.get(SUPPORTED_VERSIONS), length=1),
        alpn=_vectors(found.get(ALPN), 1),
        groups=_list_of_numbers(found.get(GROUPS), length=2),
        key_shares=_key_shares(found.get(KEY_SHARE)),
        signature_algorithms=_list_of_numbers(found.get(SIGNATURE_ALGORITHMS), length=2),
        session_ticket=ticket,
        psk_identities=_identities(found.get(PRE_SHARED_KEY)),
    )


def peek_server_name(data: bytes, records: HelloRecords | None = None) -> str | None:
    """The SNI of the ClientHello at the start of `data`, "" without one; None if it is incomplete.

    Same result as `parse_client_hello`, at a tenth of the cost. Raises `NotTLSError`, and
    `ServerNameError` for an SNI that OpenSSL refuses. `records` continues an incomplete hello.
    """
    message = _message(data) if records is None else records.join(data)
    if message is None:
        return None
    size = len(message)
    try:
        position = 34  # version and random
        position += 1 + message[position]  # session id
        position += 2 + (message[position] << 8 | message[position + 1])  # cipher suites
        position += 3 + message[position]  # compression methods, length of the extensions
        while position < size:
            kind = message[position] << 8 | message[position + 1]
            start = position + 4
            position = start + (message[position + 2] << 8 | message[position + 3])
            if kind == SERVER_NAME and position <= size:
                return _only_name(message[start:position]).decode("latin-1")
    except IndexError:
        raise NotTLSError("a ClientHello field runs past its end") from None
    return ""


def _message(data: bytes) -> bytes | None:
    """The body of the handshake message, joined from its records."""
    if data[:2] == b"\x16\x03" and data[5:6] == b"\x01":
        # Nearly all clients send it in a single record.
        length, end = int.from_bytes(data[3:5]), int.from_bytes(data[6:9])
        if len(data) >= 5 + length and length == 4 + end <= 16384:
            return data[9 : 9 + end]
    return HelloRecords().join(data)


class HelloRecords:
    """Joins the records of one ClientHello, which may arrive in many small pieces."""

    __slots__ = ("_message", "_position")

    def __init__(self) -> None:
        self._message = bytearray()
        """The content of the records that are complete."""
        self._position = 0
        """Where they end."""

    def join(self, data: bytes) -> bytes | None:
        """The body of the handshake message; None if it is incomplete. Raises `NotTLSError`.

        `data` is all that has arrived. Each record is looked at once it is complete, and not again.
        """
        while True:
            start = self._position + 5
            header = data[self._position : start]
            if header[:1] not in (b"", b"\x16") or header[1:2] not in (b"", b"\x03"):
                raise NotTLSError("not a TLS handshake record")
            if len(header) < 5:
                return None
            length = int.from_bytes(header[3:])
            if not 0 < length <= 16384:
                raise NotTLSError("a handshake record of impossible length")
            content = data[start : start + length]
            head = bytes(self._message[:4]) + content[:4]
            if head[:1] not in (b"", b"\x01"):
                raise NotTLSError("not a ClientHello")
            if len(head) >= 4:
                end = 4 + int.from_bytes(head[1:4])
                if end > LONGEST:
                    raise NotTLSError("a ClientHello of impossible length")
                if len(self._message) + len(content) >= end:
                    return bytes(self._message + content)[4:end]
            if len(content) < length:
                return None
            self._message += content
            self._position = start + length


class _Reader:
    """Reads fields from the front of a byte string."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def rest(self) -> int:
        return len(self._data) - self._position

    def take(self, length: int) -> bytes:
        if length > self.rest:
            raise NotTLSError("a ClientHello field runs past its end")
        self._position += length
        return self._data[self._position - length : self._position]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def vector(self, size: int) -> bytes:
        """Read a field that is preceded by its length in `size` bytes."""
        return self.take(self.number(size))


def _extensions(reader: _Reader) -> tuple[tuple[int, bytes], ...]:
    found = []
    while reader.rest:
        found.append((reader.number(2), reader.vector(2)))
    return tuple(found)


def _numbers(data: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(data[i : i + 2]) for i in range(0, len(data) - 1, 2))


def _list_of_numbers(body: bytes | None, *, length: int) -> tuple[int, ...]:
    return () if body is None else _numbers(_Reader(body).vector(length))


def _vectors(body: bytes | None, size: int) -> tuple[bytes, ...]:
    if body is None:
        return ()
    reader = _Reader(_Reader(body).vector(2))
    found = []
    while reader.rest:
        found.append(reader.vector(size))
    return tuple(found)


def _server_name(body: bytes | None) -> bytes | None:
    if not body:
        return None
    if body[2:3] == b"\0" and len(body) == 5 + int.from_bytes(body[3:5]) == 2 + int.from_bytes(
        body[:2]
    ):
        return body[5:]  # one name, as everybody sends it
    names = _Reader(_Reader(body).vector(2))
    while names.rest:
        kind, name = names.number(1), names.vector(2)
        if kind == 0:
            return name
    return None


def _only_name(body: bytes) -> bytes:
    """The name in an SNI extension. It has to be the only one, short, and without null bytes."""
    name = body[5:]
    if (
        len(body) < 5
        or body[2]
        or len(name) != body[3] << 8 | body[4]
        or len(body) - 2 != body[0] << 8 | body[1]
        or len(name) > 255
        or b"\0" in name
    ):
        raise ServerNameError("a malformed SNI")
    return name


def _key_shares(body: bytes | None) -> tuple[int, ...]:
    if body is None:
        return ()
    shares = _Reader(_Reader(body).vector(2))
    groups = []
    while shares.rest:
        groups.append(shares.number(2))
        shares.vector(2)
    return tuple(groups)


def _identities(body: bytes | None) -> tuple[bytes, ...]:
    if body is None:
        return ()
    offered = _Reader(_Reader(body).vector(2))
    found = []
    while offered.rest:
        found.append(offered.vector(2))
        offered.take(4)  # obfuscated age
    return tuple(found)
