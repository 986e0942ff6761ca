"""The data of a trace: immutable values; texts as received (Latin-1)."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..models import Handshake, Header


@dataclass(frozen=True, slots=True)
class Head:
    """A request or response head: its first line and its fields."""

    line: str
    fields: tuple[Header, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """A selected server, and the reason."""

    name: str
    why: str
    place: str
    """`FILE:LINE`."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate sent to the client."""

    names: tuple[str, ...]
    issuer: str
    source: str
    """The value of `ssl_certificate`: a file or `auto`."""


@dataclass(frozen=True, slots=True)
class ClientTLSTrace:
    """TLS with the client."""

    handshake: Handshake
    server: Choice | None
    """The server whose certificate and settings were used; None without a valid ClientHello."""
    certificate: Certificate | None


@dataclass(frozen=True, slots=True)
class LocationStep:
    """A location was searched and found."""

    path: str
    location: str
    why: str
    place: str
    passed_over: tuple[str, ...] = ()
    """Other locations that matched."""
    kind: str = field(default="location", init=False)


@dataclass(frozen=True, slots=True)
class RedirectStep:
    """The path was changed, or the request was redirected internally."""

    by: str
    """`rewrite`, `error_page 502`, …"""
    to: str
    """A path with its query, or the `@name` of a location; "" for `return`."""
    location: str
    """The location of the directive."""
    place: str
    kind: str = field(default="redirect", init=False)


@dataclass(frozen=True, slots=True)
class PeerTrace:
    """An attempt with a peer."""

    address: str
    reused: bool
    connect: float | None
    """Seconds until the connection was established, without TLS; None if it was not."""
    handshake: Handshake | None
    request: Head | None
    """The head as sent; None if nothing was sent."""
    response: Head | None
    failure: str
    """nginx's message; "" if the attempt did not fail."""
    status: int | None
    header_time: float | None
    response_time: float | None
    bytes_sent: int
    bytes_received: int
    first: str = "head"
    """What `header_time` is the time of."""


@dataclass(frozen=True, slots=True)
class Names:
    """The upstream name: its source, and whether it is sent and verified."""

    name: str
    name_source: str
    """`proxy_ssl_name`, or `the host of proxy_pass`."""
    not_sent: str
    """Why no SNI is sent; "" if `name` is sent."""
    verified: str
    offered: tuple[str, ...]
    """`proxy_ssl_protocols`."""


@dataclass(frozen=True, slots=True)
class UpstreamStep:
    """The request was passed to an upstream (`proxy_pass` and its kin)."""

    url: str
    place: str
    upstream: str
    """The value of `$proxy_host`."""
    variables: tuple[tuple[str, str | None], ...]
    """Variables in the directives that create the request, with their values."""
    names: Names | None
    """None without TLS, and if no peer was tried."""
    peers: tuple[PeerTrace, ...]
    subrequest: str = ""
    """Path of the subrequest (`auth_request`); "" for the main request."""
    kind: str = "proxy_pass"
    """The directive: `proxy_pass`, `fastcgi_pass`, …"""


@dataclass(frozen=True, slots=True)
class FileStep:
    """Files below `root` or `alias` were looked up."""

    path: str
    subrequest: str = ""
    kind: str = field(default="files", init=False)


@dataclass(frozen=True, slots=True)
class PrereadStep:
    """A ClientHello of a session was read ahead (`ssl_preread`)."""

    server_name: str | None
    """The SNI; None without a ClientHello."""
    protocol: str
    """The highest version offered."""
    alpn: str
    """The protocols offered."""
    kind: str = field(default="preread", init=False)


@dataclass(frozen=True, slots=True)
class ContentStep:
    """What made the content of a session without an upstream: `return`, `pass`, or nothing."""

    text: str
    place: str
    kind: str = field(default="content", init=False)


Step = LocationStep | RedirectStep | UpstreamStep | FileStep | PrereadStep | ContentStep


@dataclass(frozen=True, slots=True)
class Answer:
    """The response to the client."""

    status: int
    """Status as in the access log; 499 if the client disconnected."""
    head: Head | None
    """None if no head was sent."""
    complete: bool
    seconds: float
    """Seconds since the first byte of the request."""
    received: int
    """Bytes of the request."""
    sent: int
    """Bytes of the response, including its head."""
    body_sent: int


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace of a request.

    If `request` is None, it is one of a session of `stream {}`, or without an `answer` of a
    connection whose handshake failed.
    """

    connection: int | None
    """The connection number: `*1` in log lines."""
    number: int
    """Number of the request on its connection, from 1; 0 without a request."""
    client: str
    """`ADDRESS:PORT`."""
    listening: str
    tls: ClientTLSTrace | None
    request: Head | None
    url: str
    server: Choice | None
    steps: tuple[Step, ...]
    answer: Answer | None
    access_log: tuple[str, ...]
    error_log: tuple[str, ...]
    """Lines from level info, regardless of `error_log`."""
