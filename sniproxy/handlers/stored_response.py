"""Responses that are read from the cache."""

from __future__ import annotations

from collections.abc import Sequence

from ..cache.entry import CachedFile, CacheEntry
from ..context import RequestContext
from ..logs.error import ConnectionLog
from ..models import Response, ResponseHead
from ..upstream.response_headers import ResponseHeaderPolicy
from .file_body import FileBody, OpenFile


class StoredResponse:
    """A response in the cache that redirects to another location."""

    def __init__(self, head: ResponseHead, entry: CacheEntry) -> None:
        self.head = head
        self._entry = entry

    def discard(self) -> None:
        self._entry.close()


def stored_response(
    head: ResponseHead,
    file: CachedFile,
    policy: ResponseHeaderPolicy,
    ctx: RequestContext,
    log: ConnectionLog,
    *,
    force_ranges: bool,
) -> Response:
    """The response to the client; its body takes the file over."""
    filtered = policy.filter(head, ctx)
    start = file.header.body_start
    length = file.size - start
    expected = head.content_length
    if expected is not None and expected < length:
        length = expected
    body: bytes | FileBody = b""
    if file.body is not None and ctx.request.header("range") is None:
        body = file.body if len(file.body) == length else file.body[:length]
        file.close()
    elif length > 0:
        opened = OpenFile(file.name, file.take_descriptor())
        body = FileBody(opened, log, ((0, length),), start)
    else:
        file.close()
    return Response(
        head.status,
        body,
        filtered.content_type or ctx.redirect_content_type,
        expected,
        tuple(filtered.headers),
        head.status_line or None,
        filtered.location,
        # A file that was cut short must not shift the responses after this one.
        close_connection=expected is not None and length < expected,
        allow_conditional=True,
        allow_ranges=force_ranges or "accept-ranges" in names_of(head),
        add_server=policy.own_server or policy.adds("server", head),
        add_date=policy.own_date or policy.adds("date", head),
    )


def names_of(head: ResponseHead) -> Sequence[str]:
    """The names of a response's fields in lower case."""
    return head.names or [name.lower() for name, _ in head.headers]
