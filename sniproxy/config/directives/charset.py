"""Directives of nginx's charset module: `charset`, `source_charset`, `charset_map`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...template import Template, TemplateVariable
from ..tree import Place
from ..utf8 import decode_symbol
from .directive import (
    HTTP,
    LOCATION,
    LOCATION_IF,
    SERVER,
    TABLE,
    Args,
    Directive,
    Merge,
    Repeat,
    Settings,
    at_least,
    directive,
    exactly,
    settings,
)
from .gzip import media_types
from .slots import flag

MODULE = "ngx_http_charset_filter_module"
HSL = HTTP | SERVER | LOCATION
ANYWHERE = HSL | LOCATION_IF
UTF_8 = "utf-8"
_LONGEST = 3
"""Maximum number of bytes of a UTF-8 sequence in a `charset_map`."""
_LAST_SYMBOL = 0xFFFF

CharsetName = str | Template
"""The name of a charset, or the variable that has it."""


@dataclass(frozen=True, slots=True)
class ByteTable:
    """A conversion between two charsets of one byte per character."""

    table: bytes


@dataclass(frozen=True, slots=True, eq=False)
class ToUtf8:
    """A conversion of bytes to UTF-8."""

    symbols: dict[int, str]
    """UTF-8 sequence by byte, one character per byte; only of bytes that change."""


@dataclass(frozen=True, slots=True, eq=False)
class FromUtf8:
    """A conversion of UTF-8 to bytes."""

    bytes_: dict[int, int]
    """Byte by code point, of code points that are not ASCII."""


Conversion = ByteTable | ToUtf8 | FromUtf8


class Charsets:
    """The charsets that a configuration names, and the maps between them."""

    __slots__ = ("_conversions", "_names")

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        """Spelling where the name appears first, by lower-case name."""
        self._conversions: dict[tuple[str, str], Conversion] = {}

    def __bool__(self) -> bool:
        return bool(self._names)

    def add(self, name: str) -> None:
        self._names.setdefault(name.lower(), name)

    def find(self, name: str) -> str | None:
        """The name as it was spelled first; None if the configuration does not have it."""
        return self._names.get(name.lower())

    def conversion(self, source: str, target: str) -> Conversion | None:
        """The conversion from one charset to another; None if there is no map of them."""
        return self._conversions.get((source.lower(), target.lower()))

    def define(self, source: str, target: str, there: Conversion, back: Conversion) -> None:
        self._conversions[source.lower(), target.lower()] = there
        self._conversions[target.lower(), source.lower()] = back


NO_CHARSETS = Charsets()


class CharsetMapBuilder:
    """Collects the lines of a `charset_map SOURCE TARGET { … }`."""

    includes = False

    def __init__(self, args: Args) -> None:
        self.source, self.target = args.words
        self._to_utf8 = self.target.lower() == UTF_8
        self._there, self._back = bytearray(_UNKNOWN), bytearray(_UNKNOWN)
        self._symbols = dict.fromkeys(range(128, 256), "?")
        self._bytes: dict[int, int] = {}

    def begin(self, place: Place, known: Charsets) -> None:
        """Add both names to `known`. Raises `ConfigError` if there can be no such map."""
        known.add(self.source)
        known.add(self.target)
        names = f'"{self.source}" and "{self.target}"'
        if self.source.lower() == self.target.lower():
            raise place.error(f'"charset_map" between the same charsets {names}')
        if self.source.lower() == UTF_8:
            raise place.error(
                '"charset_map" with "utf-8" charset should be given in the second column'
            )
        if known.conversion(self.source, self.target) is not None:
            raise place.error(f'duplicate "charset_map" between {names}')

    def entry(self, args: Args) -> None:
        """Add a line: a byte, and what it is in the other charset. Raises `ConfigError`."""
        if len(args.words) != 1:
            args.fail("invalid parameters number")
        byte = _byte(args, args.name)
        if not self._to_utf8:
            other = _byte(args, args.first)
            self._there[byte] = other
            self._back[other] = byte
            return
        sequence = _sequence(args, args.first)
        symbol = decode_symbol(sequence)
        if symbol is None or symbol > _LAST_SYMBOL:
            args.fail(f'invalid value "{args.first}"')
        self._symbols[byte] = sequence.decode("latin-1")
        self._bytes[symbol] = byte

    def finish(self, known: Charsets) -> None:
        """Add the complete map to `known`."""
        if self._to_utf8:
            known.define(self.source, self.target, ToUtf8(self._symbols), FromUtf8(self._bytes))
        else:
            there, back = bytes(self._there), bytes(self._back)
            known.define(self.source, self.target, ByteTable(there), ByteTable(back))


_UNKNOWN = bytes(range(128)) + b"?" * 128
_HEX = re.compile("[0-9A-Fa-f]+")


def _byte(args: Args, text: str) -> int:
    if not _HEX.fullmatch(text) or int(text, 16) > 255:
        args.fail(f'invalid value "{text}"')
    return int(text, 16)


def _sequence(args: Args, text: str) -> bytes:
    if len(text) // 2 > _LONGEST or len(text) % 2 or not (_HEX.fullmatch(text) or not text):
        args.fail(f'invalid value "{text}"')
    return bytes.fromhex(text)


def charset(args: Args) -> CharsetName | None:
    return None if args.first == "off" else _name(args)


def _name(args: Args) -> CharsetName:
    text = args.first
    if not text.startswith("$"):
        return text
    if len(text) == 1:
        args.fail('invalid variable name "$"')
    return Template(text, (TemplateVariable(text[1:].lower()),))


@settings(MODULE)
class Charset(Settings):
    """The charset of a location's responses."""

    charset: CharsetName | None = directive(
        ANYWHERE, charset, "charset of responses, added to Content-Type", default="off"
    )
    source_charset: CharsetName | None = directive(
        ANYWHERE, _name, "charset that responses have, if it differs from `charset`"
    )
    override_charset: bool = directive(
        ANYWHERE, flag, "convert responses of upstreams that have a charset", default="off"
    )
    charset_types: frozenset[str] = directive(
        HSL,
        media_types,
        "media types of responses with a charset, besides text/html; `*` means all",
        arity=at_least(1),
        default=(
            "text/html text/xml text/plain text/vnd.wap.wml application/javascript "
            "application/rss+xml"
        ),
        repeat=Repeat.MERGED,
    )
    known: Charsets = NO_CHARSETS
    """All charsets of the configuration."""

    @property
    def missing_map(self) -> tuple[str, str] | None:
        """Source and target, if they differ and no `charset_map` converts between them."""
        source, target = self.source_charset, self.charset
        if not isinstance(source, str) or not isinstance(target, str):
            return None
        if source.lower() == target.lower() or self.known.conversion(source, target) is not None:
            return None
        return self.known.find(source) or source, self.known.find(target) or target


DIRECTIVES = (
    Directive(
        "charset_map",
        HTTP,
        exactly(2),
        CharsetMapBuilder,
        "conversion between two charsets",
        MODULE,
        repeat=Repeat.APPENDED,
        merge=Merge.NOT_INHERITED,
        opens_context=TABLE,
    ),
)
