"""Upstreams whose TLS settings not every proxy shares."""

from __future__ import annotations

import ssl

from sniproxy.testing.upstreams.catalog.good import TLS12, TLS13
from sniproxy.testing.upstreams.catalog.log_messages import (
    HANDSHAKE_FAILURE,
    NO_PROTOCOL,
    PROTOCOL_VERSION,
    handshake_failed,
)
from sniproxy.testing.upstreams.spec import (
    TLS,
    Action,
    HandshakeFault,
    Http2Spec,
    UpstreamSpec,
    alert,
)

ECDSA, RSA = "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"
TLS10 = ssl.TLSVersion.TLSv1


def restricted(
    name: str, description: str, tls: TLS, expected_log: str, directives: str
) -> UpstreamSpec:
    """An upstream that restricts what can be negotiated."""
    return UpstreamSpec(name, description, expected_log, directives, tls=tls)


TLS10_ONLY = restricted(
    "tls-1.0",
    "speaks TLS 1.0 only",
    TLS(min_version=TLS10, max_version=TLS10, ciphers="DEFAULT:@SECLEVEL=0"),
    PROTOCOL_VERSION,
    "",
)
RSA_ONLY = restricted(
    "rsa",
    "has an RSA certificate only",
    TLS("rsa", max_version=TLS12),
    HANDSHAKE_FAILURE,
    f"proxy_ssl_ciphers {ECDSA};",
)
ECDSA_ONLY = restricted(
    "ecdsa",
    "has an ECDSA certificate only",
    TLS(max_version=TLS12),
    HANDSHAKE_FAILURE,
    f"proxy_ssl_ciphers {RSA};",
)
ONE_CIPHER = restricted(
    "one-cipher",
    "accepts one cipher, ECDHE-ECDSA-AES256-GCM-SHA384",
    TLS(max_version=TLS12, ciphers="ECDHE-ECDSA-AES256-GCM-SHA384"),
    HANDSHAKE_FAILURE,
    f"proxy_ssl_ciphers {ECDSA};",
)
WEAK_DH = restricted(
    "weak-dh",
    "accepts DHE only, with a group of 1024 bits",
    TLS(
        "rsa",
        max_version=TLS12,
        ciphers="DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0",
        dh_params="weak-dh.pem",
    ),
    handshake_failed("0A00018A", "dh key too small"),
    "",
)
ANONYMOUS = restricted(
    "anonymous",
    "accepts ciphers without a certificate only",
    TLS(max_version=TLS12, ciphers="aNULL:@SECLEVEL=0"),
    HANDSHAKE_FAILURE,
    "",
)
TICKETS = UpstreamSpec(
    "tickets",
    "resumes TLS 1.3 sessions, by tickets that it sends after the handshake",
    directives="proxy_ssl_session_reuse on;",
    tls=TLS(min_version=TLS13),
)

# Upstreams with a fault in place of the handshake.

_SERVER_HELLO = bytes.fromhex("0303") + bytes(range(32)) + bytes.fromhex("00 C02B 00")
_HANDSHAKE = bytes((2, 0, 0, len(_SERVER_HELLO))) + _SERVER_HELLO
"""TLS 1.2, no session, ECDHE-ECDSA-AES128-GCM-SHA256, no compression, no extension at all."""

LEGACY_RENEGOTIATION = UpstreamSpec(
    "legacy-renegotiation",
    "does not support secure renegotiation (RFC 5746)",
    handshake_failed("0A000152", "unsafe legacy renegotiation disabled"),
    handshake_fault=HandshakeFault(Action(bytes((22, 3, 3, 0, len(_HANDSHAKE))) + _HANDSHAKE)),
)
NEEDS_ALPN = UpstreamSpec(
    "needs-alpn",
    "rejects a ClientHello without ALPN h2 or http/1.1",
    NO_PROTOCOL,
    handshake_fault=HandshakeFault(Action(alert(120)), allow_alpn=(b"h2", b"http/1.1")),
    tls=TLS(alpn=("h2", "http/1.1")),
    http2=Http2Spec(),
)
