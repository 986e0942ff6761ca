"""Parse request heads to `RequestHead`, or to nginx's errors.

nginx parses a head byte by byte as it arrives. Here it is parsed line by line, with the same
result however the bytes are split: `HeadReader.read` is called again with all bytes received so
far, and returns or raises as early as nginx. Simple heads (`read_simple_head`) are parsed by two
regular expressions, others line by line.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ..models import RequestHead
from . import header_fields, request_line
from .header_buffers import HeaderBuffers
from .request_fields import (
    AT_MOST_ONCE,
    READING_HEADERS,
    READING_LINE,
    BadRequestError,
    HeadRules,
    LogNote,
    RequestHeadBuilder,
    RulesOf,
)
from .uri import URIError, is_normal_unless, normalise, split_target

__all__ = [
    "READING_HEADERS",
    "READING_LINE",
    "BadRequestError",
    "HeadReader",
    "HeadRules",
    "LogNote",
    "ParsedHead",
    "RulesOf",
    "read_request_head",
]

LONGEST_PRINTED: Final = 1748
"""Number of bytes of an overlong header line that are logged."""


class ParsedHead(NamedTuple):
    """A complete request head."""

    request: RequestHead
    length: int
    """Length in bytes, including empty lines before and after it."""
    notes: tuple[LogNote, ...]
    """One for each header line that was ignored."""


class HeadReader:
    """Parses a request head that arrives in pieces; complete lines are parsed once.

    `rules` are those of the server selected by address or SNI; `rules_of` returns those of the
    server for a host name, which apply from the line with the host on (except buffer sizes and
    `merge_slashes`).
    """

    __slots__ = ("_draft", "_position", "_room", "_rules")

    def __init__(self, rules: HeadRules, rules_of: RulesOf | None = None) -> None:
        self._rules = rules
        self._draft = RequestHeadBuilder(rules, rules_of)
        self._room: HeaderBuffers | None = None
        self._position = 0
        """Start of the first line that is not parsed yet, after the request line."""

    def read(self, buffer: bytes | bytearray) -> ParsedHead | None:
        """Parse all bytes received since the start of the head; None if it is incomplete.

        Raises `BadRequestError` as early as nginx does.
        """
        if self._room is None:
            return self._begin(buffer)
        return self._go_on(self._room, bytes(buffer[self._position :]).decode("latin-1"), 0)

    def cut_short(self, buffer: bytes | bytearray, status: int, text: str) -> BadRequestError:
        """The error for a head that remains incomplete; `text` is the reason."""
        draft = self._draft
        if self._room is not None:
            return draft.refusal(text, status)
        draft.line = bytes(buffer).lstrip(b"\r\n").rstrip(b"\r").decode("latin-1")
        draft.protocol = _begun_protocol(draft.line)
        return draft.refusal(text, status, READING_LINE)

    def _begin(self, buffer: bytes | bytearray) -> ParsedHead | None:
        rules = self._rules
        start = 0
        if buffer.startswith((b"\r", b"\n")):
            start = len(buffer) - len(buffer.lstrip(b"\r\n"))
        text = bytes(buffer).decode("latin-1")
        room = HeaderBuffers(
            rules.client_header_buffer_size, rules.large_client_header_buffers, start
        )
        position = _read_line(self._draft, text, start, room)
        if position is None:
            return None
        if self._draft.version == 9:
            return self._finish(position)
        self._room = room
        self._position = position
        return self._go_on(room, text, position)

    def _go_on(self, room: HeaderBuffers, text: str, start: int) -> ParsedHead | None:
        position, ended = _read_fields(self._draft, text, start, room)
        self._position += position - start
        return self._finish(self._position) if ended else None

    def _finish(self, length: int) -> ParsedHead:
        draft = self._draft
        if draft.version > 9:
            draft.judge()
        elif draft.name is None:
            draft.choose("", READING_LINE)
        return ParsedHead(draft.request(), length, tuple(draft.notes))


_SIMPLE_LINE: Final = re.compile(r"([A-Z_-]+) (/[^\x00-\x20\x7f#]*) HTTP/1\.([01])\r\n")
_NOT_SIMPLE: Final = frozenset(("CONNECT", "TRACE"))


def read_simple_head(
    buffer: bytes | bytearray, rules: HeadRules, rules_of: RulesOf | None
) -> ParsedHead | None:
    """Parse a complete head without unusual parts; None for any other.

    Nearly every request is simple: it arrives completely, fits into the first buffer, its target
    is a path, and its fields need no checks. This takes a third of the time of `HeadReader`; both
    have the same result (`tests/http/test_head.py`).
    """
    end = buffer.find(b"\r\n\r\n") + 4
    if not 4 <= end <= rules.client_header_buffer_size:
        return None
    text = bytes(buffer[:end]).decode("latin-1")
    line = _SIMPLE_LINE.match(text)
    if line is None:
        return None
    position = line.end()
    headers = header_fields.parse_simple_headers(text, position, end - 2)
    if headers is None:
        return None
    method, target, minor = line.groups()
    known = {header[0].lower(): header for header in headers}
    names = tuple(known)
    host = known.get("host")
    if (
        host is None
        or method in _NOT_SIMPLE
        or "transfer-encoding" in known
        or len(headers) > rules.max_headers
    ):
        return None
    if len(names) < len(headers):
        names = tuple([name.lower() for name, _ in headers])
        if any(names.count(name) > 1 for name in AT_MOST_ONCE):
            return None
    length = None
    if "content-length" in known:
        length = header_fields.content_length(known["content-length"][1])
        if length is None:
            return None
    path, _, args = target.partition("?")
    name = header_fields.valid_host(host[1])
    if name is None:
        return None
    if is_normal_unless(path):
        try:
            path = normalise(path, rules.merge_slashes)
        except URIError:
            return None
    if rules_of is not None:
        chosen = rules_of(name)
        if chosen is None or len(headers) > chosen.max_headers:
            return None
    version = 11 if minor == "1" else 10
    keepalive = version == 11
    if "connection" in known:
        connection = known["connection"][1].lower()
        keepalive = "close" not in connection and (keepalive or "keep-alive" in connection)
    request = RequestHead(
        text[: position - 2],
        method,
        target,
        path,
        args,
        version,
        tuple(headers),
        name,
        length,
        False,
        keepalive,
        version == 11 and "expect" in known and known["expect"][1].lower() == "100-continue",
        names,
    )
    return ParsedHead(request, end, ())


def read_request_head(
    buffer: bytes | bytearray, rules: HeadRules, rules_of: RulesOf | None = None
) -> ParsedHead | None:
    """Parse the head at the start of `buffer`; None if it is incomplete.

    Raises `BadRequestError`.
    """
    parsed = read_simple_head(buffer, rules, rules_of)
    return HeadReader(rules, rules_of).read(buffer) if parsed is None else parsed


# The request line


_METHOD: Final = re.compile("[A-Z_-]+(?= )")
_PROTOCOL_BEGUN: Final = re.compile("[A-Z_-]+ +[^ ]+ +H")
_PROTOCOLS: Final = {9: "HTTP/0.9", 10: "HTTP/1.0", 11: "HTTP/1.1"}
_LINE_CONTENT: Final = re.compile(r"[^\r\n]*")


def _read_line(draft: RequestHeadBuilder, text: str, start: int, room: HeaderBuffers) -> int | None:
    """Parse the request line into `draft`; returns the position after it, or None."""
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
    draft.length = len(match[0])
    draft.protocol = _PROTOCOLS[draft.version]
    target = match["origin"] or match["rest"] or "/"
    path, args = split_target(target)
    try:
        draft.path = normalise(path or "/", draft.rules.merge_slashes)
    except URIError:
        raise draft.refusal("client sent invalid request", 400, READING_LINE) from None
    draft.target, draft.args = target, args
    authority = match["tunnel"] or match["authority"]
    if authority is not None:
        name = header_fields.valid_host(authority)
        if name is None:
            raise draft.refusal("client sent invalid host in request line", 400, READING_LINE)
        draft.choose(name, READING_LINE)
    room.take(len(match[0]))
    return match.end()


def _begun_protocol(line: str) -> str | None:
    """ "" if an invalid line contains the start of a protocol, else None."""
    match = _PROTOCOL_BEGUN.match(line)
    return "" if match is not None and request_line.is_beginning(match[0]) else None


def _refuse_line(draft: RequestHeadBuilder, received: str, limit: int) -> None:
    """Raise `BadRequestError` unless `received` may become a request line within `limit`."""
    begun = received[:limit]
    method = _METHOD.match(begun)
    if method is not None:
        draft.method = method[0]
    if not request_line.is_beginning(begun):
        content = _LINE_CONTENT.match(received)
        draft.line = content[0] if content else ""
        draft.protocol = _begun_protocol(begun)
        status, text = request_line.refusal(begun)
        raise draft.refusal(text, status, READING_LINE)
    if len(begun) == limit:
        draft.line = begun
        raise draft.refusal("client sent too long URI", 414, READING_LINE)


# The header lines


def _read_fields(
    draft: RequestHeadBuilder, text: str, position: int, room: HeaderBuffers
) -> tuple[int, bool]:
    """Parse header lines from `position`; returns the new position, and whether it was the last."""
    previous = position
    while True:
        limit = room.limit()
        try:
            line = header_fields.read_line(text, position, position + limit)
        except header_fields.InvalidLineError as error:
            raise draft.refusal(f'client sent invalid header line: "{error}"') from None
        if line is None and len(text) - position < limit:
            return position, False
        if line is None:
            raise _too_large(draft, text[position if limit else previous : position + limit])
        if line["name"] is None:
            draft.length += len(line[0])
            return line.end(), True
        room.take(len(line[0]))
        draft.length += len(line[0])
        previous, position = position, line.end()
        _take_line(draft, line)


def _too_large(draft: RequestHeadBuilder, line: str) -> BadRequestError:
    if not line:
        return draft.refusal("client sent too large request", 494)
    return draft.refusal(f'client sent too long header line: "{line[:LONGEST_PRINTED]}..."', 494)


def _take_line(draft: RequestHeadBuilder, line: re.Match[str]) -> None:
    rules = draft.rules
    name = line["name"]
    if rules.ignore_invalid_headers and header_fields.is_invalid_name(
        name, rules.underscores_in_headers
    ):
        draft.note(f'client sent invalid header line: "{header_fields.format_for_log(line[0])}"')
    else:
        draft.take((name, (line["value"] or "").rstrip(" ")))
