"""What an upstream does, as data: how it listens, what it says to a hello, what to a request.

A connection goes through at most three stages, and a description has one field for each:
accept (`listens`), the first bytes (`refuses`), the requests (`answers`). `tls` stands
between the second and the third.
"""

from __future__ import annotations

import enum
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from sniproxy.testing.framing import END_OF_HEAD
from sniproxy.testing.zoo.script import Step


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
    def body(self) -> bytes:
        return self.request.partition(END_OF_HEAD)[2]


Reply = Callable[[Question], bytes]


@dataclass(frozen=True, slots=True)
class Move:
    """Bytes, and what follows them."""

    send: bytes | Reply = b""
    then: Ending = Ending.CLOSE


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is done instead of a handshake (or, without TLS, instead of reading a request)."""

    move: Move
    unless: tuple[str, ...] = ()
    """The names that are welcome: a hello with one of them as SNI is not refused."""
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


def alert(number: int) -> bytes:
    """A fatal TLS alert, as it stands on the wire before any encryption."""
    return bytes((21, 3, 3, 0, 2, 2, number))


@dataclass(frozen=True, slots=True)
class Upstream:
    """One animal: what it does, and what nginx logs when it meets it."""

    name: str
    does: str
    logged: str = ""
    """nginx's line up to `, client:` (of the stage that goes wrong); "" if all is well."""
    listens: Listens = Listens.ACCEPTING
    refuses: Refusal | None = None
    tls: TLS | None = TLS()
    answers: Move = Move(echo, Ending.WAIT)
    plays: tuple[Step, ...] = ()
    """What it does step by step with its one request, before it leaves as `answers` says."""
    most: int | None = None
    """The requests of one connection that are answered; at the next one it is closed."""
