"""What is known of one request, noted step by step on its one walk through the house.

nginx's `ngx_http_request_t` as far as variables and logs read it. Each step writes what it
has found and nobody takes anything back.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from .config.model import Location, Server
from .models import Failure, Handshake, Header, RequestHead, ResponseHead


class ClientCertificate(Protocol):
    """The client's certificate in the texts that nginx has for it."""

    @property
    def pem(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def issuer(self) -> str: ...
    @property
    def legacy_subject(self) -> str: ...
    @property
    def legacy_issuer(self) -> str: ...
    @property
    def serial(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def not_before(self) -> datetime: ...
    @property
    def not_after(self) -> datetime: ...


class ClientTLSInfo(Protocol):
    """The client's side of TLS, as variables and checks of requests ask for it."""

    @property
    def established(self) -> bool:
        """Whether the handshake is over; before, only `server_name` is to be asked for."""
        ...

    @property
    def server_name(self) -> str | None:
        """The SNI received."""
        ...

    @property
    def protocol(self) -> str: ...
    @property
    def cipher(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def alpn(self) -> str: ...
    @property
    def resumed(self) -> bool: ...
    @property
    def session_id(self) -> bytes: ...
    @property
    def offered_ciphers(self) -> str: ...
    @property
    def offered_groups(self) -> str: ...
    @property
    def offered_signature_algorithms(self) -> str: ...
    @property
    def client_certificate(self) -> ClientCertificate | None: ...
    @property
    def verify_result(self) -> int: ...
    def verify_error(self) -> str: ...


@dataclass(slots=True)
class Connection:
    """The client's connection, for all requests on it."""

    number: int
    client_address: str
    """Without port; `unix:` for a UNIX socket."""
    client_port: int
    server_address: str
    server_port: int
    listening: str = ""
    """The address that is listened on, as log lines show it: `0.0.0.0:443`."""
    tls: ClientTLSInfo | None = None
    started_at: float = field(default_factory=time.time)
    requests: int = 0
    detail_refused: bool = False
    """Whether the log has told that `error_detail` is not for this client."""
    sock: socket.socket | None = None
    """For what the kernel knows of it."""

    @property
    def scheme(self) -> str:
        return "https" if self.tls is not None else "http"


class UpstreamTLSInfo(Protocol):
    """How a try shakes hands."""

    @property
    def name(self) -> str:
        """What SNI and the check start from, without its port."""
        ...

    @property
    def server_name(self) -> bool:
        """`proxy_ssl_server_name`."""
        ...


class UpstreamState:
    """One attempt to get a response from a peer, as `$upstream_*` show it.

    nginx's `ngx_http_upstream_state_t`. `upstream.request.UpstreamAttempt` adds the connection;
    a bare state stands for an attempt without one.
    """

    # Defaults on the class: most attempts keep most of them.
    status: int | None = None
    connect_time: float | None = None
    """Seconds, like the next two; from the start of the attempt."""
    header_time: float | None = None
    response_time: float | None = None
    bytes_sent = 0
    bytes_received = 0
    response_length = 0
    request = b""
    """The head that is sent, and behind it the text of `proxy_set_body`."""
    tls: UpstreamTLSInfo | None = None
    reused = False
    """Whether the connection was taken from the pool."""
    head: ResponseHead | None = None
    failure: Failure | None = None

    def __init__(self, address: str, began: float) -> None:
        self.address = address
        """"" for the separator between the attempts of one upstream and the next."""
        self.started = began
        """Monotonic seconds."""

    def handshake(self) -> Handshake | None:
        """Its TLS handshake, as far as it came; None if it made none."""
        return None


@dataclass(frozen=True, slots=True)
class RoutingStep:
    """A place where a request has left the straight way from its path to a location."""

    source: str
    """`rewrite`, `error_page 502`, `try_files`, `index`, `X-Accel-Redirect`; `return` where the
    rewrite directives have answered."""
    location: Location
    """Where that is said."""
    uri: str = ""
    """The path from then on, or the `@name` of a location."""
    args: str = ""
    relocates: bool = True
    """Whether a location is looked for again."""


class RejectedHead(Protocol):
    """A head that was refused."""

    @property
    def protocol(self) -> str | None:
        """`HTTP/1.1`; "" where one was begun, None where none was."""
        ...


class HeldRequestBody(Protocol):
    """A request body that was read whole."""

    @property
    def held(self) -> str | None:
        """What is in memory; None where it is in a file, or empty."""
        ...

    @property
    def file_name(self) -> str | None: ...


class RequestContext:
    """One request (`ngx_http_request_t`).

    The initial values of most attributes stand on the class, and an instance gets an attribute
    only when a step sets it: forty assignments fewer for each request, most of which never need
    them.
    """

    connection: Connection
    request: RequestHead
    server: Server
    location: Location
    uri: str
    """The path, normalised; internal redirects change it."""
    args: str
    method: str
    """As the client's, until an internal redirect makes it GET."""
    internal: bool = False
    """Whether `uri` is no longer the client's own (`internal`)."""
    uri_unchanged: bool = True
    """Whether the request target still says where the request goes."""
    uri_matches_location: bool = True
    """False once a `rewrite … break` has changed `uri` under its location."""
    add_uri_to_alias: bool = False
    """Whether `try_files` has found `uri` below an `alias` that is the whole name else."""
    uri_changes_left: int = 11
    """Rewrites and internal redirects that may still follow."""
    error_status: int | None = None
    """The status that the client sees whatever answers, once an `error_page` has its turn."""
    error_page_active: bool = False
    redirect_headers: tuple[Header, ...] = ()
    """Fields of an answer that sent the request elsewhere, which the next one has too."""
    redirect_content_type: str = ""
    """Its Content-Type, for an answer that has none of its own."""
    limit_rate: int | None = None
    """Bytes a second that the client gets, 0 for no limit; None where nobody has said."""
    discards_body: bool = False
    """Whether the request's body is read and discarded, whatever handler answers: it is too
    large."""
    is_subrequest: bool = False
    variables: dict[str, str]
    """What `set` and the named groups of regular expressions have set."""
    captures: re.Match[str] | None = None
    """Of the last regular expression that matched: `$1` to `$9`."""
    started: float
    """Monotonic seconds."""
    routing_steps: tuple[RoutingStep, ...] = ()
    proxy_host: str | None = None
    """None where no `proxy_pass` was reached."""
    proxy_port: str | None = None
    asks_upstream: bool = False
    """Whether an upstream is asked, or has been."""
    upstream_states: list[UpstreamState]
    status: int = 0
    sent_headers: Callable[[], Sequence[Header]] = tuple
    """The headers of the response, as far as it has any; assembled on demand."""
    sent_head: bytes = b""
    """The response's head as it went out."""
    refused: RejectedHead | None = None
    """What there is of a head that was refused, or cut short."""
    sent_trailers: Sequence[Header] = ()
    complete: bool = False
    """Whether the whole answer was sent."""
    pipelined: bool = False
    """Whether it came before the answer to the one before."""
    bytes_sent: int = 0
    body_bytes_sent: int = 0
    request_length: int = 0
    body: HeldRequestBody | None = None
    """The request's body, once it was read whole."""
    body_length: int = 0
    """Of the request's body as it was read."""

    def __init__(
        self,
        connection: Connection,
        request: RequestHead,
        server: Server,
        location: Location,
        uri: str,
        args: str,
        method: str,
    ) -> None:
        self.connection = connection
        self.request = request
        self.server = server
        self.location = location
        self.uri = uri
        self.args = args
        self.method = method
        self.variables = {}
        self.upstream_states = []
        self.started = time.monotonic()

    def begin_upstream(self) -> None:
        """Note that an upstream is used, perhaps after another one and an internal redirect."""
        if self.asks_upstream:
            separator = UpstreamState("", 0.0)
            separator.connect_time = separator.header_time = separator.response_time = 0.0
            self.upstream_states.append(separator)
        self.asks_upstream = True

    def subrequest(self, uri: str) -> RequestContext:
        """The facts of a request inside this one, for another path; variables are shared."""
        inside = RequestContext(
            self.connection,
            self.request._replace(content_length=None, chunked=False, expects_continue=False),
            self.server,
            self.location,
            uri,
            "",
            "GET",
        )
        inside.internal = inside.is_subrequest = True
        inside.uri_unchanged = False
        inside.uri_changes_left = 10
        inside.variables, inside.captures = self.variables, self.captures
        inside.pipelined = self.pipelined
        inside.proxy_host, inside.proxy_port = self.proxy_host, self.proxy_port
        inside.asks_upstream, inside.sent_headers = self.asks_upstream, self.sent_headers
        inside.request_length = self.request_length
        inside.body, inside.body_length = self.body, self.body_length
        return inside

    def set_captures(self, match: re.Match[str]) -> None:
        """Note what the groups of a regular expression have captured."""
        self.captures = match
        for name, value in match.groupdict().items():
            self.variables[name.lower()] = value or ""


def absolute_location(ctx: RequestContext, target: str) -> str | None:
    """A path with scheme, host and port; None for a target that stays as it is.

    Directives: `absolute_redirect`, `server_name_in_redirect`, `port_in_redirect`.
    """
    core = ctx.location.core
    if not core.absolute_redirect or not target.startswith("/"):
        return None
    connection = ctx.connection
    scheme = connection.scheme
    host = ctx.request.host or connection.server_address
    if core.server_name_in_redirect:
        host = ctx.server.name
    usual = (0, 443 if scheme == "https" else 80)
    port = connection.server_port if core.port_in_redirect else 0
    return f"{scheme}://{host}{f':{port}' if port not in usual else ''}{target}"
