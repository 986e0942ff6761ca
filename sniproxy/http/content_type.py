"""Content-Type fields as nginx reads them (pure)."""

from __future__ import annotations

CHARSET = "charset="


def split_content_type(content_type: str) -> tuple[str, str]:
    """The part before the charset parameter, and the charset; the latter "" if there is none.

    As in nginx everything behind `charset=` is the charset, without quotes.
    """
    start = content_type.find(";")
    while start >= 0:
        parameter = content_type[start + 1 :].lstrip(" ")
        if parameter[: len(CHARSET)].lower() == CHARSET:
            charset = parameter[len(CHARSET) :].removeprefix('"').removesuffix('"')
            return content_type[:start], charset
        start = content_type.find(";", start + 1)
    return content_type, ""


def media_type(content_type: str) -> str:
    """The media type that nginx looks for: without parameters, if one is the charset."""
    return split_content_type(content_type)[0].lower()
