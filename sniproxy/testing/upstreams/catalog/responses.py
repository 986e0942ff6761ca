"""Upstreams with a fault after the handshake: in the response, or in closing the connection."""

from __future__ import annotations

from dataclasses import replace

from sniproxy.testing.upstreams.catalog.log_messages import (
    READING_BODY,
    READING_HEAD,
    SHORT_TIMEOUTS,
)
from sniproxy.testing.upstreams.spec import (
    TLS,
    Action,
    AfterSend,
    Http2Spec,
    ReceivedRequest,
    Reply,
    UpstreamSpec,
    echo,
    response,
)


def responds(
    name: str,
    description: str,
    response: Action,
    expected_log: str = "",
    directives: str = "",
    expected_status: int | None = None,
) -> UpstreamSpec:
    """An upstream with a fault in its response."""
    return UpstreamSpec(
        name, description, expected_log, directives, expected_status, response=response
    )


_PREMATURE = f"upstream prematurely closed connection{READING_HEAD}"
_PREMATURE_BODY = f"upstream prematurely closed connection{READING_BODY}"
_HALF = response("x" * 100)[:-90]

CLOSES_ON_REQUEST = responds(
    "closes-on-request", "closes the connection instead of responding", Action(), _PREMATURE
)
CLOSES_ON_REQUEST_NO_CLOSE_NOTIFY = responds(
    "closes-on-request-no-close-notify",
    "closes the connection without close_notify instead of responding",
    Action(then=AfterSend.CUT),
    _PREMATURE,
)
RESETS_REQUEST = responds(
    "resets-request",
    "resets the connection instead of responding",
    Action(then=AfterSend.RESET),
    _PREMATURE,
)
NO_RESPONSE = responds(
    "no-response",
    "reads the request and never responds",
    Action(then=AfterSend.SILENCE),
    f"upstream timed out (110: Connection timed out){READING_HEAD}",
    SHORT_TIMEOUTS,
    504,
)
CUT_HEAD = responds(
    "cut-head",
    "closes the connection within the response header",
    Action(b"HTTP/1.1 200 OK\r\nServ"),
    _PREMATURE,
)
CUT_BODY = responds(
    "cut-body",
    "closes the connection within the response body",
    Action(_HALF),
    _PREMATURE_BODY,
    expected_status=200,
)
CUT_BODY_NO_CLOSE_NOTIFY = responds(
    "cut-body-no-close-notify",
    "closes the connection within the response body, without close_notify",
    Action(_HALF, AfterSend.CUT),
    _PREMATURE_BODY,
    expected_status=200,
)
STALLED_BODY = responds(
    "stalled-body",
    "stops sending within the response body, and keeps the connection open",
    Action(_HALF, AfterSend.SILENCE),
    f"upstream timed out (110: Connection timed out){READING_BODY}",
    SHORT_TIMEOUTS,
    200,
)
NOT_HTTP = responds(
    "not-http",
    "sends a response that is not HTTP",
    Action(b"ERR unknown command\r\n"),
    f"upstream sent no valid HTTP/1.0 header{READING_HEAD}",
    expected_status=0,
)
BAD_HEADER = responds(
    "bad-header",
    "sends a malformed header line",
    Action(b"HTTP/1.1 200 OK\r\nBad Header: x\r\nContent-Length: 0\r\n\r\n"),
    f'upstream sent invalid header: "Bad\\x20..."{READING_HEAD}',
)
DOUBLE_LENGTH = responds(
    "double-length",
    "sends Content-Length twice",
    Action(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    'upstream sent duplicate header line: "Content-Length: 2", '
    f'previous value: "Content-Length: 1"{READING_HEAD}',
)
HTTP_2 = UpstreamSpec(
    "http-2",
    "speaks HTTP/2 only",
    f"upstream sent no valid HTTP/1.0 header{READING_HEAD}",
    expected_status=0,
    tls=TLS(alpn=("h2",)),
    http2=Http2Spec(),
)
BIG_HEADER = responds(
    "big-header",
    "sends a response header of 16 kB",
    Action(response("", f"X-Big: {'x' * 16384}"), AfterSend.WAIT),
    f"upstream sent too big header{READING_HEAD}",
)
DRIP = responds(
    "drip",
    "sends its response at one byte per second",
    Action(echo, AfterSend.WAIT, byte_interval=1.0),
    f"upstream timed out (110: Connection timed out){READING_HEAD}",
    SHORT_TIMEOUTS,
    504,
)
NO_CLOSE_NOTIFY = responds(
    "no-close-notify",
    "ends a response of unknown length by closing the connection without close_notify",
    Action(b"HTTP/1.1 200 OK\r\nServer: sniproxy-testing\r\n\r\nall of it\n", AfterSend.CUT),
)
CLOSES_IDLE = responds(
    "closes-kept",
    "closes the connection after each response, without sending Connection: close",
    Action(Reply(b"once\n")),
)
CLOSES_SECOND_REQUEST = replace(
    responds(
        "closes-second-request",
        "answers one request per connection, and closes it when it gets the second",
        Action(echo, AfterSend.WAIT),
        _PREMATURE,
        expected_status=200,
    ),
    max_requests=1,
)


def fixed_response(name: str, *parts: bytes, then: AfterSend = AfterSend.CLOSE) -> UpstreamSpec:
    """An upstream that sends `parts`, joined, in response to every request, over plain HTTP."""
    return UpstreamSpec(
        name, "sends a fixed response", tls=None, response=Action(b"".join(parts), then)
    )


def by_path(request: ReceivedRequest) -> bytes | Reply:
    status = request.path.rpartition("/")[2]
    known = len(status) == 3 and status.isdecimal() and "200" <= status < "600"
    # Raw bytes: h11 has no response without a reason phrase, and none to HEAD with a body.
    return response(f"{status}\n", status=status) if known else echo(request)


BY_PATH = UpstreamSpec(
    "by-path",
    "answers a request for …/STATUS with that status, and all others with 200",
    response=Action(by_path, AfterSend.WAIT),
)


def fails_with_status(status: str) -> UpstreamSpec:
    """A healthy upstream whose application fails: every response has `status`.

    `status` is a code with its reason, such as "503 Service Unavailable".
    """

    def reply(request: ReceivedRequest) -> Reply:
        return Reply(f"{status}\n".encode(), int(status[:3]), status[4:])

    return UpstreamSpec(
        f"status-{status[:3]}",
        f"answers every request with {status}",
        response=Action(reply, AfterSend.WAIT),
    )
