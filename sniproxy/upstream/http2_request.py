"""Build the requests that are sent to HTTP/2 upstreams (pure).

Directives: `proxy_set_header`, `grpc_set_header`, `proxy_pass_request_headers`; the fields that
nginx sets and removes by default.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..config.directives.proxy import SetHeader
from ..config.directives.upstream_target import ProxyPass
from ..context import RequestContext
from ..http.http2_frames import (
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    LARGEST_FRAME,
    Frame,
)
from ..http.pages import status_line
from ..http.upstream_fields import HeaderBlockDecoder, encoded_field, encoded_request
from ..models import Header
from ..variables import lookup
from .http1 import CONDITIONAL_FIELDS, NEVER_FORWARDED

_TRAILERS = encoded_field("te", "trailers")


@dataclass(frozen=True, slots=True)
class BodyOfBytes:
    """A request body that is set by a directive (`models.RequestBody`)."""

    content: bytes

    @property
    def length(self) -> int:
        return len(self.content)

    def blocks(self) -> Iterable[bytes]:
        yield self.content


def headers_frames(stream: int, block: bytes, *, ends: bool) -> bytes:
    """The frames of a header block."""
    flags = END_STREAM if ends else 0
    if len(block) <= LARGEST_FRAME:
        return Frame(HEADERS, flags | END_HEADERS, stream, block).raw
    sent = Frame(HEADERS, flags, stream, block[:LARGEST_FRAME]).raw
    for start in range(LARGEST_FRAME, len(block), LARGEST_FRAME):
        fragment = block[start : start + LARGEST_FRAME]
        ended = END_HEADERS if start + LARGEST_FRAME >= len(block) else 0
        sent += Frame(CONTINUATION, ended, stream, fragment).raw
    return sent


class Http2HeaderBuilder:
    """Builds the header blocks of a location's requests; constant fields are encoded once."""

    def __init__(
        self,
        set_headers: Iterable[SetHeader],
        *,
        passes_headers: bool = True,
        cached: bool = False,
        grpc: bool = False,
    ) -> None:
        """`cached` is whether responses are to be cached."""
        fields = tuple(set_headers)
        self._grpc = grpc
        self._set_names = frozenset(field.name.lower() for field in fields)
        self._replaced = self._set_names.union(
            NEVER_FORWARDED, CONDITIONAL_FIELDS if cached else ()
        )
        self._passes_headers = passes_headers
        self._set_fields: list[bytes | SetHeader] = []
        for field in fields:
            if not field.value.is_constant:
                self._set_fields.append(field)
            elif field.value.source:
                self._set_fields.append(encoded_field(field.name, field.value.source))

    def build(
        self,
        ctx: RequestContext,
        method: str,
        target: str,
        *,
        body_length: int | None,
        validators: Iterable[Header] = (),
    ) -> bytes:
        """Build the block; `body_length` is None without a body, and if it is unknown."""
        names, passed = self._set_names, ctx.upstream_target
        assert passed is not None
        authority = None
        if "host" not in names:
            authority = _grpc_host(passed) if self._grpc else passed.proxy_host
        block = [
            encoded_request(
                method,
                tls=passed.tls,
                target=target,
                authority=authority,
            )
        ]
        values = None
        for field in self._set_fields:
            if isinstance(field, bytes):
                block.append(field)
                continue
            values = values or lookup(ctx)
            value = field.value.render(values)
            if value:
                block.append(encoded_field(field.name, value))
        if body_length is not None and "content-length" not in names:
            block.append(encoded_field("content-length", str(body_length)))
        if self._grpc and "te" not in names and wants_trailers(ctx):
            block.append(_TRAILERS)
        for name, value in validators:
            if value and name not in names:
                block.append(encoded_field(name, value))
        if self._passes_headers:
            request, replaced = ctx.request, self._replaced
            lowered = request.names or [name.lower() for name, _ in request.headers]
            for position, name in enumerate(lowered):
                if name not in replaced:
                    block.append(encoded_field(name, request.headers[position][1]))
        return b"".join(block)


def _grpc_host(target: ProxyPass) -> str:
    """The host of a `grpc_pass`, with the port if it has one."""
    address = target.address
    assert address is not None
    if address.is_unix:
        return "localhost"
    return f"{address.host}:{address.port}" if address.explicit_port else address.host


def wants_trailers(ctx: RequestContext) -> bool:
    """Whether the client accepts trailers (`$grpc_internal_trailers`)."""
    return "trailers" in (ctx.request.header("te") or "").lower()


def printed_request(block: bytes) -> bytes:
    """A header block that was sent, in the notation of HTTP/1; pseudo-fields without colon."""
    decoder = HeaderBlockDecoder(len(block) * 8)
    decoder.feed(block)
    fields = []
    while (field := decoder.next_field()) is not None:
        fields.append(field)
    pseudo = dict(fields)
    lines = [f"{pseudo.get(':method', '')} {pseudo.get(':path', '')} HTTP/2"]
    for name, value in fields:
        if name not in (":method", ":path"):
            lines.append(f"{name.removeprefix(':')}: {value}")
    return "\r\n".join((*lines, "", "")).encode("latin-1")


def printed_response(status: int, headers: Iterable[Header]) -> bytes:
    """The head of a response as it is stored in the cache: in HTTP/1."""
    lines = [f"HTTP/1.1 {status_line(status)}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join((*lines, "", "")).encode("latin-1")
