"""The state of a request head while it is parsed, and the checks of its fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from ..models import Header, Level, RequestHead
from . import header_fields

READING_LINE: Final = "reading client request line"
READING_HEADERS: Final = "reading client request headers"


@dataclass(frozen=True, slots=True)
class HeadRules:
    """Configured rules for request heads, named after the directives."""

    client_header_buffer_size: int = 1024
    large_client_header_buffers: tuple[int, int] = (4, 8192)
    ignore_invalid_headers: bool = True
    underscores_in_headers: bool = False
    merge_slashes: bool = True
    max_headers: int = 1000


RulesOf = Callable[[str], HeadRules | None]
"""The rules of the server for a host name (as in `RequestHead.host`, "" without one).

Returns None if the server must not be used on this connection.
"""

MISDIRECTED: Final = (
    "client attempted to request the server name different from the one that was negotiated"
)


class LogNote(NamedTuple):
    """A log message about a field that was ignored, with the log context at that time."""

    text: str
    level: Level
    host: str | None
    referrer: str | None

    @property
    def log_headers(self) -> tuple[Header, ...]:
        """The fields that the log line contains."""
        return _log_headers(self.host, self.referrer)


class BadRequestError(Exception):
    """The request head is invalid; the connection is closed after the response.

    The attributes are what was parsed before: the response depends on `method`, `version`,
    `name` and `headers`, the log line on `line`, `host` and `referrer`.
    """

    def __init__(self, status: int, text: str, action: str, draft: RequestHeadBuilder) -> None:
        super().__init__(text)
        self.status = status
        """Status of the page: 400, 405, 414, 421, 494 (sent as 400), 501 or 505."""
        self.text = text
        self.level = Level.INFO
        self.action = action
        self.line = draft.line
        """The request line as far as it was received."""
        self.method = draft.method
        self.target = draft.target
        """As in `RequestHead`, like `path` and `query` (`args`); "" if the line is invalid."""
        self.path = draft.path
        self.query = draft.args
        self.length = draft.length
        """Bytes of the lines that were understood."""
        self.protocol = draft.protocol
        """`HTTP/1.1`; "" if it is incomplete, None if there is none."""
        self.version = draft.version
        """As in `RequestHead`: for 9 the response is the page without a head."""
        self.name = draft.name
        """As `RequestHead.host`; None if no name has selected a server yet."""
        self.headers = tuple(draft.headers)
        self.host = draft.host
        """The Host field as sent; None if it was not read."""
        self.referrer = draft.referrer
        self.notes = tuple(draft.notes)

    @property
    def log_headers(self) -> tuple[Header, ...]:
        """The fields that the log line contains."""
        return _log_headers(self.host, self.referrer)

    def request(self) -> RequestHead:
        """What was parsed, for the response."""
        return RequestHead(
            self.line,
            self.method,
            self.target,
            self.path,
            self.query,
            self.version,
            self.headers,
            self.name or "",
            keepalive=False,
        )


def _log_headers(host: str | None, referrer: str | None) -> tuple[Header, ...]:
    fields = (("host", host), ("referer", referrer))
    return tuple([(name, value) for name, value in fields if value is not None])


class RequestHeadBuilder:
    """The state of a request head while it is parsed."""

    __slots__ = (
        "args",
        "connection",
        "headers",
        "host",
        "length",
        "line",
        "method",
        "name",
        "notes",
        "path",
        "protocol",
        "referrer",
        "rules",
        "rules_of",
        "target",
        "unique",
        "version",
    )

    def __init__(self, rules: HeadRules, rules_of: RulesOf | None) -> None:
        self.rules = rules
        self.rules_of = rules_of
        self.line = ""
        self.length = 0
        """Bytes of the lines that were understood."""
        self.protocol: str | None = None
        self.method = ""
        self.target = ""
        self.path = ""
        self.args = ""
        self.version = 10
        self.name: str | None = None
        self.host: str | None = None
        self.referrer: str | None = None
        self.connection: bool | None = None
        """Whether the Connection field requests keep-alive; None if it does not specify it."""
        self.headers: list[Header] = []
        self.unique: dict[str, Header] = {}
        """Fields of `_UNIQUE` received so far, by name in lower case."""
        self.notes: list[LogNote] = []

    def choose(self, name: str, action: str = READING_HEADERS) -> None:
        """Select the server by host ("" for none); its rules apply from now on."""
        if self.rules_of is not None:
            rules = self.rules_of(name)
            if rules is None:
                raise self.refusal(MISDIRECTED, 421, action)
            self.rules = rules
        self.name = name

    def note(self, text: str) -> None:
        self.notes.append(LogNote(text, Level.INFO, self.host, self.referrer))

    def refusal(
        self, text: str, status: int = 400, action: str = READING_HEADERS
    ) -> BadRequestError:
        return BadRequestError(status, text, action, self)

    def take(self, field: Header) -> None:
        """Check a field by its rule, and add it. Raises `BadRequestError`."""
        if len(self.headers) >= self.rules.max_headers:
            raise self.refusal("client sent too many header lines", 494)
        self.headers.append(field)
        rule = _RULES.get(field[0].lower())
        if rule is not None:
            rule(self, field)

    def judge(self) -> None:
        """Do nginx's checks after the last line, in its order. Raises `BadRequestError`."""
        if self.name is None:
            self.choose("")
        length = self.unique.get("content-length")
        encoding = self.unique.get("transfer-encoding")
        if self.host is None and self.version > 10:
            raise self.refusal('client sent HTTP/1.1 request without "Host" header')
        if length is not None and header_fields.content_length(length[1]) is None:
            raise self.refusal('client sent invalid "Content-Length" header')
        if encoding is not None:
            if self.version < 11:
                raise self.refusal('client sent HTTP/1.0 request with "Transfer-Encoding" header')
            if encoding[1].lower() != "chunked":
                text = f'client sent unknown "Transfer-Encoding": "{encoding[1]}"'
                raise self.refusal(text, 501)
            if length is not None:
                raise self.refusal(
                    'client sent "Content-Length" and "Transfer-Encoding" headers at the same time'
                )
        if self.method in ("CONNECT", "TRACE"):
            raise self.refusal(f"client sent {self.method} method", 405)

    def request(self) -> RequestHead:
        length = self.unique.get("content-length")
        return RequestHead(
            line=self.line,
            method=self.method,
            target=self.target,
            path=self.path,
            args=self.args,
            version=self.version,
            headers=tuple(self.headers),
            host=self.name or "",
            content_length=None if length is None else header_fields.content_length(length[1]),
            chunked="transfer-encoding" in self.unique,
            keepalive=self.version > 10 if self.connection is None else self.connection,
            expects_continue=self.version == 11 and self._expects_continue(),
            names=self._names(),
        )

    def _names(self) -> tuple[str, ...]:
        if any(header_fields.is_invalid_name(name, underscores=False) for name, _ in self.headers):
            return ()
        return tuple([name.lower() for name, _ in self.headers])

    def _expects_continue(self) -> bool:
        expect = self.unique.get("expect")
        return expect is not None and expect[1].lower() == "100-continue"


# Rules of the fields that nginx checks


def _take_host(draft: RequestHeadBuilder, field: Header) -> None:
    _, value = field
    if draft.host is not None:
        previous = draft.unique["host"]
        raise draft.refusal(_duplicate("host header", field, previous))
    draft.host = value
    draft.unique["host"] = field
    host = header_fields.valid_host(value)
    if host is None:
        raise draft.refusal("client sent invalid host header")
    if draft.name is None:  # the host of an absolute target takes precedence
        draft.choose(host)


def _take_referrer(draft: RequestHeadBuilder, field: Header) -> None:
    if draft.referrer is None:
        draft.referrer = field[1]


def _take_connection(draft: RequestHeadBuilder, field: Header) -> None:
    value = field[1].lower()
    if "close" in value:
        draft.connection = False
    elif "keep-alive" in value:
        draft.connection = True


def _take_unique(draft: RequestHeadBuilder, field: Header) -> None:
    previous = draft.unique.setdefault(field[0].lower(), field)
    if previous is not field:
        raise draft.refusal(_duplicate("header line", field, previous))


def _duplicate(what: str, field: Header, previous: Header) -> str:
    return (
        f'client sent duplicate {what}: "{field[0]}: {field[1]}", '
        f'previous value: "{previous[0]}: {previous[1]}"'
    )


_UNIQUE: Final = (
    "authorization",
    "content-length",
    "content-range",
    "expect",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "proxy-authorization",
    "transfer-encoding",
)

AT_MOST_ONCE: Final = ("host", "connection", *_UNIQUE)
"""Fields that occur once in a simple head. A second Connection is valid, but not simple."""

_RULES: Final[dict[str, Callable[[RequestHeadBuilder, Header], None]]] = {
    "host": _take_host,
    "connection": _take_connection,
    "referer": _take_referrer,
    **dict.fromkeys(_UNIQUE, _take_unique),
}
