"""Split, normalize and escape request targets as nginx does.

Paths and queries are `str` with one character per byte; no character set is decoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_ESCAPE: Final = re.compile(r"%(?:([0-9A-Fa-f]{2})|)")
_OUT_OF_ORDER: Final = re.compile(r"%|//|/\.")


is_normal_unless: Final = _OUT_OF_ORDER.search
"""Search for parts that need `normalise`; None if the path is normalized already."""


class URIError(ValueError):
    """nginx rejects the path: an invalid escape, `%00`, or `..` above the root."""


def split_target(target: str) -> tuple[str, str]:
    """Split a request target into path and query (`/a?b#c` becomes `/a`, `b`).

    nginx ignores a fragment; a `?` in it does not start a query.
    """
    path, _, query = target.partition("#")[0].partition("?")
    return path, query


def normalise(path: str, merge_slashes: bool = True) -> str:
    """Normalize a path without query to nginx's `$uri`: decode, resolve dots, merge slashes.

    `path` begins with `/`. It is decoded first and only once: `%2e%2e%2f` is `../`, whereas an
    escaped `%`, `?` or `#` is an ordinary character of the result. Raises `URIError`.
    """
    if not _OUT_OF_ORDER.search(path):
        return path
    if "%" in path:
        path = _ESCAPE.sub(_decoded, path)
        if "\0" in path:
            raise URIError(path)
    return _resolve_dots(path, merge_slashes)


def _decoded(escape: re.Match[str]) -> str:
    if not escape[1]:
        raise URIError(escape.string)
    return chr(int(escape[1], 16))


def _resolve_dots(path: str, merge_slashes: bool) -> str:
    *inner, last = path.split("/")[1:]
    segments: list[str] = []
    for segment in inner:
        if segment == "..":
            if not segments:
                raise URIError(path)
            segments.pop()
        elif segment != "." and (segment or not merge_slashes):
            segments.append(segment)
    if last == "..":
        if not segments:
            raise URIError(path)
        segments.pop()
    return "/".join(["", *segments, "" if last in (".", "..") else last])


def _escaper(*, escaped: str = "", unescaped: str | None = None) -> Callable[[str], str]:
    """Create a function that percent-escapes `escaped` and all characters not allowed in URIs;
    with `unescaped`, all characters except letters, digits and those in `unescaped`.
    """
    if unescaped is None:
        never = re.escape(escaped) + r"\x00-\x20\x7f-\xff\"<>\\^`{|}"
        pattern = re.compile(f"[{never}]")
    else:
        pattern = re.compile(f"[^A-Za-z0-9{re.escape(unescaped)}]")

    def escape(text: str) -> str:
        return pattern.sub(lambda match: f"%{ord(match[0]):02X}", text)

    return escape


escape_uri: Final = _escaper(escaped="#%?")
"""Escape a path (NGX_ESCAPE_URI), as `proxy_pass` with a URI does."""

escape_args: Final = _escaper(escaped="#%&+;?")
"""Escape a query value (NGX_ESCAPE_ARGS), as for captures in `rewrite … ?a=$1`."""

escape_uri_component: Final = _escaper(unescaped="-._~")
"""Escape all reserved characters too (NGX_ESCAPE_URI_COMPONENT)."""

escape_uri_in_html: Final = _escaper(escaped="#%'")
"""Escape a URI for an HTML attribute (NGX_ESCAPE_HTML)."""

_HTML: Final = str.maketrans({"<": "&lt;", ">": "&gt;", "&": "&amp;", '"': "&quot;"})


def escape_html(text: str) -> str:
    """Escape text for HTML."""
    return text.translate(_HTML)


_LENIENT_ESCAPE: Final = re.compile(r"%(?:([0-9A-Fa-f])(?:([0-9A-Fa-f])|.|\Z)|(.|\Z))", re.DOTALL)


def unescape(text: str) -> str:
    """Decode percent escapes leniently (`ngx_unescape_uri`).

    `%` is dropped if no hexadecimal digit follows; a single digit is dropped with the character
    after it.
    """
    return _LENIENT_ESCAPE.sub(_decoded_leniently, text)


def _decoded_leniently(escape: re.Match[str]) -> str:
    high, low, other = escape.groups()
    if low:
        return chr(int(high + low, 16))
    return other or ""


_UPWARDS: Final = re.compile(r"\A\.\.(?:/|\Z)|/\.\.(?:/|\Z)")


def internal_target(text: str) -> tuple[str, str]:
    """Path and query of a URI for an internal redirect (`X-Accel-Redirect`).

    The path is decoded but not normalized. Raises `URIError` if it is empty or contains `..`.
    """
    path, _, query = text.partition("?")
    if not path or "\0" in path or _UPWARDS.search(path):
        raise URIError(text)
    if "%" in path:
        path = unescape(path)
        if "\0" in path or _UPWARDS.search(path):
            raise URIError(path)
    return path, query
