"""Raw bytes that peers say: hellos good and bad, records, other protocols."""

from __future__ import annotations


def sized(data: bytes, length: int) -> bytes:
    return len(data).to_bytes(length, "big") + data


def record(kind: int, data: bytes, version: int = 0x303) -> bytes:
    return bytes([kind]) + version.to_bytes(2, "big") + sized(data, 2)


def handshake(kind: int, data: bytes, version: int = 0x303) -> bytes:
    return record(22, bytes([kind]) + sized(data, 3), version)


X25519_SHARE = b"\x00\x1d" + sized(b"\x09" + bytes(31), 2)
EXTENSIONS: dict[int, bytes] = {
    0: sized(b"\x00" + sized(b"w.test", 2), 2),
    10: sized(bytes.fromhex("001d0017"), 2),
    11: b"\x01\x00",
    13: sized(bytes.fromhex("04030804080505030401"), 2),
    16: sized(sized(b"http/1.1", 1), 2),
    23: b"",
    43: b"\x02\x03\x04",
    51: sized(X25519_SHARE, 2),
}
"""server_name, groups, point formats, signature algorithms, ALPN, extended master secret,
versions, key shares."""


def hello(
    changes: dict[int, bytes | None] | None = None,
    *,
    version: int = 0x303,
    random: bytes = bytes(range(32)),
    session: bytes = b"",
    suites: bytes = bytes.fromhex("130113021303c02bc02fc02cc030"),
    compression: bytes = b"\x00",
    more: bytes = b"",
    rest: bytes = b"",
) -> bytes:
    """A ClientHello record; `changes` replaces or (None) takes away extensions."""
    extensions = {**EXTENSIONS, **(changes or {})}
    body = b"".join(
        number.to_bytes(2, "big") + sized(data, 2)
        for number, data in extensions.items()
        if data is not None
    )
    message = version.to_bytes(2, "big") + random + sized(session, 1) + sized(suites, 2)
    message += sized(compression, 1) + sized(body + more, 2) + rest
    return handshake(1, message, 0x301)


TLS12_HELLO: dict[int, bytes | None] = {43: None, 51: None}


ALERTS = (*range(130), 255)
CCS = record(20, b"\x01")
WARNING = record(21, b"\x01\x5a")
HTTP = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n"
RAW = {
    "plain HTTP": HTTP,
    "an HTTP request": b"GET / HTTP/1.1\r\nHost: w.test\r\n\r\n",
    "a CONNECT request": b"CONNECT w.test:443 HTTP/1.1\r\n\r\n",
    "garbage": b"\xff" * 64,
    "zeros": bytes(64),
    "SMTP": b"220 mail ESMTP\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a hello of SSL 2": b"\x80\x2e\x01\x00\x02" + bytes(43),
    "a record too long": b"\x16\x03\x03\xff\xff" + b"x" * 1000,
    "a record a little too long": b"\x16\x03\x03\x48\x01" + b"x" * 1000,
    "an empty record": b"\x16\x03\x03\x00\x00" * 40,
    "a record of SSL 3": b"\x16\x03\x00\x00\x04\x02\x00\x00\x00",
    "a record of version 2.3": b"\x16\x02\x03\x00\x04\x02\x00\x00\x00",
    "a hello of the wrong kind": handshake(1, b"") + handshake(1, b""),
    "an empty server hello": handshake(2, b""),
    "a finished": handshake(20, bytes(12)),
    "application data": record(23, b"data"),
    "a change of ciphers": CCS,
    "changes of ciphers": CCS * 40,
    "a bad change of ciphers": record(20, b"\x02"),
    "an unknown kind of record": record(99, b"data"),
    "half an alert": record(21, b"\x02"),
    "two alerts": record(21, b"\x02\x28\x02\x28"),
    "an alert of a third level": record(21, b"\x03\x28"),
    "warnings": WARNING * 10,
    "a message too long": record(22, b"\x01\xff\xff\xff" + bytes(100)),
    "a server hello too long": record(22, b"\x02\xff\xff\xff" + bytes(100)),
    "garbage after the first byte": b"\x16garbage garbage",
}

PSK = b"\x00\x07\x00\x01x\x00\x00\x00\x00\x00\x21\x20" + bytes(32)
HELLOS = {
    "no extensions but SNI": hello({n: None for n in EXTENSIONS if n}),
    "TLS 1.2": hello(TLS12_HELLO),
    "TLS 1.1": hello(TLS12_HELLO, version=0x302),
    "TLS 1.0": hello(TLS12_HELLO, version=0x301),
    "SSL 3": hello(TLS12_HELLO, version=0x300),
    "version 2.0": hello(TLS12_HELLO, version=0x200),
    "version 9.9": hello(TLS12_HELLO, version=0x909),
    "a fallback": hello(TLS12_HELLO, suites=bytes.fromhex("5600c02bc02f")),
    "a fallback to 1.1": hello(TLS12_HELLO, version=0x302, suites=bytes.fromhex("5600c009c013")),
    "scsv of renegotiation": hello(TLS12_HELLO, suites=bytes.fromhex("00ffc02bc02f")),
    "no suites": hello(suites=b""),
    "no suites (1.2)": hello(TLS12_HELLO, suites=b""),
    "unknown suites": hello(suites=bytes.fromhex("0a0a1a1a")),
    "unknown suites (1.2)": hello(TLS12_HELLO, suites=bytes.fromhex("0a0a1a1a")),
    "old suites alone": hello(suites=bytes.fromhex("c02bc02f")),
    "new suites alone (1.2)": hello(TLS12_HELLO, suites=bytes.fromhex("13011302")),
    "half a suite": hello(suites=bytes.fromhex("1301c0")),
    "no compression": hello(compression=b""),
    "no null compression (1.2)": hello(TLS12_HELLO, compression=b"\x01"),
    "two compressions": hello(compression=b"\x01\x00"),
    "a session id too long": hello(session=bytes(33)),
    "a session id too long (1.2)": hello(TLS12_HELLO, session=bytes(33)),
    "bytes left over": hello(rest=b"x"),
    "bytes left over (1.2)": hello(TLS12_HELLO, rest=b"x"),
    "half an extension": hello(more=b"\x00"),
    "an extension too long": hello(more=b"\x12\x34\xff\xff"),
    "an extension twice": hello(more=b"\x00\x10\x00\x00"),
    "an extension twice (1.2)": hello(TLS12_HELLO, more=b"\x00\x17\x00\x00"),
    "an early end": handshake(1, b"\x03\x03x", 0x301),
    "only SSL 3 in its versions": hello({43: b"\x02\x03\x00"}),
    "only 1.1 in its versions": hello({43: b"\x02\x03\x02"}),
    "only a draft in its versions": hello({43: b"\x02\x7f\x1c"}),
    "no versions in its versions": hello({43: b"\x00"}),
    "half a version": hello({43: b"\x01\x03"}),
    "an old legacy version": hello(version=0x301),
    "a bad legacy version": hello(version=0x304),
    "a share without groups": hello({10: None}),
    "groups without a share": hello({51: None}),
    "no signature algorithms": hello({13: None}),
    "empty signature algorithms": hello({13: b"\x00\x00"}),
    "unknown signature algorithms": hello({13: sized(b"\xfe\xfe", 2)}),
    "unfit signature algorithms": hello({13: sized(b"\x04\x01", 2)}),
    "unknown signature algorithms (1.2)": hello({**TLS12_HELLO, 13: sized(b"\xfe\xfe", 2)}),
    "unfit signature algorithms (1.2)": hello({**TLS12_HELLO, 13: sized(b"\x04\x01", 2)}),
    "unknown groups": hello({10: sized(b"\x12\x34", 2), 51: b"\x00\x00"}),
    "unknown groups (1.2)": hello({**TLS12_HELLO, 10: sized(b"\x12\x34", 2)}),
    "a group too weak": hello({10: sized(b"\x00\x13", 2), 51: b"\x00\x00"}),
    "empty groups": hello({10: b"\x00\x00"}),
    "half a group": hello({10: b"\x00\x01\x00"}),
    "a share of a group not offered": hello({10: sized(b"\x00\x17", 2)}),
    "an empty share": hello({51: sized(b"\x00\x1d\x00\x00", 2)}),
    "a share too short": hello({51: sized(b"\x00\x1d\x00\x01\x09", 2)}),
    "a share of zeros": hello({51: sized(b"\x00\x1d" + sized(bytes(32), 2), 2)}),
    "a share of no point": hello({51: sized(b"\x00\x17" + sized(b"\x04" + bytes(64), 2), 2)}),
    "half a share": hello({51: sized(b"\x00\x1d\x00", 2)}),
    "shares twice": hello({51: sized(X25519_SHARE * 2, 2)}),
    "a share for a group unknown": hello(
        {10: sized(b"\x12\x34\x00\x1d", 2), 51: sized(b"\x12\x34\x00\x01x", 2)}
    ),
    "an empty name": hello({0: sized(b"\x00" + sized(b"", 2), 2)}),
    "an empty list of names": hello({0: b"\x00\x00"}),
    "a name with a NUL": hello({0: sized(b"\x00" + sized(b"w\x00t", 2), 2)}),
    "a name of another kind": hello({0: sized(b"\x01" + sized(b"w.test", 2), 2)}),
    "a name too long": hello({0: sized(b"\x00" + sized(b"w" * 256, 2), 2)}),
    "half a name": hello({0: b"\x00\x09\x00\x00\x06w"}),
    "an empty name (1.2)": hello({**TLS12_HELLO, 0: sized(b"\x00" + sized(b"", 2), 2)}),
    "an empty ALPN": hello({16: b"\x00\x00"}),
    "an empty ALPN name": hello({16: b"\x00\x01\x00"}),
    "half an ALPN": hello({16: b"\x00\x09\x08http"}),
    "bad point formats (1.2)": hello({**TLS12_HELLO, 11: b"\x01\x02"}),
    "empty point formats (1.2)": hello({**TLS12_HELLO, 11: b"\x00"}),
    "a bad renegotiation": hello({**TLS12_HELLO, 0xFF01: b"\x05hello"}),
    "half a renegotiation": hello({**TLS12_HELLO, 0xFF01: b""}),
    "a ticket of garbage (1.2)": hello({**TLS12_HELLO, 35: bytes(100)}),
    "a psk without modes": hello({41: PSK}),
    "a psk of garbage": hello({45: b"\x01\x01", 41: PSK}),
    "half a psk": hello({45: b"\x01\x01", 41: b"\x00\x01\x00"}),
    "a psk that is not last": hello({45: b"\x01\x01", 41: b"\x00\x01\x00", 99: b""}),
    "empty psk modes": hello({45: b"\x00"}),
    "a status request of garbage": hello({5: b"\x01"}),
    "a cookie": hello({44: b"\x00\x01x"}),
    "a server's extension": hello({48: b""}),
    "a max fragment length of 9": hello({1: b"\x09"}),
    "early data": hello({42: b""}),
    "a post handshake auth of garbage": hello({49: b"x"}),
}
