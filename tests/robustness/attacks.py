"""Misbehaving clients: what each one sends, and what nginx logs about it.

`lines` are nginx's own, from the message on and shortened; the tests hold nginx itself to them,
so that no row proves something else than it says.
"""

from __future__ import annotations

import contextlib
import enum
import ssl
from dataclasses import dataclass


class ClientAction(enum.Enum):
    """What a client does other than sending bytes."""

    WAIT = "wait for some bytes"
    FIN = "send a FIN"
    RESET = "close with a RST"


class Transport(enum.Enum):
    """How the bytes are sent."""

    PLAIN = "to the plain port"
    RAW = "to the TLS port, without TLS"
    OVER_TLS = "in a TLS connection"


WAIT, FIN, RESET = ClientAction
PLAIN, RAW, OVER_TLS = Transport


@dataclass(frozen=True, slots=True)
class RawBelowTLS:
    """Bytes sent directly to the socket of a connection that uses TLS."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Attack:
    """A misbehaving client. After its steps it reads until the server closes, unless it resets."""

    name: str
    rule: str
    steps: tuple[bytes | RawBelowTLS | ClientAction, ...] = ()
    lines: tuple[str, ...] = ()
    """Beginnings of the messages in the error log, at level `info`."""
    accesses: tuple[str, ...] = ()
    """Request line and status in the access log."""
    transport: Transport = PLAIN
    gap: float = 0.0
    """Number of seconds between two steps."""
    reset_is_chance: bool = False
    """Whether the close may be a FIN or a RST, as the server may close with bytes unread."""
    library_decides: bool = False
    """Whether OpenSSL releases reject it with different errors and alerts."""


def hello(name: str | None = "front.test", **settings: ssl.TLSVersion) -> bytes:
    """Make a ClientHello."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    for setting, value in settings.items():
        setattr(context, setting, value)
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def record(kind: int, payload: bytes, version: int = 0x0303) -> bytes:
    """Make a TLS record."""
    return bytes((kind,)) + version.to_bytes(2, "big") + len(payload).to_bytes(2, "big") + payload


def singly(data: bytes) -> tuple[bytes, ...]:
    """Split bytes into one step for each byte."""
    return tuple(data[i : i + 1] for i in range(len(data)))


HELLO = hello()
HELLO_12 = hello(maximum_version=ssl.TLSVersion.TLSv1_2)
GARBAGE = bytes(range(256)) * 4

GET = b"GET / HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n\r\n"
KEEPALIVE_GET = b"GET / HTTP/1.1\r\nHost: front.test\r\n\r\n"
UNWANTED = b"POST / HTTP/1.1\r\nHost: front.test\r\nContent-Length: 500\r\n\r\n"
POST = b"POST /up HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n"

CLIENT = ", client: 127.0.0.1, server: "
WAITING = f" while waiting for request{CLIENT}127.0.0.1:"
LINE = f" while reading client request line{CLIENT}front.test"
HEADERS = f" while reading client request headers{CLIENT}front.test"
HANDSHAKING = f" while SSL handshaking{CLIENT}127.0.0.1:"
TIMED_OUT = "client timed out (110)"
CLIENT_CLOSED = "client prematurely closed connection"
NO_METHOD = "client sent invalid method"

REFUSED = "SSL_do_handshake() failed (SSL: "
FAILED = "SSL_do_handshake() failed (SSL: error:"

PLAIN_ATTACKS = (
    Attack("nothing", "who says nothing is waited for only so long", (), (TIMED_OUT + WAITING,)),
    Attack(
        "closes-at-once",
        "a client may leave again",
        (FIN,),
        ("client closed connection" + WAITING,),
    ),
    Attack("resets-at-once", "with a reset as well", (RESET,), ("recv() failed (104)" + WAITING,)),
    Attack(
        "garbage",
        "bytes that are no request get a 400",
        (GARBAGE,),
        (NO_METHOD + LINE,),
        ('"\\x00\\x01\\x02',),
        reset_is_chance=True,
    ),
    Attack(
        "hello-to-plain-port",
        "so does TLS on a plain port",
        (record(22, b"\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 500),),
        (NO_METHOD + LINE,),
        ('"\\x16\\x03\\x03',),
        reset_is_chance=True,
    ),
    Attack(
        "http2",
        "so does the preface of HTTP/2",
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",),
        ("client sent invalid",),
        ('"PRI * HTTP/2.0" 4',),
    ),
    Attack(
        "half-a-line",
        "half a request line is waited for only so long",
        (b"GET /",),
        (TIMED_OUT + LINE,),
        ('"GET /" 408',),
    ),
    Attack(
        "half-a-line-and-leaves",
        "half a request line, and it leaves",
        (b"GET /", FIN),
        (CLIENT_CLOSED + LINE,),
        ('"GET /" 400',),
    ),
    Attack(
        "half-a-head",
        "half a head is waited for only so long",
        (b"GET / HTTP/1.1\r\nHost: front.test\r\nA:",),
        (TIMED_OUT + HEADERS,),
        ('"GET / HTTP/1.1" 408',),
    ),
    Attack(
        "half-a-head-and-leaves",
        "half a head, and it leaves",
        (b"GET / HTTP/1.1\r\nHost: front.test\r\nA:", FIN),
        (CLIENT_CLOSED + HEADERS,),
        ('"GET / HTTP/1.1" 400',),
    ),
    Attack(
        "half-a-head-and-resets",
        "half a head, and a reset",
        (b"GET / HTTP/1.1\r\nHost: front.test\r\nA:", RESET),
        ("recv() failed (104)" + HEADERS,),
        ('"GET / HTTP/1.1" 400',),
        gap=0.02,
    ),
    Attack(
        "slow-head",
        "each byte in time is not the head in time",
        (b"GET / HTTP/1.1\r\nHost: front.test\r\nA: ", *singly(b"a" * 20)),
        (TIMED_OUT + HEADERS,),
        ('"GET / HTTP/1.1" 408',),
        gap=0.02,
        reset_is_chance=True,
    ),
    Attack(
        "endless-line",
        "a request line has its length",
        (b"GET /" + b"a" * 100_000,),
        ("client sent too long URI" + LINE,),
        ('"GET /aaa',),
        reset_is_chance=True,
    ),
    Attack(
        "endless-field",
        "so has a field",
        (b"GET / HTTP/1.1\r\nHost: front.test\r\nA: " + b"a" * 100_000,),
        ('client sent too long header line: "A: aaa',),
        ('"GET / HTTP/1.1" 400',),
        reset_is_chance=True,
    ),
    Attack(
        "endless-fields",
        "and all of them",
        (b"GET / HTTP/1.1\r\nHost: front.test\r\n" + b"A: b\r\n" * 20_000,),
        ('client sent too long header line: "A: b..."',),
        ('"GET / HTTP/1.1" 400',),
        reset_is_chance=True,
    ),
    Attack(
        "single-bytes",
        "however small the pieces are, it is one request",
        singly(GET),
        (),
        ('"GET / HTTP/1.1" 200',),
    ),
    Attack(
        "single-bytes-body",
        "and one body",
        singly(POST + b"Content-Length: 10\r\n\r\n0123456789"),
        (),
        ('"POST /up HTTP/1.1" 200',),
    ),
    Attack(
        "single-bytes-chunked",
        "in chunks too",
        singly(POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n0\r\n\r\n"),
        (),
        ('"POST /up HTTP/1.1" 200',),
    ),
    Attack(
        "half-closed",
        "who has asked may send a FIN and is answered",
        (GET, FIN),
        (),
        ('"GET / HTTP/1.1" 200',),
    ),
    Attack(
        "after-close",
        "what comes behind the last request is not looked at",
        (GET + GET + GARBAGE,),
        (),
        ('"GET / HTTP/1.1" 200',),
        reset_is_chance=True,
    ),
    Attack(
        "after-refusal",
        "nor what comes behind a refused one",
        (b"GET /\x00 HTTP/1.1\r\n\r\n" + GET,),
        ("client sent invalid request" + LINE,),
        ('"GET /\\x00 HTTP/1.1" 400',),
        reset_is_chance=True,
    ),
    Attack(
        "good-then-garbage",
        "a kept connection is no safer",
        (KEEPALIVE_GET + GARBAGE,),
        (f"{NO_METHOD} while reading client pipelined request line{CLIENT}front.test",),
        ('"GET / HTTP/1.1" 200', '"\\x00\\x01'),
        reset_is_chance=True,
    ),
    Attack(
        "good-then-silence",
        "a kept connection is waited for only so long, without a word",
        (KEEPALIVE_GET,),
        (),
        ('"GET / HTTP/1.1" 200',),
    ),
    Attack(
        "good-then-half",
        "the next head has its time too",
        (KEEPALIVE_GET, WAIT, b"GET /x HTTP/1.1\r\n"),
        (TIMED_OUT + HEADERS,),
        ('"GET / HTTP/1.1" 200', '"GET /x HTTP/1.1" 408'),
    ),
    Attack(
        "good-then-leaves",
        "a client may leave between requests",
        (KEEPALIVE_GET, WAIT, FIN),
        ("client 127.0.0.1 closed keepalive connection",),
        ('"GET / HTTP/1.1" 200',),
    ),
    Attack(
        "good-then-resets",
        "with a reset as well",
        (KEEPALIVE_GET, WAIT, RESET),
        ("client 127.0.0.1 closed keepalive connection (104)",),
        ('"GET / HTTP/1.1" 200',),
    ),
    Attack(
        "body-cut-short",
        "a body that ends early goes nowhere",
        (POST + b"Content-Length: 10\r\n\r\n01234", FIN),
        (f"{CLIENT_CLOSED}{CLIENT}front.test",),
        ('"POST /up HTTP/1.1" 400',),
    ),
    Attack(
        "body-reset",
        "nor does one that a reset ends",
        (POST + b"Content-Length: 10\r\n\r\n01234", RESET),
        (f"recv() failed (104){CLIENT}front.test",),
        ('"POST /up HTTP/1.1" 400',),
        gap=0.02,
    ),
    Attack(
        "body-stops",
        "nor does one that stops: 408",
        (POST + b"Content-Length: 10\r\n\r\n01234",),
        (),
        ('"POST /up HTTP/1.1" 408',),
    ),
    Attack(
        "body-too-large",
        "one that is too large is not even read",
        (POST + b"Content-Length: 100000\r\n\r\n" + b"a" * 100_000,),
        ("client intended to send too large body: 100000 bytes",),
        ('"POST /up HTTP/1.1" 413',),
        reset_is_chance=True,
    ),
    Attack(
        "chunks-too-large",
        "chunks neither",
        (POST + b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n" + b"a" * 10_000,),
        ("client intended to send too large chunked body: ",),
        ('"POST /up HTTP/1.1" 413',),
        reset_is_chance=True,
    ),
    Attack(
        "chunks-garbage",
        "what is no chunk gets a 400",
        (POST + b"Transfer-Encoding: chunked\r\n\r\nnope\r\n",),
        ("client sent invalid chunked body",),
        ('"POST /up HTTP/1.1" 400',),
    ),
    Attack(
        "chunks-cut-short",
        "chunks without an end go nowhere",
        (POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n012", FIN),
        (f"{CLIENT_CLOSED}{CLIENT}front.test",),
        ('"POST /up HTTP/1.1" 400',),
    ),
    Attack(
        "body-unwanted",
        "a body that nobody wants is read over",
        (UNWANTED + b"a" * 500 + GET,),
        (),
        ('"POST / HTTP/1.1" 200', '"GET / HTTP/1.1" 200'),
    ),
    Attack(
        "body-unwanted-and-missing",
        "and waited for only so long",
        (UNWANTED,),
        (),
        ('"POST / HTTP/1.1" 200',),
    ),
)

TLS_ATTACKS = (
    Attack(
        "tls-nothing",
        "a handshake that does not begin is waited for only so long",
        (),
        (TIMED_OUT + HANDSHAKING,),
        transport=RAW,
    ),
    Attack(
        "tls-closes-at-once",
        "a client may leave before it",
        (FIN,),
        ("client closed connection" + HANDSHAKING,),
        transport=RAW,
    ),
    Attack(
        "tls-resets-at-once",
        "with a reset as well",
        (RESET,),
        ("recv() failed (104)" + HANDSHAKING,),
        transport=RAW,
    ),
    Attack(
        "half-a-hello",
        "half a ClientHello is waited for only so long",
        (HELLO[: len(HELLO) // 2],),
        (TIMED_OUT + HANDSHAKING,),
        transport=RAW,
        reset_is_chance=True,
    ),
    Attack(
        "half-a-hello-and-leaves",
        "half a ClientHello, and it leaves",
        (HELLO[: len(HELLO) // 2], FIN),
        ("peer closed connection in SSL handshake",),
        transport=RAW,
    ),
    Attack(
        "half-a-hello-and-resets",
        "half a ClientHello, and a reset",
        (HELLO[: len(HELLO) // 2], RESET),
        ("peer closed connection in SSL handshake (104)" + HANDSHAKING,),
        transport=RAW,
        gap=0.02,
    ),
    Attack(
        "slow-hello",
        "each byte in time is not the handshake in time",
        singly(HELLO[:20]),
        (TIMED_OUT + HANDSHAKING,),
        transport=RAW,
        gap=0.02,
        reset_is_chance=True,
    ),
    Attack(
        "hello-and-leaves",
        "a hello, and no more",
        (HELLO, FIN),
        ("peer closed connection in SSL handshake",),
        transport=RAW,
    ),
    Attack(
        "hello-then-silence",
        "a handshake has to end in time",
        (HELLO,),
        (TIMED_OUT + HANDSHAKING,),
        transport=RAW,
    ),
    Attack(
        "hello-12-then-silence",
        "in TLS 1.2 too",
        (HELLO_12,),
        (TIMED_OUT + HANDSHAKING,),
        transport=RAW,
    ),
    Attack(
        "hello-then-garbage",
        "what follows a hello has to be TLS",
        (HELLO, WAIT, GARBAGE),
        (FAILED,),
        transport=RAW,
        reset_is_chance=True,
    ),
    Attack(
        "hello-then-http",
        "and not HTTP",
        (HELLO, WAIT, GET),
        (FAILED,),
        transport=RAW,
        reset_is_chance=True,
    ),
    Attack(
        "hello-then-alert",
        "an alert ends it",
        (HELLO_12, WAIT, record(21, b"\x02\x30")),
        (f"{FAILED}0A000418:",),
        transport=RAW,
        reset_is_chance=True,
    ),
    Attack(
        "hello-twice",
        "one hello is enough",
        (HELLO, WAIT, HELLO),
        (FAILED,),
        transport=RAW,
        reset_is_chance=True,
    ),
    Attack(
        "two-hellos-in-one",
        "one hello is enough, even at once",
        (HELLO + HELLO,),
        (FAILED,),
        transport=RAW,
        reset_is_chance=True,
    ),
    Attack(
        "record-garbage",
        "a record of garbage is no hello",
        (record(22, GARBAGE),),
        (FAILED,),
        transport=RAW,
        reset_is_chance=True,
    ),
    Attack(
        "record-too-long",
        "nor is one longer than records are",
        (b"\x16\x03\x01\xff\xff" + GARBAGE,),
        (FAILED,),
        transport=RAW,
        reset_is_chance=True,
    ),
    Attack(
        "record-empty",
        "nor is an empty one",
        (record(22, b"") + GARBAGE,),
        (FAILED,),
        transport=RAW,
        reset_is_chance=True,
    ),
    Attack(
        "record-of-data",
        "data comes after the handshake",
        (record(23, GARBAGE),),
        (NO_METHOD,),
        ('"\\x17\\x03\\x03',),
        transport=RAW,
        reset_is_chance=True,
    ),
    Attack(
        "hello-too-long",
        "a hello of 16 MB is not waited for",
        (record(22, b"\x01\xff\xff\xff" + GARBAGE),),
        (FAILED,),
        transport=RAW,
        reset_is_chance=True,
    ),
    Attack(
        "sslv2",
        "a hello of SSLv2 is one of long ago",
        (b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + GARBAGE,),
        (REFUSED,),
        transport=RAW,
        reset_is_chance=True,
        library_decides=True,
    ),
    Attack(
        "high-byte",
        "what begins like SSLv2 is taken for TLS",
        (b"\x80" * 20,),
        (FAILED,),
        transport=RAW,
        reset_is_chance=True,
    ),
    Attack(
        "tls-garbage",
        "what begins like neither is taken for HTTP",
        (GARBAGE,),
        (NO_METHOD,),
        ('"\\x00\\x01\\x02',),
        transport=RAW,
        reset_is_chance=True,
    ),
    Attack(
        "http-to-tls-port",
        "HTTP on the TLS port has a page of its own",
        (GET,),
        ("client sent plain HTTP request to HTTPS port",),
        ('"GET / HTTP/1.1" 400',),
        transport=RAW,
    ),
    Attack(
        "single-byte-hello",
        "a hello may come byte by byte, and fail as a whole",
        (*singly(HELLO), FIN),
        ("peer closed connection in SSL handshake",),
        transport=RAW,
    ),
    Attack(
        "ssl3",
        "old versions are refused",
        (record(22, HELLO_12[5:9] + b"\x03\x00" + HELLO_12[11:], 0x0300),),
        (REFUSED,),
        transport=RAW,
        reset_is_chance=True,
        library_decides=True,
    ),
    Attack(
        "inside-nothing",
        "after the handshake the same time is running",
        (),
        (TIMED_OUT + WAITING,),
        transport=OVER_TLS,
    ),
    Attack(
        "inside-leaves",
        "a client may leave after the handshake",
        (FIN,),
        ("client closed connection" + WAITING,),
        transport=OVER_TLS,
    ),
    Attack(
        "inside-resets",
        "with a reset as well",
        (RESET,),
        ("client closed connection" + WAITING,),
        transport=OVER_TLS,
    ),
    Attack(
        "inside-good-then-resets",
        "or between two requests",
        (KEEPALIVE_GET, WAIT, RESET),
        ("client 127.0.0.1 closed keepalive connection (104)",),
        ('"GET / HTTP/1.1" 200',),
        transport=OVER_TLS,
    ),
    Attack(
        "inside-garbage",
        "garbage in TLS is garbage",
        (GARBAGE,),
        (NO_METHOD,),
        ('"\\x00\\x01\\x02',),
        transport=OVER_TLS,
        reset_is_chance=True,
    ),
    Attack(
        "inside-single-bytes",
        "a record a byte is a request all the same",
        singly(GET),
        (),
        ('"GET / HTTP/1.1" 200',),
        transport=OVER_TLS,
    ),
    Attack(
        "under-garbage",
        "garbage below TLS ends it",
        (RawBelowTLS(GARBAGE),),
        ("SSL_read() failed (SSL: error:",),
        transport=OVER_TLS,
        reset_is_chance=True,
    ),
    Attack(
        "under-http",
        "so does HTTP below TLS",
        (RawBelowTLS(GET),),
        ("SSL_read() failed (SSL: error:",),
        transport=OVER_TLS,
        reset_is_chance=True,
    ),
    Attack(
        "under-forged-record",
        "so does a record that nobody has signed",
        (RawBelowTLS(record(23, GARBAGE)),),
        ("SSL_read() failed (SSL: error:0A000119:",),
        transport=OVER_TLS,
        reset_is_chance=True,
    ),
    Attack(
        "inside-half-and-leaves",
        "half a head in TLS, and it leaves",
        (b"GET / HTTP/1.1\r\n", FIN),
        (CLIENT_CLOSED + HEADERS,),
        ('"GET / HTTP/1.1" 400',),
        transport=OVER_TLS,
    ),
    Attack(
        "inside-body-stops",
        "a body in TLS that stops: 408",
        (POST + b"Content-Length: 10\r\n\r\n01234",),
        (),
        ('"POST /up HTTP/1.1" 408',),
        transport=OVER_TLS,
    ),
)

ATTACKS = PLAIN_ATTACKS + TLS_ATTACKS
