"""Clients whose ClientHello or records are malformed, down to single fields.

Handshakes that were completed are attacked in `test_tls_floods.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.robustness.attacks import (
    FAILED,
    FIN,
    HANDSHAKING,
    NO_METHOD,
    RAW,
    REFUSED,
    TIMED_OUT,
    WAIT,
    Attack,
    ClientAction,
    record,
)

CLOSED = "peer closed connection in SSL handshake"

SERVER_NAME, GROUPS, ALGORITHMS, ALPN, PADDING = 0, 10, 13, 16, 21
TICKET, VERSIONS, KEY_SHARES = 35, 43, 51
TLS12_SUITE, TLS13_SUITE, FALLBACK = 0xC02B, 0x1301, 0x5600
X25519, P256, P384 = 29, 23, 24


def vector(data: bytes, size: int = 2) -> bytes:
    """Data after its length in `size` bytes."""
    return len(data).to_bytes(size) + data


def numbers(*values: int) -> bytes:
    return b"".join(value.to_bytes(2) for value in values)


def extension(kind: int, body: bytes) -> bytes:
    return kind.to_bytes(2) + vector(body)


def server_name(name: bytes, kind: int = 0) -> bytes:
    return extension(SERVER_NAME, vector(bytes([kind]) + vector(name)))


def key_share(*shares: tuple[int, bytes]) -> bytes:
    return extension(
        KEY_SHARES, vector(b"".join(numbers(group) + vector(key) for group, key in shares))
    )


TLS13 = extension(VERSIONS, vector(numbers(0x0304), 1))
COMMON = (
    extension(GROUPS, vector(numbers(X25519, P256, P384)))
    + extension(ALGORITHMS, vector(numbers(0x0403, 0x0804, 0x0401)))
    + TLS13
)
X25519_SHARE = key_share((X25519, bytes(range(9, 41))))
NAME = server_name(b"front.test")


def message(
    extensions: bytes = NAME + COMMON + X25519_SHARE,
    *,
    version: int = 0x0303,
    session: bytes = bytes(32),
    suites: Sequence[int] = (TLS13_SUITE, TLS12_SUITE),
    compression: bytes = b"\0",
    rest: bytes = b"",
) -> bytes:
    """A ClientHello, without a record around it."""
    body = numbers(version) + bytes(range(32)) + vector(session, 1) + vector(numbers(*suites))
    body += vector(compression, 1) + vector(extensions) + rest
    return b"\x01" + vector(body, 3)


OLD = NAME + COMMON.replace(TLS13, b"")
"""Extensions of a client that supports TLS 1.2 at most."""


def fragments(data: bytes, size: int) -> bytes:
    """A handshake message in records of `size` bytes."""
    return b"".join(record(22, data[at : at + size]) for at in range(0, len(data), size))


def padded(size: int) -> bytes:
    """A ClientHello with `size` bytes of padding."""
    return message(NAME + COMMON + X25519_SHARE + extension(PADDING, bytes(size)))


def refused(name: str, rule: str, data: bytes, *, library_decides: bool = False) -> Attack:
    """A hello that fails a handshake at once."""
    return Attack(
        name,
        rule,
        (data,),
        (REFUSED,),
        transport=RAW,
        reset_is_chance=True,
        library_decides=library_decides,
    )


def no_hello(name: str, rule: str, data: bytes) -> Attack:
    """What does not begin with a handshake record is taken for HTTP."""
    line = '"' + "".join(f"\\x{byte:02X}" for byte in data[:3])
    return Attack(name, rule, (data,), (NO_METHOD,), (line,), transport=RAW, reset_is_chance=True)


def left(name: str, rule: str, *steps: bytes | ClientAction) -> Attack:
    """A hello that is accepted, after which the client leaves."""
    return Attack(name, rule, (*steps, FIN), (CLOSED,), transport=RAW)


HELLO = message()
WARNING = record(21, b"\x01\x5a")
CCS = record(20, b"\x01")

NAMES = (
    ("sni-empty", "An empty SNI extension is refused.", extension(SERVER_NAME, b"")),
    ("sni-no-names", "So is one without names.", extension(SERVER_NAME, b"\0\0")),
    ("sni-cut", "So is a list that is cut short.", extension(SERVER_NAME, b"\0\x0d\0\0\x0afront")),
    ("sni-longer", "So is a list shorter than its body.", extension(SERVER_NAME, NAME[4:] + b"x")),
    ("sni-kind", "So is a name of another type.", server_name(b"front.test", kind=1)),
    ("sni-two", "So are two names.", extension(SERVER_NAME, vector(NAME[6:] + NAME[6:]))),
    (
        "sni-two-kinds",
        "So are two of two types.",
        extension(SERVER_NAME, vector(NAME[6:] + b"\1\0\1x")),
    ),
    ("sni-nul", "So is a name with a null byte.", server_name(b"front\0test")),
    ("sni-256", "So is a name of 256 bytes.", server_name(b"a" * 256)),
)
"""What follows is the first extension of a hello."""

MALFORMED_HELLOS = (
    *(
        refused(name, rule, record(22, message(b + COMMON + X25519_SHARE)))
        for name, rule, b in NAMES
    ),
    refused("sni-twice", "An extension may be there once.", record(22, message(NAME + NAME))),
    left(
        "sni-no-name",
        "It may be empty.",
        record(22, message(server_name(b"") + COMMON + X25519_SHARE)),
    ),
    left(
        "sni-255",
        "A name may have 255 bytes.",
        record(22, message(server_name(b"a" * 255) + COMMON + X25519_SHARE)),
    ),
    Attack(
        "hello-cut",
        "What is missing of a hello is waited for.",
        (record(22, message()[:-3] + b"\0"),),
        (TIMED_OUT + HANDSHAKING,),
        transport=RAW,
        reset_is_chance=True,
    ),
    refused("hello-rest", "Nothing follows the extensions.", record(22, message(rest=b"x"))),
    refused("hello-extension-long", "An extension ends in time.", record(22, message(NAME[:-1]))),
    refused(
        "hello-session-33", "A session id has 32 bytes.", record(22, message(session=b"a" * 33))
    ),
    refused("hello-no-suites", "There have to be cipher suites.", record(22, message(suites=()))),
    refused("hello-no-compression", "Null is offered.", record(22, message(compression=b""))),
    left(
        "hello-deflate-too-12",
        "Compression may be offered in TLS 1.2, and is not used.",
        record(22, message(OLD, compression=b"\1\0")),
    ),
    refused("hello-deflate-too", "It is in 1.3.", record(22, message(compression=b"\1\0"))),
    refused("hello-tls10", "Old versions are refused.", record(22, message(OLD, version=0x0301))),
    refused(
        "hello-ssl3",
        "So are older ones.",
        record(22, message(OLD, version=0x0300)),
        library_decides=True,
    ),
    left("hello-tls14", "Newer ones are not.", record(22, message(OLD, version=0x0305))),
    refused(
        "hello-fallback",
        "A fallback to TLS 1.2 is refused.",
        record(22, message(OLD, suites=(TLS12_SUITE, FALLBACK))),
    ),
    left(
        "hello-fallback-13",
        "There is none from TLS 1.3.",
        record(22, message(suites=(TLS13_SUITE, FALLBACK))),
    ),
    refused(
        "hello-alpn-empty",
        "A protocol has a name.",
        record(22, message(COMMON + X25519_SHARE + extension(ALPN, vector(vector(b"", 1))))),
    ),
    refused(
        "hello-key-share-short",
        "A key has its length.",
        record(22, message(COMMON + key_share((X25519, b"short")))),
        library_decides=True,
    ),
    refused("hello-no-algorithms", "Algorithms are needed.", record(22, message(TLS13))),
)

RECORDS = (
    left("hello-in-bytes", "A hello may have one byte a record.", fragments(HELLO, 1)),
    left("hello-in-pieces", "It may have many records.", fragments(padded(40_000), 900)),
    left("hello-16k", "It may fill records.", fragments(padded(16_000), 16_384)),
    left("hello-100k", "It may be long.", fragments(padded(60_000), 16_384)),
    refused(
        "hello-131k",
        "It is not as long as a client wants.",
        record(22, b"\x01\x02\x02\x00" + bytes(200)),
    ),
    Attack(
        "hello-in-bytes-stops",
        "A hello in small records has to end in time.",
        (fragments(padded(10_000)[:5_000], 1),),
        (TIMED_OUT + HANDSHAKING,),
        transport=RAW,
        reset_is_chance=True,
    ),
    Attack(
        "record-empty-inside",
        "An empty record between two of a hello is read over.",
        (record(22, HELLO[:50]) + record(22, b"") + record(22, HELLO[50:]),),
        (TIMED_OUT + HANDSHAKING,),
        transport=RAW,
        reset_is_chance=True,
    ),
    refused(
        "record-alert-inside",
        "There is no other one either.",
        record(22, HELLO[:50]) + WARNING + record(22, HELLO[50:]),
    ),
    no_hello("record-alert-empty", "An alert has two bytes.", record(21, b"") + record(22, HELLO)),
    no_hello("record-alert-long", "It has no more.", record(21, b"\1\0\0") + record(22, HELLO)),
    no_hello("warnings-first", "Warnings are counted.", WARNING * 10 + record(22, HELLO)),
    no_hello("ccs-first", "A change of ciphers comes later.", CCS + record(22, HELLO)),
    Attack(
        "warnings-12",
        "Warnings are counted during a handshake.",
        (record(22, message(OLD)), WAIT, WARNING * 10),
        (FAILED,),
        transport=RAW,
        reset_is_chance=True,
    ),
    Attack(
        "ccs-flood",
        "Changes of ciphers are counted.",
        (record(22, HELLO), WAIT, CCS * 50),
        (FAILED,),
        transport=RAW,
        reset_is_chance=True,
    ),
    Attack(
        "fatal-alert",
        "A fatal alert ends a handshake.",
        (record(22, HELLO), WAIT, record(21, b"\x02\x28")),
        (FAILED,),
        transport=RAW,
        reset_is_chance=True,
    ),
)


def retried(
    name: str, rule: str, second: bytes, line: str = FAILED, *, library_decides: bool = False
) -> Attack:
    """A hello that is answered by a HelloRetryRequest, and the next one."""
    return Attack(
        name,
        rule,
        (record(22, message(NAME + COMMON + key_share())), WAIT, record(22, second)),
        (line,),
        transport=RAW,
        reset_is_chance=True,
        library_decides=library_decides,
    )


RETRIED = TIMED_OUT + HANDSHAKING
"""The second hello is accepted, and nothing follows."""

RETRIES = (
    retried("retry", "A hello may be retried.", message(), RETRIED),
    retried("retry-twice", "It may be once.", message(NAME + COMMON + key_share())),
    retried(
        "retry-other-name",
        "Its name may change.",
        message(server_name(b"other.test") + COMMON + X25519_SHARE),
        RETRIED,
    ),
    retried(
        "retry-refused-name",
        "The server of the first name is the one that counts.",
        message(server_name(b"refused.test") + COMMON + X25519_SHARE),
        RETRIED,
    ),
    retried("retry-no-name", "It may be left out.", message(COMMON + X25519_SHARE), RETRIED),
    retried(
        "retry-bad-name",
        # nginx's callback, which OpenSSL's Python binding lacks, finds it before OpenSSL does.
        "It may not be malformed.",
        message(server_name(b"front\0test") + COMMON + X25519_SHARE),
        REFUSED,
        library_decides=True,
    ),
    retried("retry-suites", "The cipher suites may not change.", message(suites=(TLS12_SUITE,))),
    retried("retry-12", "Nor may the version.", message(OLD)),
)

HELLO_ATTACKS = MALFORMED_HELLOS + RECORDS + RETRIES
