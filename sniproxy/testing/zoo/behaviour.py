"""What an upstream does, as data: how it listens, what it says to a hello, what to a request.

A connection goes through at most three stages, and a description has one field for each:
accept (`listens`), the first bytes (`refuses`), the requests (`answers`). `tls` stands
between the second and the third.
"""

from __future__ import annotations

import enum
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from sniproxy.testing.framing import END_OF_HEAD
from sniproxy.testing.zoo.script import Step

_HOST = re.compile(rb"^host: *(\S*)", re.IGNORECASE | re.MULTILINE)


class Listens(enum.Enum):
    ACCEPTING = "accepts connections"
    ABSENT = "nobody listens on the port, which nobody else can have meanwhile"
    FULL = "the queue of the port is full: a connection is neither made nor refused"


class Ending(enum.Enum):
    """How the upstream leaves. Nothing unread stays behind, so that its words arrive."""

    WAIT = "the next request is read; the connection ends when the proxy ends it"
    CLOSE = "close_notify (under TLS), FIN"
    CUT = "FIN without close_notify"
    RESET = "RST"
    SILENCE = "whatever comes is read, nothing is said"


@dataclass(frozen=True, slots=True)
class Question:
    """A request as an upstream may look at it when it makes its answer."""

    server_name: str | None
    request: bytes

    @property
    def line(self) -> str:
        return self.request.partition(b"\r\n")[0].decode("latin-1")

    @property
    def method(self) -> str:
        return self.line.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.line.split(" ")[1]

    @property
    def host(self) -> str:
        found = _HOST.search(self.request.partition(END_OF_HEAD)[0])
        return found[1].decode("latin-1") if found else ""

    @property
    def body(self) -> bytes:
        return self.request.partition(END_OF_HEAD)[2]


Reply = Callable[[Question], bytes]


@dataclass(frozen=True, slots=True)
class Move:
    """Bytes, and what follows them."""

    send: bytes | Reply = b""
    then: Ending = Ending.CLOSE
    pace: float = 0.0
    """Seconds between two bytes; 0 sends them all at once."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is done instead of a handshake (or, without TLS, instead of reading a request)."""

    move: Move
    unless: tuple[str, ...] = ()
    """The names that are welcome: a hello with one of them as SNI is not refused."""
    alpn: tuple[bytes, ...] = ()
    """The protocols that are welcome, likewise."""
    at_once: bool = False
    """Refuse before a byte was read; else after the first bytes, which are the hello."""


@dataclass(frozen=True, slots=True)
class TLS:
    """The TLS of an upstream; the certificates are those of `wardrobe.py`, by name."""

    certificate: str = "good"
    client_authority: str | None = None
    """Ask for a client certificate, and insist on one from this authority."""
    insists: bool = True
    """False: do without one, if there is none."""
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ciphers: str = ""
    """OpenSSL's cipher list for TLS 1.2; "" leaves the library's."""
    group: str = ""
    """The one group for key exchange, as OpenSSL calls it; "" leaves the library's."""
    dh: str = ""
    """The file of parameters for DHE, in the wardrobe."""
    alpn: tuple[str, ...] = ()
    otherwise: str = ""
    """The certificate for hellos without the SNI GOOD_NAME, if that is another one."""


def echo(question: Question) -> bytes:
    """A small answer that tells which name and which request arrived."""
    name = "no SNI" if question.server_name is None else f"SNI {question.server_name}"
    lines = [name, question.line]
    if question.body:
        lines.append(f"a body of {len(question.body)} bytes")
    return answer("\n".join(lines) + "\n", with_body=question.method != "HEAD")


def answer(body: str, *fields: str, status: str = "200 OK", with_body: bool = True) -> bytes:
    """An HTTP/1.1 response of known length."""
    head = [
        f"HTTP/1.1 {status}",
        "Server: zoo",
        "Content-Type: text/plain",
        f"Content-Length: {len(body)}",
        *fields,
    ]
    return ("\r\n".join(head) + "\r\n\r\n" + (body if with_body else "")).encode("latin-1")


def alert(number: int, version: int = 0x0303) -> bytes:
    """A fatal TLS alert, as it stands on the wire before any encryption."""
    return bytes((21, *version.to_bytes(2, "big"), 0, 2, 2, number))


@dataclass(frozen=True, slots=True)
class Upstream:
    """One animal: what it does, and what nginx logs when it meets it."""

    name: str
    does: str
    logged: str = ""
    """nginx's line up to `, client:` (of the stage that goes wrong); "" if all is well."""
    when: str = ""
    """The directives beside `proxy_pass` under which it logs that; files are the wardrobe's."""
    gives: int | None = None
    """The status that the proxy's client gets then; None is 502 for what is logged, else 200."""
    listens: Listens = Listens.ACCEPTING
    refuses: Refusal | None = None
    tls: TLS | None = TLS()
    answers: Move = Move(echo, Ending.WAIT)
    plays: tuple[Step, ...] = ()
    """What it does step by step with its one request, before it leaves as `answers` says."""
    most: int | None = None
    """The requests of one connection that are answered; at the next one it is closed."""

    @property
    def status(self) -> int:
        """What `gives` means."""
        return self.gives if self.gives is not None else 502 if self.logged else 200
