"""Messages that nginx logs about faulty upstreams, and directives that provoke them.

The messages were recorded from nginx 1.31 with OpenSSL 3.3; the texts of errno values are
glibc's.
"""

from __future__ import annotations

from sniproxy.testing.upstreams.certificates import GOOD_NAME

SEND_SNI = f"proxy_ssl_server_name on; proxy_ssl_name {GOOD_NAME};"
VERIFY = f"proxy_ssl_verify on; proxy_ssl_trusted_certificate root.pem; proxy_ssl_name {GOOD_NAME};"
SHORT_TIMEOUTS = "proxy_connect_timeout 150ms; proxy_read_timeout 150ms;"

CONNECTING = " while connecting to upstream"
HANDSHAKING = " while SSL handshaking to upstream"
READING_HEAD = " while reading response header from upstream"
READING_BODY = " while reading upstream"


def handshake_failed(code: str, reason: str) -> str:
    return f"SSL_do_handshake() failed (SSL: error:{code}:SSL routines::{reason}){HANDSHAKING}"


def verify_failed(number: int, text: str) -> str:
    return f"upstream SSL certificate verify error: ({number}:{text}){HANDSHAKING}"


def name_mismatch(name: str) -> str:
    return f'upstream SSL certificate does not match "{name}"{HANDSHAKING}'


HANDSHAKE_TIMED_OUT = "upstream timed out (110: Connection timed out)" + HANDSHAKING
CLOSED_IN_HANDSHAKE = "peer closed connection in SSL handshake" + HANDSHAKING
WRONG_VERSION = handshake_failed("0A00010B", "wrong version number")
UNRECOGNIZED_NAME = handshake_failed("0A000458", "tlsv1 unrecognized name:SSL alert number 112")
HANDSHAKE_FAILURE = handshake_failed(
    "0A000410", "ssl/tls alert handshake failure:SSL alert number 40"
)
INTERNAL_ERROR = handshake_failed("0A000438", "tlsv1 alert internal error:SSL alert number 80")
ACCESS_DENIED = handshake_failed("0A000419", "tlsv1 alert access denied:SSL alert number 49")
PROTOCOL_VERSION = handshake_failed("0A00042E", "tlsv1 alert protocol version:SSL alert number 70")
NO_PROTOCOL = handshake_failed(
    "0A000460", "tlsv1 alert no application protocol:SSL alert number 120"
)
