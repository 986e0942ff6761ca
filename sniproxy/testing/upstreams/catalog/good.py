"""Well-behaved upstreams, some limited to one version of TLS."""

from __future__ import annotations

import ssl

from sniproxy.testing.upstreams.catalog.log_messages import PROTOCOL_VERSION
from sniproxy.testing.upstreams.spec import TLS, UpstreamSpec

TLS12 = ssl.TLSVersion.TLSv1_2
TLS13 = ssl.TLSVersion.TLSv1_3

GOOD = UpstreamSpec("good", "answers every request with 200, over TLS 1.2 or 1.3")
GOOD_12 = UpstreamSpec(
    "tls-1.2",
    "speaks TLS 1.2 only",
    PROTOCOL_VERSION,
    "proxy_ssl_protocols TLSv1.3;",
    tls=TLS(max_version=TLS12),
)
GOOD_13 = UpstreamSpec(
    "tls-1.3",
    "speaks TLS 1.3 only",
    PROTOCOL_VERSION,
    "proxy_ssl_protocols TLSv1.2;",
    tls=TLS(min_version=TLS13),
)
PLAIN = UpstreamSpec("plain", "answers every request with 200, without TLS", tls=None)
