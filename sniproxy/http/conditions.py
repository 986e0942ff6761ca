"""Conditional requests (RFC 9110, section 13), evaluated as in nginx."""

from __future__ import annotations

import re
from typing import Final, Literal

from ..models import RequestHead
from .dates import parse_http_date

Result = Literal["send", "not modified", "failed"]

_NEXT: Final = re.compile(r"[^,]*[ \t,]*")


def evaluate_conditions(
    request: RequestHead, modified: int | None, etag: str | None, if_modified_since: str
) -> Result:
    """Decide whether to send the response, 304 or 412, given its modification time and ETag.

    `if_modified_since` is the directive: `off`, `exact` or `before`.
    """
    if not has_conditions(request):
        return "send"
    unmodified_since = request.header("if-unmodified-since")
    if unmodified_since is not None and not _unmodified(unmodified_since, modified):
        return "failed"
    match = request.header("if-match")
    if match is not None and not etag_matches(match, etag, weak=False):
        return "failed"
    since, none_match = request.header("if-modified-since"), request.header("if-none-match")
    if since is None and none_match is None:
        return "send"
    if since is not None and _modified(since, modified, if_modified_since):
        return "send"
    if none_match is not None and not etag_matches(none_match, etag, weak=True):
        return "send"
    return "not modified"


def has_conditions(request: RequestHead) -> bool:
    """Whether a request has a field that makes it conditional."""
    for name in request.names or [name.lower() for name, _ in request.headers]:
        if name.startswith("if-"):
            return True
    return False


def _unmodified(since: str, modified: int | None) -> bool:
    if modified is None:
        return False
    time = parse_http_date(since)
    return time is not None and time >= modified


def _modified(since: str, modified: int | None, how: str) -> bool:
    if modified is None or how == "off":
        return True
    time = parse_http_date(since)
    if time == modified:
        return False
    return how == "exact" or time is None or time < modified


def etag_matches(listed: str, etag: str | None, *, weak: bool) -> bool:
    """Whether a list of entity tags, or `*`, matches `etag`; `weak` ignores `W/`."""
    if listed == "*":
        return True
    if etag is None:
        return False
    if weak:
        etag = _without_w(etag)
    position = 0
    while position < len(listed):
        rest = _without_w(listed[position:]) if weak else listed[position:]
        if len(etag) > len(rest):
            return False
        if rest.startswith(etag):
            following = rest[len(etag) :].lstrip(" \t")
            if not following or following[0] == ",":
                return True
        position = _next(listed, position)
    return False


def _without_w(tag: str) -> str:
    return tag[2:] if len(tag) > 2 and tag.startswith("W/") else tag


def _next(listed: str, position: int) -> int:
    match = _NEXT.match(listed, position)
    assert match is not None
    return match.end()
