"""What comes back from the upstream, and what of it reaches the client."""

from __future__ import annotations

from sniproxy.testing.upstreams import UpstreamSpec, catalog
from sniproxy.testing.upstreams.spec import response
from tests.conformance.scenario import GET, Scenario, Table, get

PLAIN = "http://PEER"


def answering(
    name: str, rule: str, response: bytes, sends: str = GET, status: int | None = None
) -> Scenario:
    """Something that shows in what the client gets of a fixed answer."""
    return Scenario(
        name,
        rule,
        upstreams=(catalog.fixed_response("fixed", response),),
        proxy_pass=PLAIN,
        requests=(sends,),
        status=int(response[9:12]) if status is None else status,
    )


ANSWERS = (
    answering(
        "answer-headers",
        "Date, Server and the headers of the connection are replaced by the proxy's own.",
        response(
            "hello\n",
            "Date: Thu, 01 Jan 1970 00:00:00 GMT",
            "X-Pad: 1",
            "X-Accel-Limit-Rate: 0",
            "Keep-Alive: timeout=5",
            "Set-Cookie: a=1",
            "x-CASE: kept",
            "Set-Cookie: b=2",
            "Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT",
            'ETag: "x"',
            "Cache-Control: no-cache",
            "Content-Language: en",
            "Vary: Accept",
        ),
    ),
    answering(
        "answer-chunked",
        "A chunked response is sent to an HTTP/1.1 client in chunks.",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ),
    answering(
        "answer-chunked-to-1.0",
        "A chunked response is sent to an HTTP/1.0 client without chunks.",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "GET PATH HTTP/1.0\r\n\r\n",
    ),
    answering(
        "answer-until-close",
        "A response of unknown length is sent to an HTTP/1.1 client in chunks.",
        b"HTTP/1.1 200 OK\r\n\r\nhello",
    ),
    answering(
        "answer-1.0", "An HTTP/1.0 response is sent as HTTP/1.1.", b"HTTP/1.0 200 OK\r\n\r\nhello"
    ),
    answering("answer-204", "A 204 has no body.", b"HTTP/1.1 204 No Content\r\n\r\n"),
    answering(
        "answer-304", "A 304 keeps its headers.", b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n'
    ),
    answering(
        "answer-no-reason",
        "A status line without a reason phrase is accepted.",
        b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
    ),
    answering(
        "answer-own-words",
        "The reason phrase of the upstream is kept.",
        b"HTTP/1.1 299 Fine, I guess\r\nContent-Length: 0\r\n\r\n",
    ),
    answering(
        "answer-404",
        "An error response of the upstream is passed on.",
        response("no\n", status="404 No"),
    ),
    answering(
        "answer-lf",
        "Lines of a response head may end with LF alone.",
        b"HTTP/1.1 200 OK\nContent-Length: 2\nX-a: b\n\nok",
    ),
    answering(
        "answer-redirect",
        "A Location of another host is not rewritten.",
        response("", "Location: https://elsewhere.test/x", status="302 Found"),
    ),
    answering(
        "answer-own-redirect",
        "If proxy_pass has no URI, a Location that begins with its address loses the address.",
        response("", "Location: /somewhere", status="302 Found"),
    ),
    answering(
        "answer-interim",
        "Interim responses are not passed on.",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + response("late\n"),
        status=200,
    ),
    answering(
        "answer-100",
        "An unexpected 100 Continue is taken for the final response.",
        b"HTTP/1.1 100 Continue\r\n\r\n" + response("late\n"),
    ),
    Scenario(
        "answer-redirect-rewritten",
        "If proxy_pass has a URI, that is replaced by the location at the start of Location.",
        upstreams=(
            UpstreamSpec(
                "redirects",
                "sends a Location below /base/",
                tls=None,
                response=catalog.fixed_response(
                    "x", response("", "Location: /base/there?x", status="301 Moved Permanently")
                ).response,
            ),
        ),
        proxy_pass="http://PEER/base/",
        location="PATH/",
        requests=(get(path="PATH/here"),),
        status=301,
    ),
    Scenario(
        "answer-too-long",
        "Data beyond Content-Length is dropped with a warning.",
        upstreams=(
            catalog.fixed_response("fixed", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokay"),
        ),
        proxy_pass=PLAIN,
        logs=("upstream sent more data than specified in",),
    ),
    Scenario(
        "answer-header-too-big",
        "A response head that exceeds proxy_buffer_size gets a 502.",
        upstreams=(catalog.fixed_response("fixed", response("x", "X-Big: " + "x" * 5000)),),
        proxy_pass=PLAIN,
        status=502,
        logs=(f"upstream sent too big header{catalog.READING_HEAD}",),
    ),
)

TABLE = Table("answers", ANSWERS)
