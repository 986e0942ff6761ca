"""The behavior of an upstream as data.

A connection has up to four stages, with one field of `UpstreamSpec` for each: accepting it
(`listen`), a fault in place of the handshake (`handshake_fault`), the TLS handshake (`tls`), and
the requests (`response` or `script`).
"""

from __future__ import annotations

import enum
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus

import h11

from sniproxy.testing.http_framing import END_OF_HEAD
from sniproxy.testing.upstreams.certificates import GOOD_NAME
from sniproxy.testing.upstreams.script import Step

_HOST = re.compile(rb"^host: *(\S*)", re.IGNORECASE | re.MULTILINE)


class ListenMode(enum.Enum):
    """What happens to connections to the port of an upstream."""

    ACCEPTING = "connections are accepted"
    ABSENT = "connections are refused; the port is bound, but not listened on"
    FULL = "the accept queue is full: connecting neither succeeds nor fails"


class AfterSend(enum.Enum):
    """What the upstream does after it has sent the bytes of an action.

    Before a FIN is followed by `close()`, everything that arrives is read: unread data would turn
    the FIN into a RST, which can discard what was sent before it.
    """

    WAIT = "read the next request; the proxy closes the connection"
    CLOSE = "send close_notify (over TLS), then FIN"
    CUT = "send FIN without close_notify"
    RESET = "send RST"
    SILENCE = "keep reading, send nothing"


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request that an upstream has received, for functions that make the response."""

    server_name: str | None
    request: bytes

    @property
    def line(self) -> str:
        """The request line."""
        return self.request.partition(b"\r\n")[0].decode("latin-1")

    @property
    def method(self) -> str:
        return self.line.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.line.split(" ")[1]

    @property
    def host(self) -> str:
        """The value of the Host header; "" without one."""
        found = _HOST.search(self.request.partition(END_OF_HEAD)[0])
        return found[1].decode("latin-1") if found else ""

    @property
    def body(self) -> bytes:
        return self.request.partition(END_OF_HEAD)[2]


@dataclass(frozen=True, slots=True)
class Reply:
    """A correct response, which h11 writes. Raw bytes in its place may be anything."""

    body: bytes = b""
    status: int = 200
    reason: str = ""
    """The reason phrase; "" is the usual one."""
    content_type: str = "text/plain"
    fields: tuple[tuple[str, str], ...] = ()
    """Further header fields; they replace those that are usually sent."""

    @property
    def may_have_body(self) -> bool:
        return self.status not in (204, 304)

    def head(self) -> h11.Response:
        """Raises ValueError if it is not valid."""
        fields = {"Server": "sniproxy-testing"}
        if self.may_have_body:
            fields |= {"Content-Type": self.content_type, "Content-Length": str(len(self.body))}
        given = {name.lower() for name, _ in self.fields}
        usual = [(name, value) for name, value in fields.items() if name.lower() not in given]
        try:
            reason = self.reason or HTTPStatus(self.status).phrase
        except ValueError:
            reason = ""
        try:
            return h11.Response(
                status_code=self.status,
                reason=reason.encode("latin-1"),
                headers=[(n.encode(), v.encode("latin-1")) for n, v in (*usual, *self.fields)],
            )
        except h11.LocalProtocolError as error:
            raise ValueError(str(error)) from None


ResponseFactory = Callable[[ReceivedRequest], bytes | Reply]


@dataclass(frozen=True, slots=True)
class Action:
    """Bytes to send, and what to do after that."""

    send: bytes | Reply | ResponseFactory = b""
    then: AfterSend = AfterSend.CLOSE
    byte_interval: float = 0.0
    """Seconds between two bytes; 0 sends all bytes at once."""


@dataclass(frozen=True, slots=True)
class HandshakeFault:
    """An action in place of the handshake (without TLS: in place of reading a request)."""

    action: Action
    allow_sni: tuple[str, ...] = ()
    """A ClientHello with one of these names as SNI gets a normal handshake."""
    allow_alpn: tuple[bytes, ...] = ()
    """A ClientHello that offers one of these ALPN protocols gets a normal handshake."""
    before_read: bool = False
    """Perform the action before reading anything, instead of after the ClientHello."""


@dataclass(frozen=True, slots=True)
class TLS:
    """TLS settings of an upstream. Certificates are named as in `certificates.py`."""

    certificate: str = "good"
    client_ca: str | None = None
    """Request a client certificate, and verify it with this CA."""
    require_client_certificate: bool = True
    """Whether a client without a certificate is rejected; for `client_ca`."""
    min_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    max_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ciphers: str = ""
    """OpenSSL cipher list for TLS 1.2 and older; "" is the library's default."""
    group: str = ""
    """The only group for key exchange, by OpenSSL's name; "" is the library's default."""
    dh_params: str = ""
    """File with parameters for DHE, in the folder of certificates."""
    alpn: tuple[str, ...] = ()
    default_certificate: str = ""
    """Certificate for any SNI other than `name`; "" uses `certificate`."""
    name: str = GOOD_NAME


def echo(request: ReceivedRequest) -> Reply:
    """A 200 response that names the SNI, the request line and the size of the body received."""
    name = "no SNI" if request.server_name is None else f"SNI {request.server_name}"
    lines = [name, request.line]
    if request.body:
        lines.append(f"a body of {len(request.body)} bytes")
    return Reply(("\n".join(lines) + "\n").encode("latin-1"))


def response(body: str, *fields: str, status: str = "200 OK", with_body: bool = True) -> bytes:
    """The bytes of an HTTP/1.1 response of known length, for faults that change them."""
    head = [
        f"HTTP/1.1 {status}",
        "Server: sniproxy-testing",
        "Content-Type: text/plain",
        f"Content-Length: {len(body)}",
        *fields,
    ]
    return ("\r\n".join(head) + "\r\n\r\n" + (body if with_body else "")).encode("latin-1")


def alert(number: int, version: int = 0x0303) -> bytes:
    """An unencrypted TLS record with the fatal alert `number` (RFC 8446, section 6)."""
    return bytes((21, *version.to_bytes(2, "big"), 0, 2, 2, number))


Http2Answer = Callable[[int, ReceivedRequest], bytes]
"""Makes the frames of an answer from the number of the stream and the request."""


@dataclass(frozen=True, slots=True)
class Http2Spec:
    """An upstream that speaks HTTP/2 only. Bytes are frames, which `http2_session.py` makes."""

    answer: Http2Answer | None = None
    """Answers a request; None for a response like that of HTTP/1."""
    start: bytes = b"\0\0\0\4\0\0\0\0\0"
    """What is sent first; an empty SETTINGS frame."""
    early: bool = False
    """Whether a request is answered when its header block has arrived."""
    acknowledges: bool = True
    """Whether SETTINGS, PING and data that arrive are acknowledged."""


@dataclass(frozen=True, slots=True)
class UpstreamSpec:
    """The behavior of an upstream, and what nginx logs when it connects to it."""

    name: str
    description: str
    """What the upstream does; continues a sentence that begins with its name."""
    expected_log: str = ""
    """Message in nginx's error log, up to `, client:`; "" if nothing is logged."""
    directives: str = ""
    """Directives, beside `proxy_pass`, under which nginx logs that.

    File names are relative to the folder of certificates.
    """
    expected_status: int | None = None
    """Status of the client's response; None is 502 if `expected_log` is set, else 200."""
    listen: ListenMode = ListenMode.ACCEPTING
    handshake_fault: HandshakeFault | None = None
    tls: TLS | None = TLS()
    response: Action = Action(echo, AfterSend.WAIT)
    script: tuple[Step, ...] = ()
    """Steps to run on each connection instead of answering requests.

    Afterwards the connection is closed as `response.then` says.
    """
    http2: Http2Spec | None = None
    """HTTP/2 in place of HTTP/1; afterwards the connection is closed as `response.then` says."""
    passed_by: str = "proxy_pass"
    """The directive that passes requests to it."""
    max_requests: int | None = None
    """Number of requests answered on one connection; at the next one it is closed."""

    @property
    def status(self) -> int:
        """Status of the response to the proxy's client; 0 is a response without status line."""
        if self.expected_status is not None:
            return self.expected_status
        return 502 if self.expected_log else 200


def with_certificate(spec: UpstreamSpec, certificate: str, name: str = "") -> UpstreamSpec:
    """The upstream with another certificate, by its name in the folder of certificates.

    It insists on the SNI `name` if it insisted on one. Raises ValueError if it has no TLS.
    """
    if spec.tls is None:
        raise ValueError(f"the upstream {spec.name} has no TLS, and no certificate")
    name = name or spec.tls.name
    fault = spec.handshake_fault
    if fault is not None and fault.allow_sni:
        fault = replace(fault, allow_sni=(name,))
    tls = replace(spec.tls, certificate=certificate, name=name)
    return replace(spec, tls=tls, handshake_fault=fault)
