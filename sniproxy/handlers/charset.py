"""`charset`: name the charset of responses, and convert them (nginx's charset filter)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

from ..config.directives.charset import (
    ByteTable,
    Charset,
    CharsetName,
    Conversion,
    FromUtf8,
    ToUtf8,
)
from ..config.directives.gzip import ANY_TYPE
from ..config.model import Location
from ..config.utf8 import decode_symbol
from ..context import RequestContext
from ..http.content_type import split_content_type
from ..logs.error import ConnectionLog
from ..models import BodyReader, Level, Response, ResponseHead, first_header
from ..variables import lookup
from .added_headers import current_headers

REDIRECTS = (301, 302)
"""Statuses of responses whose charset is not named."""


class _NoValueError(Exception):
    """A variable has no value: as in nginx the request fails."""


class CharsetFilter:
    """Names and converts the charset of the responses of one location."""

    def __init__(self, settings: Charset) -> None:
        self._settings = settings
        self._known = settings.known
        self._any_type = ANY_TYPE in settings.charset_types

    def apply(self, response: Response, ctx: RequestContext, log: ConnectionLog) -> Response:
        if not response.content_type or response.close_without_response:
            return response
        response = self._converted(response, ctx, log)
        if not ctx.is_subrequest:
            ctx.charset = split_content_type(response.content_type)[1]
        return response

    def _converted(self, response: Response, ctx: RequestContext, log: ConnectionLog) -> Response:
        kind, present = split_content_type(response.content_type)
        try:
            target = self._target(response, kind, present, ctx, log)
            if target is None:
                return response
            source = self._source(present, ctx)
        except _NoValueError:
            ctx.sent_headers = partial(tuple, current_headers(response, ctx))
            return response.without_body()._replace(close_without_response=True)
        if source is None:
            return _named(response, target)
        known_target, known_source = self._known.find(target), self._known.find(source)
        if known_target is None or known_source is None:
            if known_target is known_source and target.lower() == source[: len(target)].lower():
                return _named(response, target)
        elif known_target == known_source:
            return _named(response._replace(content_type=kind), target)
        else:
            if first_header(response.headers, "content-encoding"):
                return response
            conversion = self._known.conversion(source, target)
            if conversion is not None:
                named = _named(response._replace(content_type=kind), target)
                return converted(named, conversion)
        names = f'"{source}" and "{target}"'
        log.write(Level.ERROR, f'no "charset_map" between the charsets {names}')
        return response

    def _target(
        self,
        response: Response,
        kind: str,
        present: str,
        ctx: RequestContext,
        log: ConnectionLog,
    ) -> str | None:
        """The charset that the response is to have; None if it is left as it is."""
        if ctx.is_subrequest:
            return ctx.main.charset or None
        override = ctx.override_charset
        if override:
            if self._known.find(override) is not None:
                return override
            log.write(Level.ERROR, f'unknown charset "{override}" to override')
            return None
        settings = self._settings
        if settings.charset is None:
            return None
        if present:
            if not settings.override_charset:
                return None
        elif not (self._any_type or kind.lower() in settings.charset_types):
            return None
        return self._evaluated(settings.charset, ctx)

    def _source(self, present: str, ctx: RequestContext) -> str | None:
        """The charset that the response has; None if that is not known."""
        if present:
            return present
        source = self._settings.source_charset
        return None if source is None else self._evaluated(source, ctx)

    def _evaluated(self, name: CharsetName, ctx: RequestContext) -> str:
        if isinstance(name, str):
            return self._known.find(name) or name
        value = lookup(ctx)(name.variables[0])
        if value is None:
            raise _NoValueError
        return value


def ask_for_charset(
    x_accel: Mapping[str, str], head: ResponseHead, ctx: RequestContext, log: ConnectionLog
) -> None:
    """Remember the charset that an upstream asks for (`X-Accel-Charset`)."""
    wanted = x_accel.get("charset", "")
    if not wanted:
        return
    if ctx.location.filters.charset.known:
        ctx.override_charset = wanted
    elif head.header("content-type"):
        log.write(Level.ERROR, f'unknown charset "{wanted}" to override')


def charset_filter(location: Location) -> CharsetFilter | None:
    """The filter of a location; all have it if charsets are named anywhere, since an upstream may
    ask for one of them (`X-Accel-Charset`)."""
    settings = location.filters.charset
    return CharsetFilter(settings) if settings.known else None


def _named(response: Response, charset: str) -> Response:
    """The response with its charset in Content-Type, unless one is there already."""
    kind = response.content_type
    if response.status in REDIRECTS or not charset or split_content_type(kind)[0] != kind:
        return response
    return response._replace(content_type=f"{kind}; charset={charset}")


def converted(response: Response, conversion: Conversion) -> Response:
    """The response with a converted body."""
    convert: Callable[[bytes], bytes]
    match conversion:
        case ByteTable(table):
            convert = _translation(table)
        case ToUtf8(symbols):
            convert = _encoding(symbols)
            response = response._replace(content_length=None)
        case FromUtf8(byte_of):
            convert = Utf8Converter(byte_of).convert
            response = response._replace(content_length=None)
    body = response.body
    if isinstance(body, bytes):
        return response._replace(body=convert(body))
    return response._replace(body=ConvertedBody(body, convert))


def _translation(table: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data.translate(table)


def _encoding(symbols: dict[int, str]) -> Callable[[bytes], bytes]:
    return lambda data: data.decode("latin-1").translate(symbols).encode("latin-1")


_SEQUENCE = re.compile(
    rb"""(?: [\xf0-\xf7] (?=.{3}) (?: [\x80-\xff]{3} | [\x80-\xff]{0,2} [\x00-\x7f] )
           | [\xe0-\xef] (?=.{2}) (?: [\x80-\xff]{2} | [\x80-\xff]? [\x00-\x7f] )
           | [\xc2-\xdf] (?=.) .
           | [\x80-\xc1\xf8-\xff]
           )
       | (?P<cut> [\xc2-\xf7] .* ) \Z""",
    re.VERBOSE | re.DOTALL,
)
"""What nginx takes for a character beyond ASCII; the last may be cut."""


class Utf8Converter:
    """Converts UTF-8 to another charset, piece by piece.

    What the charset lacks becomes an HTML entity, and what is invalid a question mark. Less than a
    character is remembered between two pieces; at the end it is dropped, as in nginx.
    """

    def __init__(self, byte_of: dict[int, int]) -> None:
        self._byte_of = byte_of
        self._cut = b""

    def convert(self, data: bytes) -> bytes:
        """Convert the next piece."""
        data, self._cut = self._cut + data, b""
        return _SEQUENCE.sub(self._converted, data)

    def _converted(self, match: re.Match[bytes]) -> bytes:
        if match["cut"] is not None:
            self._cut = match["cut"]
            return b""
        symbol = decode_symbol(match[0])
        if symbol is None or symbol > 0x10FFFF:
            return b"?"
        byte = self._byte_of.get(symbol)
        return b"&#%d;" % symbol if byte is None else bytes((byte,))


class ConvertedBody:
    """A body whose pieces are converted."""

    def __init__(self, body: BodyReader, convert: Callable[[bytes], bytes]) -> None:
        self._body = body
        self._convert = convert

    async def read(self) -> bytes:
        """The next piece; raises `BodyReadError`."""
        while data := await self._body.read():
            if piece := self._convert(data):
                return piece
        return b""

    def discard(self) -> None:
        self._body.discard()
