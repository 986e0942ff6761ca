"""Those with settings of TLS that not every proxy shares."""

from __future__ import annotations

import ssl

from sniproxy.testing.zoo.animals.good import TLS12, TLS13
from sniproxy.testing.zoo.animals.words import (
    HANDSHAKE_FAILURE,
    NO_PROTOCOL,
    PROTOCOL_VERSION,
    handshake_failed,
)
from sniproxy.testing.zoo.behaviour import TLS, Move, Refusal, Upstream, alert

ECDSA, RSA = "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"
TLS10 = ssl.TLSVersion.TLSv1


def only(name: str, does: str, tls: TLS, logged: str, when: str) -> Upstream:
    return Upstream(name, does, logged, when, tls=tls)


OLD = only(
    "tls-1.0",
    "speaks TLS 1.0 only",
    TLS(minimum=TLS10, maximum=TLS10, ciphers="DEFAULT:@SECLEVEL=0"),
    PROTOCOL_VERSION,
    "",
)
RSA_ONLY = only(
    "rsa",
    "has an RSA certificate only",
    TLS("rsa", maximum=TLS12),
    HANDSHAKE_FAILURE,
    f"proxy_ssl_ciphers {ECDSA};",
)
ECDSA_ONLY = only(
    "ecdsa",
    "has an ECDSA certificate only",
    TLS(maximum=TLS12),
    HANDSHAKE_FAILURE,
    f"proxy_ssl_ciphers {RSA};",
)
ONE_CIPHER = only(
    "one-cipher",
    "takes one cipher, ECDHE-ECDSA-AES256-GCM-SHA384",
    TLS(maximum=TLS12, ciphers="ECDHE-ECDSA-AES256-GCM-SHA384"),
    HANDSHAKE_FAILURE,
    f"proxy_ssl_ciphers {ECDSA};",
)
WEAK_DH = only(
    "weak-dh",
    "takes DHE only, with a group of 1024 bits",
    TLS(
        "rsa",
        maximum=TLS12,
        ciphers="DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0",
        dh="weak-dh.pem",
    ),
    handshake_failed("0A00018A", "dh key too small"),
    "",
)
TICKETS = Upstream(
    "tickets",
    "resumes sessions by tickets alone, which come behind the handshake of TLS 1.3",
    when="proxy_ssl_session_reuse on;",
    tls=TLS(minimum=TLS13),
)

# Two that come no further than the hello.

_SERVER_HELLO = bytes.fromhex("0303") + bytes(range(32)) + bytes.fromhex("00 C02B 00")
_HANDSHAKE = bytes((2, 0, 0, len(_SERVER_HELLO))) + _SERVER_HELLO
"""TLS 1.2, no session, ECDHE-ECDSA-AES128-GCM-SHA256, no compression, no extension at all."""

LEGACY_RENEGOTIATION = Upstream(
    "legacy-renegotiation",
    "does not know secure renegotiation (RFC 5746)",
    handshake_failed("0A000152", "unsafe legacy renegotiation disabled"),
    refuses=Refusal(Move(bytes((22, 3, 3, 0, len(_HANDSHAKE))) + _HANDSHAKE)),
)
NEEDS_ALPN = Upstream(
    "needs-alpn",
    "refuses hellos without ALPN h2 or http/1.1",
    NO_PROTOCOL,
    refuses=Refusal(Move(alert(120)), alpn=(b"h2", b"http/1.1")),
    tls=TLS(alpn=("h2", "http/1.1")),
)
