"""Variables of nginx's http upstream module: one value per attempt, joined by `, `."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..context import RequestContext, UpstreamState
from ..models import Handshake
from .core import joined
from .variable import Variable, seconds


def _each(value: Callable[[UpstreamState], str]) -> Callable[[RequestContext], str | None]:
    return lambda ctx: _joined(ctx.upstream_states, value) if ctx.upstream_states else None


def _joined(tries: Sequence[UpstreamState], value: Callable[[UpstreamState], str]) -> str:
    """One value per attempt, with a colon between the attempts of different upstreams."""
    text = value(tries[0])
    rest = iter(tries[1:])
    for one in rest:
        if one.address:
            text += f", {value(one)}"
            continue
        first = next(rest, None)
        text += " : " if first is None else f" : {value(first)}"
    return text


def _time(value: Callable[[UpstreamState], float | None]) -> Callable[[RequestContext], str | None]:
    def text(one: UpstreamState) -> str:
        elapsed = value(one)
        return "-" if elapsed is None else seconds(elapsed)

    return _each(text)


def _handshake(value: Callable[[Handshake], str]) -> Callable[[RequestContext], str | None]:
    """A value of each attempt's handshake; `-` without a handshake or on a reused connection."""

    def text(one: UpstreamState) -> str:
        handshake = one.handshake()
        return (value(handshake) or "-") if handshake is not None else "-"

    return _each(text)


def _verdict(handshake: Handshake) -> str:
    """Verification result, as in `$ssl_client_verify`: `NONE`, `SUCCESS` or `FAILED:REASON`."""
    if not handshake.protocol:
        return "-"
    if handshake.verified_name is None:
        return "NONE"
    if handshake.verify_result:
        return f"FAILED:{handshake.verify_error}"
    return "SUCCESS" if handshake.failure is None else "FAILED:name does not match"


def _resumed(handshake: Handshake) -> str:
    if not handshake.protocol:
        return "-"
    return "r" if handshake.resumed else "."


def _header(ctx: RequestContext, name: str) -> str | None:
    head = ctx.cached_head
    if head is None and ctx.upstream_states:
        head = ctx.upstream_states[-1].head
    return None if head is None else joined(head.headers, name)


def _cookie(ctx: RequestContext, name: str) -> str | None:
    """The value of a cookie that the upstream sets."""
    head = ctx.cached_head
    if head is None and ctx.upstream_states:
        head = ctx.upstream_states[-1].head
    for field, text in () if head is None else head.headers:
        if field.lower() == "set-cookie" and text[: len(name)].lower() == name:
            rest = text[len(name) :].lstrip(" ")
            if rest.startswith("="):
                return rest[1:].lstrip(" ").partition(";")[0]
    return None


def _trailer(ctx: RequestContext, name: str) -> str | None:
    return joined(ctx.upstream_states[-1].trailers, name) if ctx.upstream_states else None


def _validator(value: Callable[[RequestContext], str]) -> Callable[[RequestContext], str | None]:
    """A field that revalidates an expired response."""
    return lambda ctx: (value(ctx) or None) if ctx.cache_status == "EXPIRED" else None


VARIABLES = (
    Variable("upstream_addr", _each(lambda t: t.address), "addresses of the peers tried"),
    Variable(
        "upstream_status",
        _each(lambda t: str(t.status or "-")),
        "response statuses of the peers",
    ),
    Variable(
        "upstream_connect_time",
        _time(lambda t: t.connect_time),
        "time to connect, including the TLS handshake",
    ),
    Variable(
        "upstream_header_time", _time(lambda t: t.header_time), "time to receive the response head"
    ),
    Variable(
        "upstream_response_time",
        _time(lambda t: t.response_time),
        "time to receive the complete response",
    ),
    Variable(
        "upstream_response_length",
        _each(lambda t: str(t.response_length)),
        "response body sizes in bytes",
    ),
    Variable("upstream_bytes_sent", _each(lambda t: str(t.bytes_sent)), "bytes sent to the peers"),
    Variable(
        "upstream_bytes_received",
        _each(lambda t: str(t.bytes_received)),
        "bytes received from the peers",
    ),
    Variable(
        "upstream_cache_status",
        lambda ctx: ctx.cache_status,
        "how the cache was used: `HIT`, `MISS`, `EXPIRED`, `STALE`, `UPDATING`, `REVALIDATED`, "
        "`BYPASS`",
    ),
    Variable(
        "upstream_cache_last_modified",
        _validator(lambda ctx: ctx.stored_last_modified),
        "Last-Modified of the expired response that is revalidated",
    ),
    Variable(
        "upstream_cache_etag",
        _validator(lambda ctx: ctx.stored_etag),
        "ETag of the expired response that is revalidated",
    ),
    # Extensions: nginx has no variables for upstream handshakes.
    Variable(
        "upstream_ssl_server_name",
        _handshake(lambda h: h.server_name or ""),
        "server name sent (SNI)",
        changeable=True,
    ),
    Variable(
        "upstream_ssl_protocol",
        _handshake(lambda h: h.protocol),
        "TLS version, for example `TLSv1.3`",
        changeable=True,
    ),
    Variable(
        "upstream_ssl_cipher", _handshake(lambda h: h.cipher), "negotiated cipher", changeable=True
    ),
    Variable(
        "upstream_ssl_session_reused",
        _handshake(_resumed),
        "`r` if the session was resumed, else `.`",
        changeable=True,
    ),
    Variable(
        "upstream_ssl_verify",
        _handshake(_verdict),
        "result of certificate verification: `SUCCESS`, `FAILED:reason`, `NONE`",
        changeable=True,
    ),
)

PREFIXES: tuple[tuple[str, Callable[[RequestContext, str], str | None]], ...] = (
    ("upstream_http_", _header),
    ("upstream_cookie_", _cookie),
    ("upstream_trailer_", _trailer),
)
