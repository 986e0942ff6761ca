"""Rewriting of upstream header fields: `proxy_redirect` and `proxy_cookie_*`.

All share a form: `off`, or a pattern (text with variables, or a regular expression) and a
replacement. A statement becomes a `Replacement`, a `CookieFlags`, or None for `off`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...template import Template, literal
from ..regex import RegexError, compile_regex
from .directive import Args
from .slots import compiled

Pattern = Template | re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Replacement:
    """`PATTERN REPLACEMENT`."""

    pattern: Pattern
    replacement: Template


DEFAULT = Replacement(literal("default"), literal("default"))
"""`proxy_redirect default`; replaced as soon as the location is known."""


@dataclass(frozen=True, slots=True)
class CookieFlags:
    """`proxy_cookie_flags COOKIE FLAG …`."""

    pattern: Pattern
    flags: tuple[Template, ...]


def redirect(args: Args) -> Replacement | None:
    if args.words == ("default",):
        return DEFAULT
    return _replacement(args)


def cookie_path(args: Args) -> Replacement | None:
    return _replacement(args)


def cookie_domain(args: Args) -> Replacement | None:
    if _is_off(args):
        return None
    pattern, replacement = args.words
    if pattern.startswith("~"):
        return Replacement(_regex(args, pattern[1:], caseless=True), compiled(args, replacement))
    return Replacement(
        compiled(args, pattern.removeprefix(".")), compiled(args, replacement.removeprefix("."))
    )


def cookie_flags(args: Args) -> CookieFlags | None:
    if _is_off(args):
        return None
    name, *flags = args.words
    pattern: Pattern
    if name.startswith("~"):
        pattern = _regex(args, name[1:], caseless=True)
    else:
        pattern = compiled(args, name)
    return CookieFlags(pattern, tuple([compiled(args, flag) for flag in flags]))


def _is_off(args: Args) -> bool:
    if len(args.words) > 1:
        return False
    if args.first != "off":
        args.fail(f'invalid parameter "{args.first}"')
    return True


def _replacement(args: Args) -> Replacement | None:
    if _is_off(args):
        return None
    text, replacement = args.words
    pattern: Pattern
    if text.startswith("~*"):
        pattern = _regex(args, text[2:], caseless=True)
    elif text.startswith("~"):
        pattern = _regex(args, text[1:], caseless=False)
    else:
        pattern = compiled(args, text)
    return Replacement(pattern, compiled(args, replacement))


def _regex(args: Args, text: str, *, caseless: bool) -> re.Pattern[str]:
    try:
        return compile_regex(text, caseless=caseless)
    except RegexError as error:
        args.fail(str(error))
