"""Parse response heads of upstreams to `ResponseHead`, or to nginx's errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from ..models import Failure, FailureType, Header, Level, ProxyError, ResponseHead
from . import header_fields

EARLY_HINTS: Final = 103
SWITCHING_PROTOCOLS: Final = 101
WITHOUT_BODY: Final = frozenset({204, 304})


class NotHTTPError(Exception):
    """The upstream sent no status line.

    nginx logs `text` at level error and forwards all bytes until the end of the connection
    unchanged, as an HTTP/0.9 response with status 200.
    """

    def __init__(self) -> None:
        self.text = "upstream sent no valid HTTP/1.0 header"
        super().__init__(self.text)


class BadResponseError(ProxyError):
    """The response head is invalid (failure type `invalid_header`)."""

    def __init__(self, text: str, notes: Iterable[str] = ()) -> None:
        super().__init__(Failure(text, Level.ERROR, FailureType.INVALID_HEADER))
        self.notes = tuple(notes)
        """As in `ParsedResponse`: messages to log before."""


class ParsedResponse(NamedTuple):
    """A complete response head."""

    head: ResponseHead
    length: int
    """Length in bytes, including the empty line at the end."""
    notes: tuple[str, ...]
    """Messages at level warn about ignored fields."""


_STATUS_LINE: Final = re.compile(
    rf"""
    HTTP/ (?P<major> [1-9][0-9]{{0,2}} ) \. {header_fields.MINOR_VERSION}
    [ ]+ (?P<status> [0-9] [ ]* [0-9] [ ]* [0-9] )      # nginx skips spaces between digits too
    (?P<text> [ .] [^\r\n]* )?                          # IIS sends 403.1
    \r? \n
    """,
    re.VERBOSE,
)

_BEGINNING: Final = header_fields.prefix_pattern(
    [
        *("H", "T", "T", "P", "/", "[1-9][0-9]{0,2}", r"\.", header_fields.MINOR_VERSION),
        *("[ ]+", "[0-9]", "[ ]*", "[0-9]", "[ ]*", "[0-9]", r"(?:[ .][^\r\n]*)?", r"\r"),
    ]
)


def read_response_head(
    buffer: bytes | bytearray, *, request_method: str, limit: int = 4096
) -> ParsedResponse | None:
    """Parse the head at the start of `buffer`; None if it is incomplete.

    `limit` is its maximum size in bytes (`proxy_buffer_size`). A head with status 103 is followed
    by another one; any other 1xx is treated as a final response. Raises `BadResponseError` and
    `NotHTTPError` as early as nginx does.
    """
    text = bytes(buffer[:limit]).decode("latin-1")
    parsed = _read_simple(text, request_method) or _read(text, request_method)
    if parsed is None and len(text) == limit:
        raise BadResponseError("upstream sent too big header")
    return parsed


_SIMPLE_STATUS_LINE: Final = re.compile(r"HTTP/1\.1 (([2-9][0-9][0-9])( [^\r\n]*)?)\r\n")


def _read_simple(text: str, request_method: str) -> ParsedResponse | None:
    """Parse a simple head; None for any other. See `request_head.read_simple_head`."""
    line = _SIMPLE_STATUS_LINE.match(text)
    if line is None:
        return None
    end = text.find("\r\n\r\n", line.end() - 2) + 4
    headers = header_fields.parse_simple_headers(text, line.end(), end - 2) if end > 3 else None
    if headers is None:
        return None
    known = {header[0].lower(): header for header in headers}
    names = tuple(known)
    if len(names) < len(headers):
        names = tuple([name.lower() for name, _ in headers])
        if any(names.count(name) > 1 for name in _RULES):
            return None
    chunked, length = False, None
    if "transfer-encoding" in known:
        chunked = known["transfer-encoding"][1].lower() == "chunked"
        if not chunked or "content-length" in known:
            return None
    elif "content-length" in known:
        length = header_fields.content_length(known["content-length"][1])
        if length is None:
            return None
    status_line, number, reason = line.groups("")
    status = int(number)
    keepalive = chunked or length is not None or request_method == "HEAD" or status in WITHOUT_BODY
    if keepalive and "connection" in known:
        keepalive = "close" not in known["connection"][1].lower()
    head = ResponseHead(
        11, status, reason[1:], tuple(headers), length, chunked, keepalive, status_line, names
    )
    return ParsedResponse(head, end, ())


def _read(text: str, request_method: str) -> ParsedResponse | None:
    line = _STATUS_LINE.match(text)
    if line is None:
        if _BEGINNING.fullmatch(text):
            return None
        raise NotHTTPError
    draft = ResponseHeadBuilder(int(line["status"].replace(" ", "")))
    old = (int(line["major"]), int(line["minor"])) < (1, 1)
    if old and draft.status == EARLY_HINTS:
        raise BadResponseError("upstream sent HTTP/1.0 response with early hints")
    position = _read_fields(draft, text, line.end())
    if position is None:
        return None
    status_text = line["text"] or ""
    head = ResponseHead(
        version=10 if old else 11,
        status=draft.status,
        reason=status_text[1:],
        status_line=text[line.end("status") - 3 : line.end("status")] + status_text,
        headers=tuple(draft.headers),
        content_length=draft.content_length,
        chunked=draft.chunked,
        keepalive=not old and _leaves_open(draft, request_method),
    )
    return ParsedResponse(head, position, tuple(draft.notes))


def read_gateway_head(
    buffer: bytes | bytearray, *, request_method: str, limit: int = 4096
) -> ParsedResponse | None:
    """Parse the head of a uwsgi or SCGI server: with a status line, or as of a CGI program.

    As `read_response_head` in all other respects, but that no further head follows a 103.
    """
    text = bytes(buffer[:limit]).decode("latin-1")
    line = _STATUS_LINE.match(text)
    if line is not None:
        draft = ResponseHeadBuilder(int(line["status"].replace(" ", "")), is_http=False)
        position = _read_fields(draft, text, line.end())
        status_line = text[line.end("status") - 3 : line.end("status")] + (line["text"] or "")
        parsed = None if position is None else _cgi_response(draft, status_line, position)
    elif _BEGINNING.fullmatch(text):
        parsed = None
    else:
        parsed = read_cgi_head(text)
    if parsed is None and len(text) == limit:
        raise BadResponseError("upstream sent too big header")
    return parsed


def read_cgi_head(text: str) -> ParsedResponse | None:
    """Parse a head without status line at the start of `text`; None if it is incomplete.

    The status is that of the field Status, else 302 with a Location and 200 without one. Raises
    `BadResponseError`.
    """
    draft = ResponseHeadBuilder(0, is_http=False)
    position = _read_fields(draft, text, 0)
    if position is None:
        return None
    if "status" in draft.met:
        value = draft.met["status"][1]
        digits = value[:3]
        if not (len(digits) == 3 and digits.isascii() and digits.isdigit()):
            raise draft.refusal(f'upstream sent invalid status "{value}"')
        draft.status = int(digits)
        return _cgi_response(draft, value if len(value) > 3 else "", position)
    if "location" in draft.met:
        draft.status = 302
        return _cgi_response(draft, "302 Moved Temporarily", position)
    draft.status = 200
    return _cgi_response(draft, "200 OK", position)


def _cgi_response(draft: ResponseHeadBuilder, status_line: str, length: int) -> ParsedResponse:
    head = ResponseHead(
        version=11,
        status=draft.status,
        reason=status_line[4:],
        status_line=status_line,
        headers=tuple(draft.headers),
        content_length=draft.content_length,
    )
    return ParsedResponse(head, length, tuple(draft.notes))


class ResponseHeadBuilder:
    """The state of a response head while it is parsed."""

    __slots__ = (
        *("chunked", "close", "content_length", "headers", "is_http", "met", "notes", "status"),
    )

    def __init__(self, status: int, *, is_http: bool = True) -> None:
        self.status = status
        self.is_http = is_http
        self.headers: list[Header] = []
        self.met: dict[str, Header] = {}
        """Fields that may occur once, by name in lower case."""
        self.notes: list[str] = []
        self.content_length: int | None = None
        self.chunked = False
        self.close = False

    def refusal(self, text: str) -> BadResponseError:
        return BadResponseError(text, self.notes)

    def take(self, field: Header) -> None:
        """Add a field. Raises `BadResponseError` if it is not allowed."""
        _take(self, field)


def _leaves_open(draft: ResponseHeadBuilder, request_method: str) -> bool:
    """Whether keep-alive is possible: the length of the body must be known without EOF."""
    bodiless = request_method == "HEAD" or draft.status in WITHOUT_BODY
    delimited = bodiless or draft.chunked or draft.content_length is not None
    return delimited and not draft.close and draft.status != SWITCHING_PROTOCOLS


# The header lines

_COUNTS: Final = re.compile("[A-Za-z0-9_-]")
"""A name without any of these has hash 0 in nginx, which marks fields that are not sent."""


def _read_fields(draft: ResponseHeadBuilder, text: str, position: int) -> int | None:
    """Parse header lines from `position`; returns the position after the empty line, or None."""
    while True:
        if text.startswith("HTTP/", position):  # IIS sends its status line twice
            position = text.find("\n", position) + 1
            if not position:
                return None
            continue
        try:
            match = header_fields.read_line(text, position, len(text))
        except header_fields.InvalidLineError as error:
            raise draft.refusal(f'upstream sent invalid header: "{error}"') from None
        if match is None:
            return None
        position = match.end()
        if match["name"] is None:
            return position
        if _COUNTS.search(match["name"]):
            _take(draft, (match["name"], (match["value"] or "").rstrip(" ")))


def _take(draft: ResponseHeadBuilder, field: Header) -> None:
    key = field[0].lower()
    if key in _RULES and not (draft.is_http and draft.status == EARLY_HINTS):
        _RULES[key](draft, key, field)
    else:
        draft.headers.append(field)


def _take_connection(draft: ResponseHeadBuilder, key: str, field: Header) -> None:
    draft.headers.append(field)
    draft.close = draft.close or "close" in field[1].lower()


def _take_content_length(draft: ResponseHeadBuilder, key: str, field: Header) -> None:
    _take_framing(draft, key, field)
    draft.content_length = header_fields.content_length(field[1])
    if draft.content_length is None:
        text = f'upstream sent invalid "Content-Length" header: "{field[0]}: {field[1]}"'
        raise draft.refusal(text)


def _take_transfer_encoding(draft: ResponseHeadBuilder, key: str, field: Header) -> None:
    _take_framing(draft, key, field)
    draft.chunked = field[1].lower() == "chunked"
    if not draft.chunked:
        raise draft.refusal(f'upstream sent unknown "Transfer-Encoding": "{field[1]}"')


def _take_framing(draft: ResponseHeadBuilder, key: str, field: Header) -> None:
    if key in draft.met:
        raise draft.refusal(_duplicate(field, draft.met[key]))
    draft.met[key] = field
    draft.headers.append(field)
    if "content-length" in draft.met and "transfer-encoding" in draft.met:
        raise draft.refusal(
            'upstream sent "Content-Length" and "Transfer-Encoding" headers at the same time'
        )


def _take_first(draft: ResponseHeadBuilder, key: str, field: Header) -> None:
    if key in draft.met:
        draft.notes.append(f"{_duplicate(field, draft.met[key])}, ignored")
    else:
        draft.met[key] = field
        draft.headers.append(field)


def _duplicate(field: Header, previous: Header) -> str:
    return (
        f'upstream sent duplicate header line: "{field[0]}: {field[1]}", '
        f'previous value: "{previous[0]}: {previous[1]}"'
    )


_FIRST_COUNTS: Final = (
    "content-type",
    "date",
    "etag",
    "expires",
    "last-modified",
    "location",
    "refresh",
    "server",
    "status",
    "x-accel-expires",
    "x-accel-limit-rate",
    "x-accel-redirect",
)

_RULES: Final[dict[str, Callable[[ResponseHeadBuilder, str, Header], None]]] = {
    "connection": _take_connection,
    "content-length": _take_content_length,
    "transfer-encoding": _take_transfer_encoding,
    **dict.fromkeys(_FIRST_COUNTS, _take_first),
}
"""Rules of fields, by name in lower case; other fields are forwarded unchanged."""
