"""The values that walk through the house, all frozen; this module imports nothing of ours.

Text is `str` with one character a byte (latin-1), as WSGI has it: every byte that a
client, an upstream or a configuration file holds survives, and lengths are byte counts.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

Header = tuple[str, str]
"""One header field: name and value as received, without the colon and outer blanks."""


class Level(enum.IntEnum):
    """nginx's log levels, most severe first (`error_log`)."""

    EMERG = 1
    ALERT = 2
    CRIT = 3
    ERROR = 4
    WARN = 5
    NOTICE = 6
    INFO = 7
    DEBUG = 8

    @property
    def label(self) -> str:
        return self.name.lower()


class Side(enum.Enum):
    """Which of the proxy's two neighbours a connection leads to."""

    CLIENT = "client"
    UPSTREAM = "upstream"


class FailureType(enum.Enum):
    """What a failed try means to `proxy_next_upstream`, and the status it ends in.

    An answer with one of the `http_…` statuses is a failure only where the directive says so.
    """

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
    """Preparing our own side failed: 500, never tried on another peer."""

    @property
    def label(self) -> str:
        return self.value[0]

    @property
    def status(self) -> int:
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something went wrong, in nginx's words: `text` alone, errno apart."""

    text: str
    level: Level = Level.ERROR
    kind: FailureType = FailureType.ERROR
    errno: int | None = None

    @property
    def message(self) -> str:
        """`text`, with nginx's ` (104: Connection reset by peer)` where there is an errno."""
        if self.errno is None:
            return self.text
        return f"{self.text} ({self.errno}: {os.strerror(self.errno)})"


class ProxyError(Exception):
    """Carries a `Failure` from the module that touched the socket to the one that decides."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class ConfigError(Exception):
    """A configuration that nginx would refuse, in its words.

    `str(error)` is the text after `[emerg] ` (`level`): the message, and ` in FILE:LINE` where
    nginx says it. `file` is None where nginx names no place (a key that does not load, say).
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


class RequestHead(NamedTuple):
    """A request head that passed nginx's grammar (`http/head.py`)."""

    line: str
    """The request line as received, for the log."""
    method: str
    target: str
    """Path and query as received, unnormalised (`$request_uri`); `/` for an absolute target
    without a path."""
    path: str
    """The normalised path: percent-decoded, dots and doubled slashes resolved (`$uri`)."""
    args: str
    """The query without `?` (`$args`)."""
    version: int
    """9, 10 or 11."""
    headers: tuple[Header, ...]
    """All accepted fields, in the client's order and spelling."""
    host: str
    """The name asked for: lower-cased, without port and trailing dot; "" if there is none."""
    content_length: int | None = None
    chunked: bool = False
    keepalive: bool = True
    """What version and Connection header ask for."""
    expects_continue: bool = False
    """Whether the client waits for a 100 before it sends the body."""
    names: tuple[str, ...] = ()
    """The lower-case names of `headers`, one by one, where all of them are letters, digits and
    `-`; else empty."""

    @property
    def has_body(self) -> bool:
        return self.chunked or bool(self.content_length)

    def header(self, name: str) -> str | None:
        """The first field called `name` (lower-case), or None."""
        return first_header(self.headers, name)


class ResponseHead(NamedTuple):
    """A response head that passed nginx's grammar (`http/head.py`)."""

    version: int
    status: int
    reason: str
    """May be empty."""
    headers: tuple[Header, ...]
    content_length: int | None = None
    chunked: bool = False
    keepalive: bool = False
    """Whether the upstream lets this connection live on."""
    status_line: str = ""
    """Status and reason as received (`200 OK`), what nginx passes on."""
    names: tuple[str, ...] = ()
    """The lower-case names of `headers`, one by one; empty if they were not collected."""

    def header(self, name: str) -> str | None:
        return first_header(self.headers, name)


class BodyReadError(Exception):
    """A response's body has broken off; why is in the log already."""

    def __init__(self, *, invalid: bool = False) -> None:
        super().__init__()
        self.invalid = invalid
        """Whether what came was no body: then nothing more goes out, not even the head."""


class BodyReader(Protocol):
    """A body that comes piece by piece."""

    async def read(self) -> bytes:
        """The next piece, b"" at the end; raises `BodyBroken` if it is cut short."""
        ...

    def discard(self) -> None:
        """Release the body without reading the rest."""
        ...


class UpgradedConnection(Protocol):
    """The connection to an upstream that speaks another protocol from now on (status 101)."""

    read_timeout: float
    """Seconds that it may be silent (`proxy_read_timeout`)."""

    async def receive(self) -> bytes:
        """What it has sent, b"" at its end; raises `Failed`."""
        ...

    async def send(self, data: bytes) -> None:
        """Send all of `data`; raises `Failed`."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class Response(NamedTuple):
    """An answer on its way to the client, before it is framed."""

    status: int
    body: bytes | BodyReader = b""
    content_type: str = ""
    content_length: int | None = None
    """None where only the end of `body` tells."""
    headers: tuple[Header, ...] = ()
    """All fields that nginx does not write in a place of their own."""
    status_line: str | None = None
    """The upstream's own, from the number on; None for nginx's."""
    location: str | None = None
    """A redirect's target where nginx itself made it absolute."""
    close_connection: bool = False
    """Whether the connection ends with this answer, whatever the client asked for."""
    last_modified: int | None = None
    """POSIX time, seconds."""
    allow_conditional: bool = False
    """Whether a client may ask for it under a condition: what proxies pass on is not."""
    force_chunked: bool = False
    """Whether it goes in chunks for the sake of `trailers`, its length known or not."""
    close_without_response: bool = False
    """Whether the connection is closed without a byte; the status is for the log alone."""
    add_server: bool = True
    """Whether it has our Server field; False where `headers` may have another one."""
    add_date: bool = True
    """The same for Date."""
    flush_headers: bool = False
    """Whether the head goes out before anything of the body has come (`proxy_buffering off`)."""
    cancel_on_client_abort: bool = False
    """Whether a client that leaves before the end of the body puts an end to it."""
    trailers: Callable[[], Sequence[Header]] | None = None
    """What follows the last chunk, known at the end of the body."""
    upgraded: UpgradedConnection | None = None
    """What the client is connected with once it has the head."""

    def with_status(self, status: int) -> Response:
        """The same answer under another status (`error_page`)."""
        return self._replace(status=status, status_line=None)

    def with_headers(self, headers: tuple[Header, ...]) -> Response:
        """The same answer with these fields before its own."""
        return self._replace(headers=(*headers, *self.headers)) if headers else self

    def without_body(self) -> Response:
        """The same answer when nobody will read its body."""
        if not isinstance(self.body, bytes):
            self.body.discard()
        return self._replace(body=b"")


@dataclass(frozen=True, slots=True)
class SpecialResponse:
    """An answer of nginx's own: the built-in page of a status, or what `error_page` has for it."""

    status: int
    location: str | None = None
    """Where a redirect leads."""
    headers: tuple[Header, ...] = ()
    """What else the page is to have."""
    lines: tuple[str, ...] = ()
    """The error log's lines of the upstream's failure, the one that decided last; only where a
    page may show them (`error_detail`)."""


@dataclass(frozen=True, slots=True)
class InternalRedirect:
    """Another place of the same server answers: an internal redirect."""

    uri: str
    """A path, or `@name` for a named location."""
    args: str = ""
    source: str = ""
    """The directive, or the field of an answer, that leads there."""

    @property
    def named(self) -> bool:
        return self.uri.startswith("@")


class RequestBody(Protocol):
    """A request body that was read whole, so that every attempt can send it again."""

    @property
    def length(self) -> int: ...
    def blocks(self) -> Iterable[bytes]: ...


@runtime_checkable
class StreamedBody(Protocol):
    """A request body that is forwarded as it arrives (`proxy_request_buffering off`)."""

    @property
    def length(self) -> int | None:
        """None for one that comes in chunks."""
        ...

    async def read(self) -> bytes:
        """The next bytes, b"" at the end; raises `ClientFailed`."""
        ...

    async def read_all(self) -> RequestBody:
        """All of it, where it can not be forwarded as it arrives; raises `ClientFailed`."""
        ...


class ClientAbortedError(Exception):
    """The client ends the request: its body is incomplete or wrong, or it reads no longer."""

    def __init__(self, outcome: SpecialResponse | Response) -> None:
        super().__init__(outcome.status)
        self.outcome = outcome
        """The response; one without a byte if the client is gone."""


HandlerResult = Response | SpecialResponse | InternalRedirect
"""What a handler makes of a request."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """One TLS handshake, of either side, as far as it came."""

    side: Side
    peer: str
    """`ADDRESS:PORT`."""
    server_name: str | None
    """The SNI that was received (client side) or sent (upstream side); None without one."""
    verified_name: str | None = None
    """The name the certificate was checked for (upstream side, `proxy_ssl_verify on`)."""
    verify_result: int = 0
    """X509_V_*; 0 is fine."""
    verify_error: str = ""
    """The library's words for it."""
    protocol: str = ""
    cipher: str = ""
    group: str = ""
    alpn: str = ""
    offered_session: bool = False
    """Whether a session was offered to the upstream."""
    resumed: bool = False
    certificate_names: tuple[str, ...] = ()
    started_at: float = 0.0
    """POSIX time, seconds."""
    duration: float = 0.0
    """Seconds."""
    failure: Failure | None = None


def first_header(headers: Iterable[Header], name: str) -> str | None:
    for field_name, value in headers:
        if field_name.lower() == name:
            return value
    return None
