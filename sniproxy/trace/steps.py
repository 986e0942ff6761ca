"""What a trace says: frozen values without a socket behind them, texts as they came (latin-1)."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..models import Handshake, Header


@dataclass(frozen=True, slots=True)
class Head:
    """A head of either kind: its first line and its fields."""

    line: str
    fields: tuple[Header, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """A server, and why it is this one."""

    name: str
    why: str
    place: str
    """`FILE:LINE`."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the client was shown."""

    names: tuple[str, ...]
    issuer: str
    source: str
    """What `ssl_certificate` says: a file, `auto`."""


@dataclass(frozen=True, slots=True)
class ClientTLSTrace:
    """The client's side of TLS."""

    handshake: Handshake
    server: Choice | None
    """Whose certificate and settings it had; None where no hello was understood."""
    certificate: Certificate | None


@dataclass(frozen=True, slots=True)
class LocationStep:
    """A location was looked for, and found."""

    path: str
    location: str
    why: str
    place: str
    passed_over: tuple[str, ...] = ()
    """The other locations that the search came by."""
    kind: str = field(default="location", init=False)


@dataclass(frozen=True, slots=True)
class RedirectStep:
    """The path was changed, or another place was to answer."""

    by: str
    """`rewrite`, `error_page 502`, …"""
    to: str
    """A path with its query, or the `@name` of a location; "" where `return` has answered."""
    location: str
    """Where that is said."""
    place: str
    kind: str = field(default="redirect", init=False)


@dataclass(frozen=True, slots=True)
class PeerTrace:
    """One try with one peer."""

    address: str
    reused: bool
    connect: float | None
    """Seconds until the connection was there, TLS not counted; None where it never was."""
    handshake: Handshake | None
    request: Head | None
    """As sent; None where none of it was."""
    response: Head | None
    failure: str
    """In nginx's words; "" without one."""
    status: int | None
    header_time: float | None
    response_time: float | None
    bytes_sent: int
    bytes_received: int


@dataclass(frozen=True, slots=True)
class Names:
    """What is sent and verified, and where the name comes from."""

    name: str
    name_source: str
    """`proxy_ssl_name`, or `the host of proxy_pass`."""
    not_sent: str
    """Why there is no SNI; "" where `name` is sent."""
    verified: str
    offered: tuple[str, ...]
    """`proxy_ssl_protocols`."""


@dataclass(frozen=True, slots=True)
class UpstreamStep:
    """An upstream was asked (`proxy_pass`)."""

    url: str
    place: str
    upstream: str
    """What `$proxy_host` is."""
    variables: tuple[tuple[str, str | None], ...]
    """Those of the directives that make the request, with their values then."""
    names: Names | None
    """None without TLS, and where nobody was tried."""
    peers: tuple[PeerTrace, ...]
    subrequest: str = ""
    """The path of a request inside the request (`auth_request`)."""
    kind: str = field(default="proxy_pass", init=False)


@dataclass(frozen=True, slots=True)
class FileStep:
    """Files below `root` or `alias` were asked."""

    path: str
    subrequest: str = ""
    kind: str = field(default="files", init=False)


Step = LocationStep | RedirectStep | UpstreamStep | FileStep


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client got."""

    status: int
    """As the access log has it; 499 where the client has left."""
    head: Head | None
    """None where no head went out."""
    complete: bool
    seconds: float
    """From the request's first byte on."""
    received: int
    """Bytes of the request."""
    sent: int
    """Bytes of the answer, its head included."""
    body_sent: int


@dataclass(frozen=True, slots=True)
class Trace:
    """One request, or (without `request`) a connection whose handshake has failed."""

    connection: int | None
    """The number behind `*` in log lines."""
    number: int
    """Of the request on its connection, from 1; 0 without one."""
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
    """Lines at info and above, whatever `error_log` says."""
