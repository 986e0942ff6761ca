"""The variables of nginx's http ssl module, read from the client's handshake."""

from __future__ import annotations

from collections.abc import Callable

from ..facts import Facts
from ..message import Handshake
from .row import Variable


def _of(value: Callable[[Handshake], str | None]) -> Callable[[Facts], str | None]:
    def read(facts: Facts) -> str | None:
        handshake = facts.connection.handshake
        return (value(handshake()) or None) if handshake is not None else None

    return read


ROWS = (
    Variable("ssl_protocol", _of(lambda h: h.protocol), "the protocol, `TLSv1.3`"),
    Variable("ssl_cipher", _of(lambda h: h.cipher), "the cipher chosen"),
    Variable("ssl_curve", _of(lambda h: h.group), "the group of the key exchange"),
    Variable("ssl_server_name", _of(lambda h: h.server_name), "the SNI received"),
    Variable("ssl_session_reused", _of(lambda h: "r" if h.resumed else "."), "`r` or `.`"),
    Variable("ssl_alpn_protocol", _of(lambda h: h.alpn), "the protocol chosen by ALPN"),
)
