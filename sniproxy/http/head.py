"""Request heads: from the first bytes of a request to a `Request`, or to nginx's refusal.

nginx judges a head byte by byte as it arrives. Here it is judged line by line, with the same
outcome however the bytes are cut: `read_request_head` is asked again with all that has come so
far, and answers as soon as nginx would. A head of ordinary fields takes a short way, any other
a careful one; both end in the same rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from ..message import Header, Level, Request, first_header
from . import fields, request_line
from .buffers import HeaderBuffers
from .upstream_head import NotHTTP, ParsedResponse, read_response_head
from .uri import BadURI, normalise, split_target

__all__ = [
    "BadRequest",
    "HeadRules",
    "NotHTTP",
    "Note",
    "ParsedHead",
    "ParsedResponse",
    "read_request_head",
    "read_response_head",
]

READING_LINE: Final = "reading client request line"
READING_HEADERS: Final = "reading client request headers"

LONGEST_PRINTED: Final = 1748
"""Bytes of an overlong header line that reach the log."""


@dataclass(frozen=True, slots=True)
class HeadRules:
    """What the configuration says about request heads, under the directives' names."""

    client_header_buffer_size: int = 1024
    large_client_header_buffers: tuple[int, int] = (4, 8192)
    ignore_invalid_headers: bool = True
    underscores_in_headers: bool = False
    merge_slashes: bool = True
    max_headers: int = 1000


RulesOf = Callable[[str], HeadRules]
"""The rules of the server for a host name (as in `Request.host`)."""


class Note(NamedTuple):
    """A line for the error log that refuses nothing, with the log's context at that moment."""

    text: str
    level: Level
    host: str | None
    referrer: str | None


class ParsedHead(NamedTuple):
    """A complete request head."""

    request: Request
    length: int
    """Bytes it took, with empty lines before it and the one that ends it."""
    notes: tuple[Note, ...]
    """One for each header line that was dropped."""


class BadRequest(Exception):
    """A request head that nginx refuses; it closes the connection after the answer.

    What was understood by then is what nginx answers by (`method`, `version`, `name`,
    `headers`) and what its log line shows (`line`, `host`, `referrer`).
    """

    def __init__(self, status: int, text: str, action: str, draft: Draft) -> None:
        super().__init__(text)
        self.status = status
        """The page to show: 400, 405, 414, 494 (shown as 400), 501 or 505."""
        self.text = text
        self.level = Level.INFO
        self.action = action
        self.line = draft.line
        """The request line as far as it was received."""
        self.method = draft.method
        self.version = draft.version
        """As in `Request`: after 9 the answer is the bare page, without a head."""
        self.name = draft.name
        """As `Request.host`."""
        self.headers = tuple(draft.headers)
        self.host = draft.host
        """The Host header as sent; None if none was read."""
        self.referrer = draft.referrer
        self.notes = tuple(draft.notes)


class Draft:
    """What is known of a request while its head is read."""

    __slots__ = (
        "args",
        "connection",
        "headers",
        "host",
        "line",
        "method",
        "name",
        "notes",
        "path",
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
        self.method = ""
        self.target = ""
        self.path = ""
        self.args = ""
        self.version = 10
        self.name = ""
        self.host: str | None = None
        self.connection: bool | None = None
        """Whether the Connection header asks for keep-alive; None if it does not say."""
        self.headers: list[Header] = []
        self.unique: dict[str, Header] = {}
        """The fields of `_UNIQUE` that were met, by lower-case name."""
        self.notes: list[Note] = []

    @property
    def referrer(self) -> str | None:
        return first_header(self.headers, "referer")

    def choose(self, name: str) -> None:
        """The host is known: from here on the rules of its server hold."""
        self.name = name
        if self.rules_of is not None:
            self.rules = self.rules_of(name)

    def note(self, text: str) -> None:
        self.notes.append(Note(text, Level.INFO, self.host, self.referrer))

    def refusal(self, text: str, status: int = 400, action: str = READING_HEADERS) -> BadRequest:
        return BadRequest(status, text, action, self)


def read_request_head(
    buffer: bytes | bytearray, rules: HeadRules, rules_of: RulesOf | None = None
) -> ParsedHead | None:
    """The head at the beginning of `buffer`; None if more bytes are needed to tell.

    `rules` are those of the server that the address or SNI chose; `rules_of` tells those of
    the server for a host name, which hold from the line on that names it (all but the sizes of
    buffers and `merge_slashes`). Raises `BadRequest` as early as nginx does.
    """
    start = 0
    if buffer.startswith((b"\r", b"\n")):
        start = len(buffer) - len(buffer.lstrip(b"\r\n"))
    end = buffer.find(b"\r\n\r\n", start) + 4
    text = bytes(buffer if end < 4 else buffer[:end]).decode("latin-1")
    draft = Draft(rules, rules_of)
    room = HeaderBuffers(rules.client_header_buffer_size, rules.large_client_header_buffers, start)
    position = _read_line(draft, text, start, room)
    if position is None:
        return None
    if draft.version > 9:
        ordinary = None
        if 4 <= end <= rules.client_header_buffer_size:
            ordinary = fields.ordinary_fields(text, position, end - 2)
        if ordinary is not None:
            for field in ordinary:
                _take(draft, field)
            position = end
        else:
            position = _read_fields(draft, text, position, room)
            if position is None:
                return None
        _judge(draft)
    return ParsedHead(_request(draft), position, tuple(draft.notes))


# The request line


_METHOD: Final = re.compile("[A-Z_-]+(?= )")
_LINE_CONTENT: Final = re.compile(r"[^\r\n]*")


def _read_line(draft: Draft, text: str, start: int, room: HeaderBuffers) -> int | None:
    """Fill `draft` from the request line: the position after it, or None."""
    limit = room.limit()
    match = request_line.LINE.match(text, start, start + limit)
    if match is None:
        _refuse_line(draft, text[start:], limit)
        return None
    draft.line = match[0].rstrip("\r\n")
    draft.method = match["connect"] or match["method"]
    draft.version = 9 if match["minor"] is None else 11 if int(match["minor"]) else 10
    if draft.version == 9 and draft.method != "GET":
        raise draft.refusal("client sent invalid method in HTTP/0.9 request", 400, READING_LINE)
    draft.target = match["origin"] or match["rest"] or "/"
    path, draft.args = split_target(draft.target)
    try:
        draft.path = normalise(path or "/", draft.rules.merge_slashes)
    except BadURI:
        raise draft.refusal("client sent invalid request", 400, READING_LINE) from None
    authority = match["tunnel"] or match["authority"]
    if authority is not None:
        name = fields.valid_host(authority)
        if name is None:
            raise draft.refusal("client sent invalid host in request line", 400, READING_LINE)
        draft.choose(name)
    room.take(len(match[0]))
    return match.end()


def _refuse_line(draft: Draft, received: str, limit: int) -> None:
    """Raise `BadRequest` unless `received` may become a request line within `limit`."""
    begun = received[:limit]
    method = _METHOD.match(begun)
    if method is not None:
        draft.method = method[0]
    if not request_line.is_beginning(begun):
        content = _LINE_CONTENT.match(received)
        draft.line = content[0] if content else ""
        status, text = request_line.refusal(begun)
        raise draft.refusal(text, status, READING_LINE)
    if len(begun) == limit:
        draft.line = begun
        raise draft.refusal("client sent too long URI", 414, READING_LINE)


# The header lines


def _read_fields(draft: Draft, text: str, position: int, room: HeaderBuffers) -> int | None:
    """Take header lines from `position` on: the position after the empty line, or None."""
    previous = position
    while True:
        limit = room.limit()
        try:
            line = fields.read_line(text, position, position + limit)
        except fields.InvalidLine as error:
            raise draft.refusal(f'client sent invalid header line: "{error}"') from None
        if line is None and len(text) - position < limit:
            return None
        if line is None:
            raise _too_large(draft, text[position if limit else previous : position + limit])
        if line["name"] is None:
            return line.end()
        room.take(len(line[0]))
        previous, position = position, line.end()
        _take_line(draft, line)


def _too_large(draft: Draft, line: str) -> BadRequest:
    if not line:
        return draft.refusal("client sent too large request", 494)
    return draft.refusal(f'client sent too long header line: "{line[:LONGEST_PRINTED]}..."', 494)


def _take_line(draft: Draft, line: re.Match[str]) -> None:
    rules = draft.rules
    name = line["name"]
    if rules.ignore_invalid_headers and fields.is_invalid_name(name, rules.underscores_in_headers):
        draft.note(f'client sent invalid header line: "{fields.printed_line(line[0])}"')
    else:
        _take(draft, (name, (line["value"] or "").rstrip(" ")))


def _take(draft: Draft, field: Header) -> None:
    if len(draft.headers) >= draft.rules.max_headers:
        raise draft.refusal("client sent too many header lines", 494)
    draft.headers.append(field)
    rule = _RULES.get(field[0].lower())
    if rule is not None:
        rule(draft, field)


def _take_host(draft: Draft, field: Header) -> None:
    _, value = field
    if draft.host is not None:
        previous = draft.unique["host"]
        raise draft.refusal(_duplicate("host header", field, previous))
    draft.host = value
    draft.unique["host"] = field
    host = fields.valid_host(value)
    if host is None:
        raise draft.refusal("client sent invalid host header")
    if not draft.name:  # an absolute target's host wins
        draft.choose(host)


def _take_connection(draft: Draft, field: Header) -> None:
    value = field[1].lower()
    if "close" in value:
        draft.connection = False
    elif "keep-alive" in value:
        draft.connection = True


def _take_unique(draft: Draft, field: Header) -> None:
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

_RULES: Final[dict[str, Callable[[Draft, Header], None]]] = {
    "host": _take_host,
    "connection": _take_connection,
    **dict.fromkeys(_UNIQUE, _take_unique),
}


# The head as a whole


def _judge(draft: Draft) -> None:
    """What nginx checks once the last line is in, in its order."""
    length = draft.unique.get("content-length")
    encoding = draft.unique.get("transfer-encoding")
    if draft.host is None and draft.version > 10:
        raise draft.refusal('client sent HTTP/1.1 request without "Host" header')
    if length is not None and fields.content_length(length[1]) is None:
        raise draft.refusal('client sent invalid "Content-Length" header')
    if encoding is not None:
        if draft.version < 11:
            raise draft.refusal('client sent HTTP/1.0 request with "Transfer-Encoding" header')
        if encoding[1].lower() != "chunked":
            text = f'client sent unknown "Transfer-Encoding": "{encoding[1]}"'
            raise draft.refusal(text, 501)
        if length is not None:
            raise draft.refusal(
                'client sent "Content-Length" and "Transfer-Encoding" headers at the same time'
            )
    if draft.method in ("CONNECT", "TRACE"):
        raise draft.refusal(f"client sent {draft.method} method", 405)


def _request(draft: Draft) -> Request:
    length = draft.unique.get("content-length")
    return Request(
        line=draft.line,
        method=draft.method,
        target=draft.target,
        path=draft.path,
        args=draft.args,
        version=draft.version,
        headers=tuple(draft.headers),
        host=draft.name,
        content_length=None if length is None else fields.content_length(length[1]),
        chunked="transfer-encoding" in draft.unique,
        keepalive=draft.version > 10 if draft.connection is None else draft.connection,
    )
