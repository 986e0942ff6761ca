"""Request targets: splitting, normalising, escaping, as nginx does each.

Paths and queries are `str` of one character a byte; nothing here decodes a character set.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_ESCAPE: Final = re.compile(r"%(?:([0-9A-Fa-f]{2})|)")
_OUT_OF_ORDER: Final = re.compile(r"%|//|/\.")


class URIError(ValueError):
    """nginx refuses this path: a broken escape, `%00`, or `..` above the root."""


def split_target(target: str) -> tuple[str, str]:
    """Path and query of a request target (`/a?b#c` → `/a`, `b`).

    nginx drops a fragment that a client sent; a `?` inside it starts no query.
    """
    path, _, query = target.partition("#")[0].partition("?")
    return path, query


def normalise(path: str, merge_slashes: bool = True) -> str:
    """`$uri` of a path without query: decoded, dot segments resolved, slashes merged.

    `path` begins with `/`. Decoding comes first and once: `%2e%2e%2f` is `../`, while a `%`,
    `?` or `#` that was escaped is an ordinary character of the result. Raises `BadURI`.
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
    kept: list[str] = []
    for segment in inner:
        if segment == "..":
            if not kept:
                raise URIError(path)
            kept.pop()
        elif segment != "." and (segment or not merge_slashes):
            kept.append(segment)
    if last == "..":
        if not kept:
            raise URIError(path)
        kept.pop()
    return "/".join(["", *kept, "" if last in (".", "..") else last])


def _escaper(*, escaped: str = "", kept: str | None = None) -> Callable[[str], str]:
    """A function that percent-escapes `escaped` and everything that is never allowed bare;
    with `kept`, everything but letters, digits and `kept`.
    """
    if kept is None:
        never = re.escape(escaped) + r"\x00-\x20\x7f-\xff\"<>\\^`{|}"
        wanted = re.compile(f"[{never}]")
    else:
        wanted = re.compile(f"[^A-Za-z0-9{re.escape(kept)}]")

    def escape(text: str) -> str:
        return wanted.sub(lambda match: f"%{ord(match[0]):02X}", text)

    return escape


escape_uri: Final = _escaper(escaped="#%?")
"""A path (nginx's NGX_ESCAPE_URI): what `proxy_pass` with a URI sends."""

escape_args: Final = _escaper(escaped="#%&+;?")
"""A value in a query (NGX_ESCAPE_ARGS): what a capture becomes in `rewrite … ?a=$1`."""

escape_uri_component: Final = _escaper(kept="-._~")
"""NGX_ESCAPE_URI_COMPONENT: every reserved character too."""

escape_uri_in_html: Final = _escaper(escaped="#%'")
"""A URI inside an HTML attribute (NGX_ESCAPE_HTML)."""

_HTML: Final = str.maketrans({"<": "&lt;", ">": "&gt;", "&": "&amp;", '"': "&quot;"})


def escape_html(text: str) -> str:
    """Text inside HTML."""
    return text.translate(_HTML)


_LENIENT_ESCAPE: Final = re.compile(r"%(?:([0-9A-Fa-f])(?:([0-9A-Fa-f])|.|\Z)|(.|\Z))", re.DOTALL)


def unescape(text: str) -> str:
    """Percent-decoded, leniently: `%` before another character than a hexadecimal digit
    vanishes, and a single digit takes the character after it along.
    """
    return _LENIENT_ESCAPE.sub(_decoded_leniently, text)


def _decoded_leniently(escape: re.Match[str]) -> str:
    high, low, other = escape.groups()
    if low:
        return chr(int(high + low, 16))
    return other or ""


_UPWARDS: Final = re.compile(r"\A\.\.(?:/|\Z)|/\.\.(?:/|\Z)")


def internal_target(text: str) -> tuple[str, str]:
    """Path and query of a URI that an upstream wants served (`X-Accel-Redirect`).

    The path is decoded, and nothing else. Raises `BadURI` where it is empty or leads upwards.
    """
    path, _, query = text.partition("?")
    if not path or "\0" in path or _UPWARDS.search(path):
        raise URIError(text)
    if "%" in path:
        path = unescape(path)
        if "\0" in path or _UPWARDS.search(path):
            raise URIError(path)
    return path, query
