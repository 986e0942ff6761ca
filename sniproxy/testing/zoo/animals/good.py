"""All is well, with a proxy that speaks what they speak."""

from __future__ import annotations

import ssl

from sniproxy.testing.zoo.animals.words import PROTOCOL_VERSION
from sniproxy.testing.zoo.behaviour import TLS, Upstream

TLS12 = ssl.TLSVersion.TLSv1_2
TLS13 = ssl.TLSVersion.TLSv1_3

GOOD = Upstream("good", "answers 200 to everything, over TLS 1.2 or 1.3")
GOOD_12 = Upstream(
    "tls-1.2",
    "speaks TLS 1.2 only",
    PROTOCOL_VERSION,
    "proxy_ssl_protocols TLSv1.3;",
    tls=TLS(maximum=TLS12),
)
GOOD_13 = Upstream(
    "tls-1.3",
    "speaks TLS 1.3 only",
    PROTOCOL_VERSION,
    "proxy_ssl_protocols TLSv1.2;",
    tls=TLS(minimum=TLS13),
)
PLAIN = Upstream("plain", "answers 200 to everything, without TLS", tls=None)
