"""The variables of nginx's http upstream module: one value a try, joined by `, `."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..facts import Facts, Try
from ..message import Handshake
from .core import joined
from .variable import Variable, seconds


def _each(value: Callable[[Try], str]) -> Callable[[Facts], str | None]:
    return lambda facts: _joined(facts.tries, value) if facts.tries else None


def _joined(tries: Sequence[Try], value: Callable[[Try], str]) -> str:
    """One value a try, and a colon where another upstream begins."""
    text = value(tries[0])
    rest = iter(tries[1:])
    for one in rest:
        if one.address:
            text += f", {value(one)}"
            continue
        first = next(rest, None)
        text += " : " if first is None else f" : {value(first)}"
    return text


def _time(value: Callable[[Try], float | None]) -> Callable[[Facts], str | None]:
    def text(one: Try) -> str:
        elapsed = value(one)
        return "-" if elapsed is None else seconds(elapsed)

    return _each(text)


def _handshake(value: Callable[[Handshake], str]) -> Callable[[Facts], str | None]:
    """Of each try's handshake; `-` over a connection that was kept, and where it has none."""

    def text(one: Try) -> str:
        return value(one.handshake()) or "-" if one.handshake is not None else "-"

    return _each(text)


def _verdict(handshake: Handshake) -> str:
    """As `$ssl_client_verify`: `NONE`, `SUCCESS`, `FAILED:` and the reason."""
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


def _header(facts: Facts, name: str) -> str | None:
    head = facts.tries[-1].head if facts.tries else None
    return None if head is None else joined(head.headers, name)


VARIABLES = (
    Variable("upstream_addr", _each(lambda t: t.address), "the peers tried"),
    Variable(
        "upstream_status", _each(lambda t: "-" if t.status is None else str(t.status)), "statuses"
    ),
    Variable("upstream_connect_time", _time(lambda t: t.connect_time), "until connected, with TLS"),
    Variable("upstream_header_time", _time(lambda t: t.header_time), "until the head was read"),
    Variable("upstream_response_time", _time(lambda t: t.response_time), "until all was read"),
    Variable("upstream_response_length", _each(lambda t: str(t.response_length)), "body bytes"),
    Variable("upstream_bytes_sent", _each(lambda t: str(t.bytes_sent)), "bytes sent"),
    Variable("upstream_bytes_received", _each(lambda t: str(t.bytes_received)), "bytes received"),
    # Ours: what nginx does not tell of its handshakes.
    Variable(
        "upstream_ssl_server_name",
        _handshake(lambda h: h.server_name or ""),
        "the SNI sent",
        changeable=True,
    ),
    Variable(
        "upstream_ssl_protocol",
        _handshake(lambda h: h.protocol),
        "the protocol, `TLSv1.3`",
        changeable=True,
    ),
    Variable(
        "upstream_ssl_cipher", _handshake(lambda h: h.cipher), "the cipher chosen", changeable=True
    ),
    Variable(
        "upstream_ssl_session_reused",
        _handshake(_resumed),
        "`r` for a resumed session",
        changeable=True,
    ),
    Variable(
        "upstream_ssl_verify",
        _handshake(_verdict),
        "`SUCCESS`, `FAILED:reason`, `NONE`",
        changeable=True,
    ),
)

PREFIXES: tuple[tuple[str, Callable[[Facts, str], str | None]], ...] = (
    ("upstream_http_", _header),
)
