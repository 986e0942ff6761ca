"""Upstreams that speak HTTP/2, most with a fault, and one that does not speak it."""

from __future__ import annotations

from dataclasses import replace

from sniproxy.testing.upstreams.catalog.log_messages import READING_HEAD, UNRECOGNIZED_NAME
from sniproxy.testing.upstreams.certificates import GOOD_NAME
from sniproxy.testing.upstreams.http2_session import answer, data, goaway, reset, settings
from sniproxy.testing.upstreams.spec import (
    TLS,
    Action,
    HandshakeFault,
    Http2Answer,
    Http2Spec,
    ReceivedRequest,
    Reply,
    UpstreamSpec,
    alert,
)

SPEAK_HTTP2 = "proxy_http_version 2;"
_MESSAGE = b"\0\0\0\0\0"
"""A gRPC message without fields, uncompressed."""


def speaks_http2(
    name: str,
    description: str,
    expected_log: str = "",
    answer: Http2Answer | None = None,
    start: bytes = settings(),
) -> UpstreamSpec:
    """An upstream that speaks HTTP/2 and nothing else."""
    return UpstreamSpec(
        name,
        description,
        f"{expected_log}{READING_HEAD}" if expected_log else "",
        SPEAK_HTTP2,
        tls=TLS(alpn=("h2",)),
        http2=Http2Spec(answer, start),
    )


def _grpc(stream: int, status: int, body: bytes) -> bytes:
    trailers = (("grpc-status", str(status)),)
    if body:
        return answer(stream, Reply(body, content_type="application/grpc"), trailers)
    return answer(stream, Reply(content_type="application/grpc", fields=trailers))


def _goaway(stream: int, request: ReceivedRequest) -> bytes:
    return goaway(0, 0)


def _reset(stream: int, request: ReceivedRequest) -> bytes:
    return reset(stream, 7)


def _data_first(stream: int, request: ReceivedRequest) -> bytes:
    return data(stream, b"too early")


def _succeed(stream: int, request: ReceivedRequest) -> bytes:
    return _grpc(stream, 0, _MESSAGE)


def _fail(stream: int, request: ReceivedRequest) -> bytes:
    return _grpc(stream, 14, b"")


HTTP2 = speaks_http2("http2", "answers every request with 200, over HTTP/2")
HTTP2_GOAWAY = speaks_http2(
    "http2-goaway",
    "answers every request with GOAWAY, over HTTP/2",
    "upstream sent goaway with error 0",
    _goaway,
)
HTTP2_RESET = speaks_http2(
    "http2-reset",
    "answers every request with RST_STREAM, over HTTP/2",
    "upstream rejected request with error 7",
    _reset,
)
HTTP2_BAD_SETTINGS = speaks_http2(
    "http2-bad-settings",
    "begins HTTP/2 with an invalid window size",
    "upstream sent settings frame with too large initial window size: 2147483648",
    start=settings(initial_window_size=2**31),
)
HTTP2_DATA_FIRST = speaks_http2(
    "http2-data-first",
    "sends DATA before HEADERS, over HTTP/2",
    "upstream sent unexpected http2 frame: 0",
    _data_first,
)
NO_ALPN = UpstreamSpec(
    "no-alpn",
    "selects no protocol by ALPN, and speaks HTTP/1 only",
    f"upstream sent too large http2 frame: 4740180{READING_HEAD}",
    SPEAK_HTTP2,
)
GRPC = speaks_http2("grpc", "answers every request with an empty gRPC message", "", _succeed)
GRPC_NEEDS_SNI = replace(
    GRPC,
    name="grpc-needs-sni",
    description="answers with an empty gRPC message, but rejects a ClientHello without SNI",
    expected_log=UNRECOGNIZED_NAME,
    directives=f"{SPEAK_HTTP2} proxy_ssl_name {GOOD_NAME};",
    handshake_fault=HandshakeFault(Action(alert(112)), allow_sni=(GOOD_NAME,)),
)
GRPC_UNAVAILABLE = speaks_http2(
    "grpc-unavailable", "answers every request with the gRPC status UNAVAILABLE", "", _fail
)
