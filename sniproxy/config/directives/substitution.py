"""Directives of nginx's sub module: `sub_filter`."""

from __future__ import annotations

from dataclasses import dataclass

from ...template import Template
from .core import HSL
from .directive import Args, Repeat, Settings, at_least, directive, exactly, settings
from .gzip import media_types
from .slots import compiled, flag

MODULE = "ngx_http_sub_filter_module"


@dataclass(frozen=True, slots=True)
class TextReplacement:
    """A `sub_filter`: a text that is searched without regard to case, and what replaces it."""

    text: Template
    value: Template


def replacement(args: Args) -> TextReplacement:
    text, value = args.words
    if not text:
        args.fail("empty search pattern")
    return TextReplacement(compiled(args, text), compiled(args, value))


@settings(MODULE)
class TextSubstitution(Settings):
    """The replacements in the bodies of a location's responses."""

    sub_filter: tuple[TextReplacement, ...] = directive(
        HSL,
        replacement,
        "text that is replaced in responses, and its replacement",
        arity=exactly(2),
        repeat=Repeat.APPENDED,
    )
    sub_filter_types: frozenset[str] = directive(
        HSL,
        media_types,
        "media types in which text is replaced, besides text/html; `*` means all",
        arity=at_least(1),
        default="text/html",
        repeat=Repeat.MERGED,
    )
    sub_filter_last_modified: bool = directive(
        HSL, flag, "send Last-Modified and a weak ETag though text is replaced", default="off"
    )
    sub_filter_once: bool = directive(
        HSL, flag, "replace each text only where it occurs first", default="on"
    )
