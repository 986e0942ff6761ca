"""Directives of nginx's userid module."""

from __future__ import annotations

from typing import NamedTuple

from .core import HSL
from .directive import Args, Repeat, Settings, between, directive, settings
from .slots import number, one_of, parse_time, some_of, string

MODULE = "ngx_http_userid_filter_module"
MAX_EXPIRES = 2**31 - 1
"""`userid_expires max`: until the end of 2037."""


class CookieAttribute(NamedTuple):
    """An attribute of a cookie, as it is sent."""

    text: str


def domain(args: Args) -> CookieAttribute | None:
    return None if args.first == "none" else CookieAttribute(f"; domain={args.first}")


def path(args: Args) -> CookieAttribute:
    return CookieAttribute(f"; path={args.first}")


def expires(args: Args) -> int | None:
    """Seconds for which cookies are valid; None for the browser's session."""
    if args.first == "off":
        return None
    if args.first == "max":
        return MAX_EXPIRES
    seconds = parse_time(args.first, whole_seconds=True)
    if seconds is None:
        args.fail_directive("invalid value")
    return int(seconds)


def p3p(args: Args) -> str:
    return "" if args.first == "none" else args.first


def mark(args: Args) -> str:
    """The character that marks cookies; "" without."""
    text = args.first
    if text == "off":
        return ""
    if len(text) != 1 or not ((text.isascii() and text.isalnum()) or text == "="):
        args.fail_directive('value must be "off" or a single letter, digit or "="')
    return text


_FLAGS = some_of("off", "secure", "httponly", "samesite=strict", "samesite=lax", "samesite=none")


def flags(args: Args) -> frozenset[str]:
    """The attributes; of several values of SameSite the first counts."""
    _FLAGS(args)
    words = [word.lower() for word in args.words]
    first = next((word for word in words if word.startswith("samesite=")), None)
    return frozenset(word for word in words if word == first or not word.startswith("samesite="))


@settings(MODULE)
class UserId(Settings):
    """The cookies that identify clients."""

    userid: str = directive(
        HSL,
        one_of({word: word for word in ("off", "log", "v1", "on")}),
        "send cookies that identify clients, or only receive them (`log`)",
        default="off",
    )
    userid_service: int | None = directive(
        HSL, number, "first number of an identifier; by default the server's address"
    )
    userid_name: str = directive(HSL, string, "name of the cookie", default="uid")
    userid_domain: CookieAttribute | None = directive(
        HSL, domain, "domain of the cookie, or `none`", default="none"
    )
    userid_path: CookieAttribute = directive(HSL, path, "path of the cookie", default="/")
    userid_expires: int | None = directive(
        HSL, expires, "how long browsers keep the cookie", default="off"
    )
    userid_flags: frozenset[str] = directive(
        HSL,
        flags,
        "attributes of the cookie",
        arity=between(1, 3),
        default="off",
        repeat=Repeat.MERGED,
    )
    userid_p3p: str = directive(HSL, p3p, "P3P field that is sent with the cookie", default="none")
    userid_mark: str = directive(
        HSL, mark, "character that marks cookies; others are sent again with it", default="off"
    )
