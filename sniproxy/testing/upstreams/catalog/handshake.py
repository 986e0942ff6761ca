"""Upstreams that no handshake succeeds with."""

from __future__ import annotations

from sniproxy.testing.upstreams.catalog.log_messages import (
    CLOSED_IN_HANDSHAKE,
    CONNECTING,
    HANDSHAKE_TIMED_OUT,
    HANDSHAKING,
    SHORT_TIMEOUTS,
    WRONG_VERSION,
)
from sniproxy.testing.upstreams.spec import (
    Action,
    AfterSend,
    HandshakeFault,
    ListenMode,
    UpstreamSpec,
    alert,
    response,
)

ABSENT = UpstreamSpec(
    "absent",
    "refuses connections: nothing listens on its port",
    f"connect() failed (111: Connection refused){CONNECTING}",
    listen=ListenMode.ABSENT,
)
FULL = UpstreamSpec(
    "full",
    "has a full accept queue: connecting times out",
    f"upstream timed out (110: Connection timed out){CONNECTING}",
    SHORT_TIMEOUTS,
    504,
    listen=ListenMode.FULL,
)
PLAIN_HTTP = UpstreamSpec(
    "plain-http",
    "answers a ClientHello with plain HTTP",
    WRONG_VERSION,
    handshake_fault=HandshakeFault(
        Action(response("This is not TLS.\n", status="400 Bad Request"))
    ),
)
NOT_TLS = UpstreamSpec(
    "not-tls",
    "answers a ClientHello with bytes that are not TLS",
    WRONG_VERSION,
    handshake_fault=HandshakeFault(Action(bytes(range(64, 128)))),
)
# What nginx logs about this one is not deterministic: if the FIN arrives before nginx handles the
# connect event, about once in 200 times on a busy machine, it is read as the end of a response.
# Comparisons with nginx use CLOSES instead.
HANGS_UP = UpstreamSpec(
    "hangs-up",
    "closes the connection as soon as it is accepted",
    CLOSED_IN_HANDSHAKE,
    handshake_fault=HandshakeFault(Action(), before_read=True),
)
CLOSES = UpstreamSpec(
    "closes",
    "closes the connection after the ClientHello",
    CLOSED_IN_HANDSHAKE,
    handshake_fault=HandshakeFault(Action()),
)
RESETS = UpstreamSpec(
    "resets",
    "resets the connection after the ClientHello",
    f"peer closed connection in SSL handshake (104: Connection reset by peer){HANDSHAKING}",
    handshake_fault=HandshakeFault(Action(then=AfterSend.RESET)),
)
SILENT = UpstreamSpec(
    "silent",
    "accepts connections and never sends anything",
    HANDSHAKE_TIMED_OUT,
    SHORT_TIMEOUTS,
    504,
    handshake_fault=HandshakeFault(Action(then=AfterSend.SILENCE)),
)


def sends_alert(number: int, expected_log: str) -> UpstreamSpec:
    """An upstream that answers every ClientHello with the fatal alert `number`."""
    return UpstreamSpec(
        f"alert-{number}",
        f"answers every ClientHello with alert {number}",
        expected_log,
        handshake_fault=HandshakeFault(Action(alert(number))),
    )
