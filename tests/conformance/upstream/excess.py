"""Answers with more than they may have, and the phase that log lines about them name."""

from __future__ import annotations

from collections.abc import Iterator

from sniproxy.testing.upstreams import AfterSend, catalog
from tests.conformance.scenario import Scenario, Table

BUFFERED, UNBUFFERED = "", "proxy_buffering off;"
TOO_MUCH = 'upstream sent more data than specified in "Content-Length" header'
AFTER_CHUNKS = "upstream sent data after final chunk"
INVALID = "upstream sent invalid chunked response"
CHUNKS = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"
PHASES = {BUFFERED: catalog.READING_BODY, UNBUFFERED: catalog.READING_HEAD}
"""What a message about data that came with the head says."""

EXCESSES = {
    "no-content": (204, "HTTP/1.1 204 No Content\r\n\r\nhello", TOO_MUCH),
    "not-modified": (304, "HTTP/1.1 304 Not Modified\r\n\r\nhello", TOO_MUCH),
    "empty": (200, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nhello", TOO_MUCH),
    "chunks-of-nothing": (
        204,
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        TOO_MUCH,
    ),
    "length": (200, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokmore", TOO_MUCH),
    "last-chunk": (200, f"{CHUNKS}0\r\n\r\nmore", AFTER_CHUNKS),
}


def scenario(
    name: str,
    rule: str,
    directives: str,
    data: str,
    *logs: str,
    status: int = 200,
    method: str = "GET",
) -> Scenario:
    return Scenario(
        name,
        rule,
        directives,
        (catalog.fixed_response("fixed", data.encode(), then=AfterSend.CLOSE),),
        proxy_pass="http://PEER",
        requests=(f"{method} PATH HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n\r\n",),
        status=status,
        logs=logs,
    )


def scenarios() -> Iterator[Scenario]:
    for directives, phase in PHASES.items():
        kind = "unbuffered" if directives else "buffered"
        for name, (status, data, message) in EXCESSES.items():
            yield scenario(
                f"{kind}-{name}",
                "Data that a response may not have is logged, and is not sent.",
                directives,
                data,
                f"{message}{phase}",
                status=status,
            )
        yield scenario(
            f"{kind}-head",
            "After a HEAD request a body is not looked at.",
            directives,
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            method="HEAD",
        )
        yield scenario(
            f"{kind}-bad-chunk",
            "An invalid chunk that comes with the head is logged with the phase of the head.",
            directives,
            f"{CHUNKS}zz\r\n",
            f"{INVALID}{phase}",
            status=0,
        )
        yield scenario(
            f"{kind}-continue",
            "A status below 200 is final; although its length is unknown, it keeps the connection.",
            directives,
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            status=100,
        )
        yield scenario(
            f"{kind}-intercepted",
            "A response that is replaced by a page is not looked at.",
            f"{directives} proxy_intercept_errors on; error_page 304 =200 /page;",
            "HTTP/1.1 304 Not Modified\r\n\r\nhello",
            status=200,
        )


TABLE = Table("excess", tuple(scenarios()), server="location = /page { return 200 'a page'; }")
