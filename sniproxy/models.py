"""Immutable values shared by all layers; imports no other module of sniproxy.

Text is `str` with one character per byte (Latin-1), as in WSGI: every byte of a client, an
upstream or a configuration file is preserved, and lengths are byte counts. Frequently created
values are named tuples, which are constructed faster than frozen dataclasses.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple, Protocol, runtime_checkable

Header = tuple[str, str]
"""A header field: name and value as received, without colon and surrounding spaces."""


class Level(enum.IntEnum):
    """nginx's log levels, most severe first (`error_log`). A level also equals its label."""

    EMERG = 1
    ALERT = 2
    CRIT = 3
    ERROR = 4
    WARN = 5
    NOTICE = 6
    INFO = 7
    DEBUG = 8

    # For tests: in a comparison with a string, `level == "error"`, False would be a trap.
    def __eq__(self, other: object) -> bool:
        return self.label == other if isinstance(other, str) else int.__eq__(self, other)

    __hash__ = int.__hash__

    @property
    def label(self) -> str:
        return self.name.lower()


class Side(enum.StrEnum):
    """The peer of a connection: client or upstream. It compares with strings, for tests."""

    CLIENT = "client"
    UPSTREAM = "upstream"


class FailureType(enum.StrEnum):
    """Type of a failed attempt (`NGX_HTTP_UPSTREAM_FT_*`), with the resulting status.

    `label` is the parameter of `proxy_next_upstream`. Responses with the `http_…` statuses are
    failures only if the directive lists them. It compares with its label, for tests.
    """

    status: int

    def __new__(cls, label: str, status: int) -> FailureType:
        made = str.__new__(cls, label)
        made._value_ = label
        made.status = status
        return made

    ERROR = ("error", 502)
    TIMEOUT = ("timeout", 504)
    INVALID_HEADER = ("invalid_header", 502)
    HTTP_500 = ("http_500", 500)
    HTTP_502 = ("http_502", 502)
    HTTP_503 = ("http_503", 503)
    HTTP_504 = ("http_504", 504)
    HTTP_403 = ("http_403", 403)
    HTTP_404 = ("http_404", 404)
    HTTP_429 = ("http_429", 429)
    NO_LIVE = ("no_live", 502)
    INTERNAL = ("internal", 500)
    """Preparing the request failed: status 500, and no other peer is tried."""

    @property
    def label(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Failure:
    """The cause of an error, with nginx's log message; the errno is separate."""

    text: str
    level: Level = Level.ERROR
    kind: FailureType = FailureType.ERROR
    errno: int | None = None

    @property
    def message(self) -> str:
        """`text`, followed by ` (104: Connection reset by peer)` if there is an errno."""
        if self.errno is None:
            return self.text
        return f"{self.text} ({self.errno}: {os.strerror(self.errno)})"


class ProxyError(Exception):
    """An I/O or TLS operation failed; `failure` has the cause."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class ConfigError(Exception):
    """The configuration is invalid; the message is nginx's.

    `str(error)` is the text after `[emerg] ` (`level`): the message, and ` in FILE:LINE` if nginx
    adds it. `file` is None if nginx names no place (for a key that cannot be loaded, for example).
    """

    def __init__(
        self,
        message: str,
        file: str | None = None,
        line: int | None = None,
        errno: int | None = None,
        level: Level = Level.EMERG,
    ) -> None:
        self.message = message
        self.level = level
        self.file = file
        self.line = line
        self.errno = errno
        text = message if errno is None else f"{message} ({errno}: {os.strerror(errno)})"
        if file is not None:
            text += f" in {file}:{line}"
        super().__init__(text)


class Session(NamedTuple):
    """A finished session of `stream {}`."""

    protocol: str
    """`TCP` or `UDP`."""
    client: str
    """Address and port of the client, as `ADDRESS:PORT`."""
    status: int
    """200, 400, 403, 500, 502 or 503."""
    server_name: str | None
    """The SNI, as read ahead (`ssl_preread`) or received in a handshake; None without one."""
    upstreams: tuple[str, ...]
    """The peers that were tried, in turn."""
    received: int
    """Bytes received from the client."""
    sent: int
    """Bytes sent to the client."""
    duration: float
    """Seconds."""


class UnsupportedError(ConfigError):
    """The configuration uses something that sniproxy lacks."""

    others: tuple[str, ...] = ()
    """What else it uses that sniproxy lacks: a message with file and line for each."""
    is_known = False
    """Whether it is known to exist, so that it is no typing error."""


class RequestHead(NamedTuple):
    """A valid request head (see `http/request_head.py`)."""

    line: str
    """The request line as received, for the log."""
    method: str
    target: str
    """Path and query as received (`$request_uri`); `/` for an absolute target without a path."""
    path: str
    """The normalized path: percent-decoded, dot segments and double slashes resolved (`$uri`)."""
    args: str
    """The query without `?` (`$args`)."""
    version: int
    """HTTP version: 9, 10, 11 or 20."""
    headers: tuple[Header, ...]
    """All accepted fields, in the order and spelling received."""
    host: str
    """The requested host in lower case, without port and trailing dot; "" if there is none."""
    content_length: int | None = None
    chunked: bool = False
    keepalive: bool = True
    """Whether version and Connection field allow keep-alive."""
    expects_continue: bool = False
    """Whether the client waits for status 100 before it sends the body."""
    names: tuple[str, ...] = ()
    """The names of `headers` in lower case if all consist of letters, digits and `-`; else
    empty."""

    @property
    def has_body(self) -> bool:
        return self.chunked or bool(self.content_length)

    def header(self, name: str) -> str | None:
        """The first field called `name` (lower-case), or None."""
        return first_header(self.headers, name)


class ResponseHead(NamedTuple):
    """A valid response head (see `http/response_head.py`)."""

    version: int
    status: int
    reason: str
    """Reason phrase; may be empty."""
    headers: tuple[Header, ...]
    content_length: int | None = None
    chunked: bool = False
    keepalive: bool = False
    """Whether the upstream allows keep-alive."""
    status_line: str = ""
    """Status and reason as received (`200 OK`), which nginx forwards."""
    names: tuple[str, ...] = ()
    """The names of `headers` in lower case; empty if they were not collected."""

    def header(self, name: str) -> str | None:
        return first_header(self.headers, name)


class BodyReadError(Exception):
    """A response body ended early; the cause was logged already."""

    def __init__(self, *, invalid: bool = False) -> None:
        super().__init__()
        self.invalid = invalid
        """Whether the data was malformed: then nothing more is sent, not even the head."""


class BodyReader(Protocol):
    """A response body that is read in pieces."""

    async def read(self) -> bytes:
        """The next piece, b"" at the end; raises `BodyReadError` if it is cut short."""
        ...

    def discard(self) -> None:
        """Release the body without reading the rest."""
        ...


class UpgradedConnection(Protocol):
    """The connection to an upstream that switched protocols (status 101)."""

    read_timeout: float
    """Timeout between two reads, in seconds (`proxy_read_timeout`)."""

    async def receive(self) -> bytes:
        """Receive data; b"" at the end. Raises `ProxyError`."""
        ...

    async def send(self, data: bytes) -> None:
        """Send all of `data`; raises `ProxyError`."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class Response(NamedTuple):
    """A response to a client, before it is framed."""

    status: int
    body: bytes | BodyReader = b""
    content_type: str = ""
    content_length: int | None = None
    """Length in bytes; None if unknown."""
    headers: tuple[Header, ...] = ()
    """Fields except those that nginx writes at a fixed position."""
    status_line: str | None = None
    """The upstream's status line from the number on; None for nginx's."""
    location: str | None = None
    """Target of a redirect that nginx generated, made absolute."""
    close_connection: bool = False
    """Whether the connection is closed after this response."""
    last_modified: int | None = None
    """POSIX time, seconds."""
    allow_conditional: bool = False
    """Whether conditional requests are evaluated; not for proxied responses."""
    allow_ranges: bool = False
    """Whether range requests are evaluated: several ranges of a file, one of any other body."""
    force_chunked: bool = False
    """Whether to use chunked encoding even if the length is known, for `trailers`."""
    close_without_response: bool = False
    """Whether to close the connection without sending anything; the status is only logged (444)."""
    add_server: bool = True
    """Whether to add the Server field; False if `headers` may contain one."""
    add_date: bool = True
    """The same for Date."""
    flush_headers: bool = False
    """Whether to send the head before the first data of the body (`proxy_buffering off`)."""
    flushes: bool = False
    """Whether each piece of the body is to be sent at once (`proxy_buffering off`)."""
    read_ahead: Callable[[], None] | None = None
    """Starts to read the body ahead of a slow client; called when sending blocks."""
    force_ranges: bool = False
    """Whether a range of a proxied response is served (`proxy_force_ranges`)."""
    cancel_on_client_abort: bool = False
    """Whether to stop if the client closes its side while the body is sent."""
    read_to_end: bool = False
    """Whether to read the complete body in any case, because it is stored: also for HEAD, and if
    the client has disconnected."""
    trailers: Callable[[], Sequence[Header]] | None = None
    """Returns the trailer fields; called at the end of the body."""
    upgraded: UpgradedConnection | None = None
    """The connection to tunnel to the client after the head was sent."""

    def with_status(self, status: int) -> Response:
        """The response with another status (`error_page`)."""
        return self._replace(status=status, status_line=None)

    def with_headers(self, headers: tuple[Header, ...]) -> Response:
        """The response with these fields before its own."""
        return self._replace(headers=(*headers, *self.headers)) if headers else self

    def without_body(self) -> Response:
        """Discard the body, and return the response without it."""
        if not isinstance(self.body, bytes):
            self.body.discard()
        return self._replace(body=b"")


@dataclass(frozen=True, slots=True)
class SpecialResponse:
    """A response generated by nginx: the built-in page of a status, or its `error_page`."""

    status: int
    location: str | None = None
    """Target of a redirect."""
    headers: tuple[Header, ...] = ()
    """Additional fields."""
    lines: tuple[str, ...] = ()
    """The error log lines of the upstream's failures, the one that determined the status last;
    only if the page may show them (`error_detail`)."""
    remark: str = ""
    """A line of HTML for the built-in page."""


@dataclass(frozen=True, slots=True)
class InternalRedirect:
    """An internal redirect: the request is processed again with another URI or location."""

    uri: str
    """A path, or `@name` for a named location."""
    args: str = ""
    source: str = ""
    """The directive or response field that caused it."""
    empty_args: bool = False
    """Whether there is a `?`, if `args` is empty."""

    @property
    def named(self) -> bool:
        return self.uri.startswith("@")


class RequestBody(Protocol):
    """A request body that was read completely, so that each attempt can send it."""

    @property
    def length(self) -> int: ...
    def blocks(self) -> Iterable[bytes]: ...


@runtime_checkable
class StreamedBody(Protocol):
    """A request body that is forwarded as it arrives (`proxy_request_buffering off`)."""

    @property
    def length(self) -> int | None:
        """Length in bytes; None if chunked."""
        ...

    async def read(self) -> bytes:
        """The next bytes, b"" at the end; raises `ClientAbortedError`."""
        ...

    async def read_all(self) -> RequestBody:
        """Read the complete body, if it cannot be streamed; raises `ClientAbortedError`."""
        ...


class ClientAbortedError(Exception):
    """The client aborted the request, or its body is malformed."""

    def __init__(self, outcome: SpecialResponse | Response) -> None:
        super().__init__(outcome.status)
        self.outcome = outcome
        """The response; an empty one if the client has disconnected."""


HandlerResult = Response | SpecialResponse | InternalRedirect
"""Result of a content handler."""


@dataclass(frozen=True, slots=True, repr=False)
class Handshake:
    """A TLS handshake with a client or an upstream, finished or failed."""

    side: Side
    peer: str
    """`ADDRESS:PORT`."""
    server_name: str | None
    """The SNI received from the client or sent to the upstream; None without one."""
    verified_name: str | None = None
    """The name that the upstream's certificate was verified for (`proxy_ssl_verify on`)."""
    verify_result: int = 0
    """X509_V_*; 0 is OK."""
    verify_error: str = ""
    """OpenSSL's text for `verify_result`."""
    protocol: str = ""
    """`TLSv1.3` for example; "" if the handshake failed before it was negotiated."""
    cipher: str = ""
    """OpenSSL's name of the cipher."""
    group: str = ""
    """The group of the key exchange, such as `X25519MLKEM768`."""
    alpn: str = ""
    """The protocol selected by ALPN; "" if none was."""
    offered_session: bool = False
    """Whether a session was offered to the upstream."""
    resumed: bool = False
    """Whether a session was resumed, without certificates."""
    certificate_names: tuple[str, ...] = ()
    """The names in the upstream's certificate."""
    started_at: float = 0.0
    """POSIX time, seconds."""
    duration: float = 0.0
    """Seconds."""
    failure: Failure | None = None
    """Why it failed, as it is logged; None if it finished."""

    def __repr__(self) -> str:
        """What identifies it, and the values that are not the default; for failed assertions."""
        parts = [f"side={self.side.value!r}", f"peer={self.peer!r}"]
        parts.append(f"server_name={self.server_name!r}")
        if self.failure is not None:
            parts.append(f"failure={self.failure.message!r}")
        listed = {"side", "peer", "server_name", "failure", "started_at", "duration"}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in listed and value != field.default:
                parts.append(f"{field.name}={value!r}")
        return f"Handshake({', '.join(parts)})"


def first_header(headers: Iterable[Header], name: str) -> str | None:
    for field_name, value in headers:
        if field_name.lower() == name:
            return value
    return None
