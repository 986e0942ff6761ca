"""Per-request state, filled in as the request is processed (nginx's `ngx_http_request_t`).

Variables and logs read it. Each step sets the attributes that it has determined.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from .config.directives.upstream_target import ProxyPass
from .config.model import Location, Server
from .included import SliceRunner, SliceState, SsiState, SubrequestRunner
from .models import Failure, Handshake, Header, Level, RequestHead, ResponseHead
from .proxy_protocol import ProxyHeader


class ClientCertificate(Protocol):
    """A client certificate in nginx's text formats (`$ssl_client_…`)."""

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
    """TLS properties of a client connection, for variables and request checks."""

    @property
    def established(self) -> bool:
        """Whether the handshake has finished; until then only `server_name` is available."""
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
    @property
    def ocsp_error(self) -> str | None:
        """Why the client's certificate is not accepted by OCSP; None if it is (`ssl_ocsp`)."""
        ...

    def verify_error(self) -> str: ...


class NumbersOfConnections(Protocol):
    """Numbers of connections and requests (`stub_status`)."""

    def read(self) -> tuple[int, ...]: ...


@dataclass(slots=True)
class Connection:
    """A client connection; shared by all requests on it."""

    number: int
    client_address: str
    """IP address without port; `unix:` for a UNIX socket."""
    client_port: int
    server_address: str
    server_port: int
    listening: str = ""
    """The listening address as it appears in log lines: `0.0.0.0:443`."""
    tls: ClientTLSInfo | None = None
    started_at: float = field(default_factory=time.time)
    requests: int = 0
    detail_refused: bool = False
    """Whether it was logged that `error_detail` is not sent to this client."""
    sock: socket.socket | None = None
    """The socket, for variables about the TCP connection."""
    proxy_header: ProxyHeader | None = None
    """What a proxy has sent by the PROXY protocol, if it knows the client."""
    statistics: NumbersOfConnections | None = None
    """Numbers of connections, if the configuration needs them."""
    passes: int = 0
    """How often the connection was passed on (`pass`)."""
    write_log: Callable[[Level, str], None] | None = None
    """Logs what shows when a variable is evaluated."""

    @property
    def scheme(self) -> str:
        return "https" if self.tls is not None else "http"

    def as_of_now(self, write_log: Callable[[Level, str], None]) -> Connection:
        """A copy, whose number of requests stays as it is, for a request beside others."""
        return Connection(
            self.number,
            self.client_address,
            self.client_port,
            self.server_address,
            self.server_port,
            self.listening,
            self.tls,
            self.started_at,
            self.requests,
            self.detail_refused,
            self.sock,
            self.proxy_header,
            self.statistics,
            self.passes,
            write_log,
        )


class UpstreamTLSInfo(Protocol):
    """TLS settings of an attempt."""

    @property
    def name(self) -> str:
        """The upstream name, without port: used for SNI and verification."""
        ...

    @property
    def server_name(self) -> bool:
        """`proxy_ssl_server_name`."""
        ...


class UpstreamState:
    """An attempt to get a response from a peer, for the variables `$upstream_*`.

    nginx's `ngx_http_upstream_state_t`. `upstream.request.UpstreamAttempt` adds the connection;
    a bare state stands for an attempt without one.
    """

    # Class attributes as defaults: most attempts never change most of them.
    status: int | None = None
    connect_time: float | None = None
    """Seconds from the start of the attempt, as in the next two."""
    header_time: float | None = None
    response_time: float | None = None
    bytes_sent = 0
    bytes_received = 0
    response_length = 0
    request = b""
    """The request head, followed by the value of `proxy_set_body`."""
    tls: UpstreamTLSInfo | None = None
    reused = False
    """Whether the connection was taken from the pool."""
    head: ResponseHead | None = None
    trailers: Sequence[Header] = ()
    failure: Failure | None = None

    def __init__(self, address: str, began: float) -> None:
        self.address = address
        """The peer's address; "" for the separator between two upstreams."""
        self.started = began
        """Monotonic seconds."""

    def handshake(self) -> Handshake | None:
        """The TLS handshake, finished or failed; None without TLS."""
        return None


@dataclass(frozen=True, slots=True)
class RoutingStep:
    """A step that changed the URI or location of a request: a rewrite or an internal redirect."""

    source: str
    """`rewrite`, `error_page 502`, `try_files`, `index`, `X-Accel-Redirect`; `return` if rewrite
    directives returned a response."""
    location: Location
    """The location of the directive."""
    uri: str = ""
    """The new path, or the `@name` of a location."""
    args: str = ""
    relocates: bool = True
    """Whether the location is searched again."""


class RejectedHead(Protocol):
    """A request head that was rejected."""

    @property
    def protocol(self) -> str | None:
        """`HTTP/1.1`; "" if it is incomplete, None if the line has none."""
        ...


class HeldRequestBody(Protocol):
    """A request body that was read completely."""

    @property
    def held(self) -> str | None:
        """The body if it is in memory; None if it is in a file or empty."""
        ...

    @property
    def file_name(self) -> str | None: ...


class LimitedConnections(Protocol):
    """A zone that counts connections (`limit_conn`)."""

    def release(self, digest: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """What a cookie says about who the client is (`userid`)."""

    cookie: str
    """The value of the client's cookie; "" if it has none that is valid."""
    got: bytes
    """The identifier in it, 16 bytes; empty without one."""
    sent: bytes = b""
    """The identifier of the cookie for the client, 16 bytes; empty if none is sent."""
    is_new: bool = True
    """Whether that is another one than the client's."""


@dataclass(frozen=True, slots=True)
class CheckedLink:
    """The result of checking the signature of a link (`secure_link`)."""

    value: str | None
    """`1` if it is right, `0` if the link has expired; the link itself with `secure_link_secret`;
    None for a wrong one."""
    expires: str | None = None
    """When the link expires, as the client has sent it."""


def named_groups(match: re.Match[str]) -> dict[str, str]:
    """The variables that the match of a regular expression sets, by lower-case name."""
    return {name.lower(): value or "" for name, value in match.groupdict().items()}


class RequestContext:
    """The state of one request (`ngx_http_request_t`).

    Most attributes have their default on the class, and an instance gets an attribute only when
    a step sets it. This saves about forty assignments for each request.
    """

    connection: Connection
    request: RequestHead
    server: Server
    location: Location
    uri: str
    """The normalized path; rewrites and internal redirects change it."""
    args: str
    empty_args: bool | None = None
    """Whether `args`, if empty, counts as a query: after a rewrite or redirect to a URI that ends
    in `?`. None if `args` is that of the request line."""
    method: str
    """The client's method; internal redirects set it to GET."""
    internal: bool = False
    """Whether the request was redirected internally (the directive `internal`)."""
    uri_unchanged: bool = True
    """Whether `uri` is still that of the request line (`r->valid_unparsed_uri`)."""
    uri_matches_location: bool = True
    """False after `rewrite … break` changed `uri` (`r->valid_location`)."""
    add_uri_to_alias: bool = False
    """Whether the whole `uri` is appended to `alias`, after `try_files` (`r->add_uri_to_alias`)."""
    uri_changes_left: int = 11
    """Number of rewrites and internal redirects that may still follow (`r->uri_changes`)."""
    error_status: int | None = None
    """Status for the client while an `error_page` is processed, unless that sets another."""
    error_page_active: bool = False
    last_error: int | None = None
    """Status of the last built-in page or `error_page` (`r->err_status`)."""
    redirect_headers: tuple[Header, ...] = ()
    """Fields of a response that caused an internal redirect, added to the final response."""
    answers_expectation: bool = False
    """Whether `return` has ended the request, which answers `Expect: 100-continue`."""
    redirect_content_type: str = ""
    """Content-Type of that response, if the final response has none."""
    override_charset: str = ""
    """The charset that an upstream asks for (`X-Accel-Charset`)."""
    limit_rate: int | None = None
    """Maximum bytes per second to the client; 0 is unlimited, None is not set."""
    limit_rate_after: int = 0
    """Bytes that are sent before `limit_rate` applies."""
    limit_req_status: str | None = None
    """What `limit_req` has done (`$limit_req_status`); None if nothing was counted."""
    limit_conn_status: str | None = None
    """The same of `limit_conn`."""
    limited_connections: tuple[tuple[LimitedConnections, bytes], ...] = ()
    """Zones and keys in which this request counts, to be released at its end."""
    proxy_connection: Connection | None = None
    """The connection as it is, if `connection` has the address that a proxy has sent
    (`set_real_ip_from`)."""
    discards_body: bool = False
    """Whether to read and discard the request body, because it is too large."""
    is_subrequest: bool = False
    parent: RequestContext | None = None
    """The request that made this subrequest."""
    subrequest_depth: int = 0
    """Number of requests that this one is nested in."""
    include: SubrequestRunner | None = None
    """Runs subrequests whose responses become parts of this one; None if there are none."""
    slice: SliceState | None = None
    """None unless the response is requested in slices."""
    run_slice: SliceRunner | None = None
    ssi: SsiState | None = None
    """None unless SSI commands are processed."""
    time_format: str | None = None
    """Format of `$date_local` and `$date_gmt` (`config timefmt`); None for nginx's."""
    content_type: str = ""
    """The type of the response, if SSI commands are processed."""
    error_body: bytes | None = None
    """The body in place of a built-in page (`include stub`)."""
    error_body_used: bool = False
    charset: str = ""
    """The charset of the response, if the location has a charset filter."""
    header_only: bool = False
    """Whether the body of the response is not needed (`r->header_only`)."""
    gzip_allowed: bool | None = None
    """Whether responses may be compressed for the client; None if that was not decided yet."""
    gzip_vary: bool = False
    """Whether the response depends on Accept-Encoding (`r->gzip_vary`)."""
    gzip_sizes: tuple[int, int] | None = None
    """Lengths of the body before and after compression, for `$gzip_ratio`."""
    variables: dict[str, str]
    """Values of variables set by `set` and by named groups of regular expressions."""
    captures: re.Match[str] | None = None
    """Match of the last regular expression, for `$1` to `$9`."""
    started: float
    """Monotonic seconds."""
    finished: float | None = None
    """The same of the end, if it was stored in `runtime.RecentRequests`."""
    routing_steps: tuple[RoutingStep, ...] = ()
    proxy_host: str | None = None
    """`$proxy_host`; None before a `proxy_pass` is processed."""
    proxy_port: str | None = None
    upstream_target: ProxyPass | None = None
    """The target whose scheme and host are part of an HTTP/2 request."""
    asks_upstream: bool = False
    """Whether the request was passed to an upstream."""
    upstream_states: list[UpstreamState]
    identity: ClientIdentity | None = None
    """What is known by cookies, once that was evaluated (`userid`)."""
    checked_link: CheckedLink | None = None
    """The value of `$secure_link`, once it was evaluated."""
    link_expires: tuple[str | None] | None = None
    """The value of `$secure_link_expires`, once it was evaluated."""
    cache_status: str | None = None
    """How the cache was used (`$upstream_cache_status`)."""
    cached_head: ResponseHead | None = None
    """The head of the response from the cache."""
    stored_last_modified: str = ""
    """Last-Modified of the expired response that is revalidated."""
    stored_etag: str = ""
    background_tasks: tuple[Callable[[], Awaitable[None]], ...] = ()
    """Run beside the sending of the response (`proxy_cache_background_update`)."""
    status: int = 0
    sent_headers: Callable[[], Sequence[Header]] = tuple
    """Returns the headers of the response, for `$sent_http_…`; called on demand."""
    sent_head: bytes = b""
    """The response head as sent."""
    refused: RejectedHead | None = None
    """The rejected or incomplete request head, if there is one."""
    sent_trailers: Sequence[Header] = ()
    complete: bool = False
    """Whether the response was sent completely."""
    pipelined: bool = False
    """Whether the request arrived before the previous response was sent."""
    bytes_sent: int = 0
    body_bytes_sent: int = 0
    request_length: int = 0
    body: HeldRequestBody | None = None
    """The request body, if it was read completely."""
    body_length: int = 0
    """Length of the request body in bytes, as read."""

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
        """Start the attempts of an upstream, after those of others before an internal redirect."""
        if self.asks_upstream:
            separator = UpstreamState("", 0.0)
            separator.connect_time = separator.header_time = separator.response_time = 0.0
            self.upstream_states.append(separator)
            self.cache_status = self.cached_head = None
            self.stored_last_modified = self.stored_etag = ""
        self.asks_upstream = True

    def subrequest(self, uri: str) -> RequestContext:
        """Create the context of a subrequest for `uri`; it shares the variables."""
        inside = RequestContext(
            self.connection,
            # As in nginx, Content-Length stays although there is no body.
            self.request._replace(chunked=False, expects_continue=False),
            self.server,
            self.location,
            uri,
            "",
            "GET",
        )
        inside.internal = inside.is_subrequest = inside.header_only = True
        inside.parent = self
        inside.subrequest_depth = self.subrequest_depth + 1
        inside.uri_unchanged = False
        inside.uri_changes_left = 10
        inside.variables, inside.captures = self.variables, self.captures
        inside.pipelined = self.pipelined
        inside.proxy_host, inside.proxy_port = self.proxy_host, self.proxy_port
        inside.asks_upstream, inside.sent_headers = self.asks_upstream, self.sent_headers
        inside.proxy_connection = self.proxy_connection
        inside.request_length = self.request_length
        inside.limit_req_status, inside.limit_conn_status = (
            self.limit_req_status,
            self.limit_conn_status,
        )
        inside.body, inside.body_length = self.body, self.body_length
        inside.identity = self.identity
        return inside

    @property
    def main(self) -> RequestContext:
        """The request of the client, if this is a subrequest; else this one."""
        ctx = self
        while ctx.parent is not None:
            ctx = ctx.parent
        return ctx

    def set_captures(self, match: re.Match[str]) -> None:
        """Set the captures and named variables from the match of a regular expression."""
        self.captures = match
        self.variables.update(named_groups(match))


def absolute_location(ctx: RequestContext, target: str) -> str | None:
    """Make the path of a redirect absolute; None if `target` is to be sent unchanged.

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
