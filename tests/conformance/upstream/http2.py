"""Upstreams that speak HTTP/2, by `grpc_pass` and by `proxy_http_version 2`: frames by rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from sniproxy.testing.upstreams import AfterSend, UpstreamSpec, catalog
from sniproxy.testing.upstreams.http2_session import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HAS_PRIORITY,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    block,
    data,
    frame,
    goaway,
    headers,
    reset,
    settings,
    window_update,
)
from sniproxy.testing.upstreams.spec import Action, Http2Spec, ReceivedRequest
from tests.conformance.scenario import Scenario, Table, get, request

PASSES = {
    "grpc": "grpc_pass grpc://PEER;",
    "proxy": "proxy_pass http://PEER; proxy_http_version 2;",
}
OK = ((":status", "200"), ("content-type", "text/plain"))
READING_HEAD = " while reading response header from upstream"
READING_BODY = " while reading upstream"
INVALID = f"upstream sent invalid header{READING_HEAD}"

Frames = bytes | Callable[[int], bytes]


def hello(stream: int) -> bytes:
    return headers(stream, OK) + data(stream, b"hello")


def speaks(
    answer: Frames,
    then: AfterSend = AfterSend.WAIT,
    *,
    early: bool = False,
    start: bytes = settings(),
) -> UpstreamSpec:
    """An upstream that answers with these frames; a function gets the number of the stream."""

    def made(stream: int, received: ReceivedRequest) -> bytes:
        return answer(stream) if callable(answer) else answer

    return UpstreamSpec(
        "speaks",
        "speaks HTTP/2",
        tls=None,
        http2=Http2Spec(made, start, early),
        response=Action(then=then),
    )


def both(
    name: str,
    rule: str,
    answer: Frames,
    directives: str = "",
    then: AfterSend = AfterSend.WAIT,
    *,
    early: bool = False,
    start: bytes = settings(),
    requests: tuple[str, ...] = (get(),),
    status: int | tuple[int, ...] = 200,
    logs: tuple[str, ...] = (),
    only: tuple[str, ...] = ("grpc", "proxy"),
    upstreams: int = 1,
    group: str = "",
    open_connections: int = 0,
    server: str = "",
) -> Iterator[Scenario]:
    """A scenario for each module; in `directives` and `logs` MODULE is its prefix."""
    for module in only:
        target = PASSES[module].replace("PEER", "GROUP" if group else "PEER")
        yield Scenario(
            f"{module}-{name}",
            rule,
            f"{target} {directives.replace('MODULE', module)}",
            (speaks(answer, then, early=early, start=start),) * upstreams,
            proxy_pass="none",
            requests=requests,
            status=status,
            logs=tuple(text.replace("MODULE", module) for text in logs),
            group=group,
            open_connections=open_connections,
            server=server.replace("MODULE", module),
        )


def refused(
    name: str,
    rule: str,
    answer: Frames,
    *lines: str,
    then: AfterSend = AfterSend.WAIT,
    start: bytes = settings(),
) -> Iterator[Scenario]:
    """An answer that is refused before its head is complete."""
    logs = tuple(line if line == INVALID else line + READING_HEAD for line in lines)
    return both(name, rule, answer, then=then, start=start, status=502, logs=logs)


def broken(
    name: str, rule: str, answer: bytes, line: str, *more: str, length: int | None = None
) -> Iterator[Scenario]:
    """A body or trailers that are malformed, behind a correct head."""
    fields = OK if length is None else (*OK, ("content-length", str(length)))
    return both(
        name,
        rule,
        headers(1, fields) + answer,
        status=0,
        logs=(line, *more),
    )


def invalid_block(name: str, rule: str, encoded: bytes, line: str) -> Iterator[Scenario]:
    """A header block that cannot be decoded."""
    return refused(name, rule, frame(HEADERS, END_HEADERS | END_STREAM, 1, encoded), line, INVALID)


def literal(name: bytes, value: bytes) -> bytes:
    return b"\0" + bytes((len(name),)) + name + bytes((len(value),)) + value


def heads() -> Iterator[Scenario]:
    yield from both("answer", "HEADERS and DATA are a response.", hello)
    yield from both(
        "length",
        "A Content-Length is passed on.",
        headers(1, (*OK, ("content-length", "5"))) + data(1, b"hello"),
    )
    yield from both("only-head", "A response may end with its head.", headers(1, OK, ends=True))
    yield from both(
        "no-content", "A 204 has no body.", headers(1, ((":status", "204"),), ends=True), status=204
    )
    yield from both(
        "not-found",
        "A status of the upstream is passed on.",
        headers(1, ((":status", "404"),)) + data(1, b"none"),
        status=404,
    )
    yield from both(
        "odd-status",
        "An unknown status is passed on as a number.",
        headers(1, ((":status", "299"),)) + data(1, b"x"),
        status=299,
    )
    yield from both(
        "head-method",
        "A response to HEAD has no body.",
        headers(1, (*OK, ("content-length", "5")), ends=True),
        requests=(request("HEAD"),),
    )
    yield from both(
        "continued",
        "A header block may be continued.",
        frame(HEADERS, 0, 1, block(OK)[:3])
        + frame(CONTINUATION, END_HEADERS, 1, block(OK)[3:])
        + data(1, b"x"),
    )
    yield from both(
        "padded",
        "Padding and priorities are skipped.",
        frame(HEADERS, END_HEADERS | PADDED | HAS_PRIORITY, 1,
              b"\3" + b"\0\0\0\0\7" + block(OK) + b"\0\0\0")
        + frame(DATA, END_STREAM | PADDED, 1, b"\2hello\0\0"),
    )  # fmt: skip
    yield from both(
        "never-indexed",
        "Fields may have any encoding without the dynamic table.",
        frame(HEADERS, END_HEADERS | END_STREAM, 1,
              b"\x20\x88\x1f\x10\x04text" + b"\x10\x01a\x01b" + b"\x0f\x2d\x01v"
              + b"\x00\x81\x1f\x01c"),
    )  # fmt: skip
    yield from both(
        "early-hints",
        "Early hints come before the head.",
        headers(1, ((":status", "103"), ("link", "</a>"))) + headers(1, OK) + data(1, b"x"),
        "early_hints 1;",
        status=103,
    )
    yield from both(
        "rejoined",
        "Fields that repeat are passed on in their order.",
        headers(1, (*OK, ("set-cookie", "a=1"), ("x-y", "1"), ("set-cookie", "b=2")), ends=True),
    )
    yield from both(
        "hidden",
        "Date, Server and hidden fields are replaced or dropped.",
        headers(1, (*OK, ("date", "x"), ("server", "y"), ("x-pad", "z"), ("x-h", "1")), ends=True),
        "MODULE_hide_header X-H;",
    )
    yield from both(
        "passed",
        "Hidden fields are passed if a directive names them.",
        headers(1, (*OK, ("server", "y"), ("x-accel-foo", "1")), ends=True),
        "MODULE_pass_header Server;",
    )
    yield from both(
        "intercepted",
        "Errors may be intercepted.",
        headers(1, ((":status", "500"),)) + data(1, b"x"),
        "MODULE_intercept_errors on; error_page 500 =418 /nowhere;",
        status=404,
        logs=("open() ",),
    )
    yield from both(
        "x-accel-redirect",
        "X-Accel-Redirect is followed.",
        headers(1, ((":status", "200"), ("x-accel-redirect", "/none")), ends=True),
        status=404,
        logs=("open() ",),
    )
    yield from both(
        "ignored-redirect",
        "Ignored fields have no effect.",
        headers(1, ((":status", "200"), ("x-accel-redirect", "/none")), ends=True),
        "MODULE_ignore_headers X-Accel-Redirect;",
    )
    yield from both(
        "trailers",
        "Trailers are passed on by gRPC, and with proxy_pass_trailers.",
        headers(1, OK) + data(1, b"x", ends=False) + headers(1, (("a", "b"),), ends=True),
        "add_header X-T $upstream_trailer_a;",
    )
    yield from both(
        "passed-trailers",
        "Trailers are passed on with proxy_pass_trailers.",
        headers(1, OK) + data(1, b"x", ends=False) + headers(1, (("a", "b"),), ends=True),
        "proxy_pass_trailers on;",
        only=("proxy",),
    )
    yield from both(
        "chunked-field",
        "The field Transfer-Encoding is dropped.",
        headers(1, (*OK, ("transfer-encoding", "chunked"))) + data(1, b"x"),
    )
    yield from both(
        "connection-field",
        "The field Connection is dropped.",
        headers(1, (*OK, ("connection", "close"))) + data(1, b"x"),
    )
    yield from both(
        "no-fields",
        "A header block without fields is a response without a status.",
        frame(HEADERS, END_HEADERS, 1) + data(1, b"x"),
        status=0,
    )
    yield from both(
        "error-page",
        "A failure may have a page with a gRPC status.",
        reset(1, 1),
        "error_page 502 = /MODULE502;",
        status=204,
        logs=(f"upstream rejected request with error 1{READING_HEAD}",),
        server="location = /MODULE502 { internal; default_type application/grpc; "
        "add_header grpc-status 14; add_header grpc-message unavailable; return 204; }",
    )


def control() -> Iterator[Scenario]:
    answer = headers(1, OK) + data(1, b"x")
    yield from both("settings-between", "SETTINGS may come before the head.", settings() + answer)
    yield from both("ping", "PING is answered.", frame(PING, 0, 0, b"12345678") + answer)
    yield from both(
        "unknown", "A frame of unknown type is skipped.", frame(99, 0, 1, b"x" * 100) + answer
    )
    yield from both(
        "priority", "PRIORITY is skipped.", frame(PRIORITY, 0, 1, b"\0\0\0\0\1") + answer
    )
    yield from both("later-goaway", "GOAWAY with this stream lets it go on.", goaway(1) + answer)
    yield from both(
        "goaway-in-body",
        "GOAWAY within the body lets it go on.",
        headers(1, OK) + goaway(1) + data(1, b"x"),
    )
    yield from both(
        "reset-after",
        "RST_STREAM without an error may follow a response.",
        answer + reset(1, 0),
    )
    yield from both(
        "window-after",
        "WINDOW_UPDATE may follow a response.",
        answer + window_update(1, 5),
    )
    yield from refused(
        "goaway", "GOAWAY with an earlier stream ends the request.", goaway(0, 2),
        "upstream sent goaway with error 2",
    )  # fmt: skip
    yield from refused(
        "reset", "RST_STREAM ends the request.", reset(1, 7),
        "upstream rejected request with error 7",
    )  # fmt: skip
    yield from refused(
        "reset-length", "RST_STREAM has 4 bytes.", frame(RST_STREAM, 0, 1, b"x"),
        "upstream sent rst stream frame with invalid length: 1",
    )  # fmt: skip
    yield from refused(
        "push", "Nothing may be pushed.", frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2\x82"),
        "upstream sent unexpected push promise frame",
    )  # fmt: skip
    yield from refused(
        "data-first", "DATA may not come before the head.", data(1, b"x"),
        "upstream sent unexpected http2 frame: 0",
    )  # fmt: skip
    yield from refused(
        "continuation-first", "CONTINUATION follows HEADERS.",
        frame(CONTINUATION, END_HEADERS, 1, block(OK)),
        "upstream sent unexpected http2 frame: 9",
    )  # fmt: skip
    yield from refused(
        "interrupted", "A header block may not be interrupted.",
        frame(HEADERS, 0, 1, block(OK)) + frame(PING, 0, 0, b"12345678"),
        "upstream sent unexpected http2 frame: 6",
    )  # fmt: skip
    yield from refused(
        "other-stream", "Frames belong to the stream of the request.", headers(3, OK, ends=True),
        "upstream sent frame for unknown stream 3",
    )  # fmt: skip
    yield from refused(
        "large-frame", "A frame has at most 16384 bytes.",
        (16385).to_bytes(3, "big") + bytes((HEADERS, 0)) + b"\0\0\0\1",
        "upstream sent too large http2 frame: 16385",
    )  # fmt: skip
    yield from refused(
        "http-1", "HTTP/1 is no frame.", b"HTTP/1.1 200 OK\r\n\r\n",
        "upstream sent too large http2 frame: 4740180",
    )  # fmt: skip
    yield from refused(
        "settings-stream", "SETTINGS have no stream.", frame(SETTINGS, 0, 1),
        "upstream sent settings frame with non-zero stream id: 1",
    )  # fmt: skip
    yield from refused(
        "settings-length", "SETTINGS are multiples of 6 bytes.", frame(SETTINGS, 0, 0, b"x"),
        "upstream sent settings frame with invalid length: 1",
    )  # fmt: skip
    yield from refused(
        "settings-ack", "An acknowledgement is empty.", frame(SETTINGS, 1, 0, b"x" * 6),
        "upstream sent settings frame with ack flag and non-zero length: 6",
    )  # fmt: skip
    yield from refused(
        "settings-window", "A window has 31 bits.", settings(initial_window_size=2**31),
        "upstream sent settings frame with too large initial window size: 2147483648",
    )  # fmt: skip
    yield from refused(
        "window-length", "WINDOW_UPDATE has 4 bytes.", frame(WINDOW_UPDATE, 0, 0, b"x"),
        "upstream sent window update frame with invalid length: 1",
    )  # fmt: skip
    yield from refused(
        "window-connection", "The window of a connection has 31 bits.",
        window_update(0, 2**31 - 1), "upstream sent too large window update",
    )  # fmt: skip
    yield from refused(
        "window-stream", "The window of a stream has 31 bits.",
        window_update(1, 2**31 - 1), "upstream sent too large window update",
    )  # fmt: skip
    yield from refused(
        "ping-stream", "PING has no stream.", frame(PING, 0, 1, b"12345678"),
        "upstream sent ping frame with non-zero stream id: 1",
    )  # fmt: skip
    yield from refused(
        "ping-length", "PING has 8 bytes.", frame(PING, 0, 0, b"x"),
        "upstream sent ping frame with invalid length: 1",
    )  # fmt: skip
    yield from refused(
        "ping-ack", "No PING was sent that could be answered.", frame(PING, 1, 0, b"12345678"),
        "upstream sent ping frame with ack flag",
    )  # fmt: skip
    yield from refused(
        "goaway-stream", "GOAWAY has no stream.", frame(GOAWAY, 0, 1, b"x" * 8),
        "upstream sent goaway frame with non-zero stream id: 1",
    )  # fmt: skip
    yield from refused(
        "goaway-length", "GOAWAY has 8 bytes.", frame(GOAWAY, 0, 0, b"x" * 7),
        "upstream sent goaway frame with invalid length: 7",
    )  # fmt: skip
    yield from refused(
        "closes", "A connection that ends early is a failure.", b"",
        "upstream prematurely closed connection", then=AfterSend.CLOSE, start=b"",
    )  # fmt: skip
    yield from refused(
        "half-frame", "A frame that is cut short is a failure.", headers(1, OK)[:12],
        "upstream prematurely closed connection", then=AfterSend.CLOSE, start=b"",
    )  # fmt: skip
    yield from refused(
        "hints-end", "Early hints do not end a response.",
        headers(1, ((":status", "103"),), ends=True), "upstream prematurely closed stream",
    )  # fmt: skip


def blocks() -> Iterator[Scenario]:
    status = b"\x88"
    yield from invalid_block(
        "index-0", "Index 0 is invalid.", b"\x80", "upstream sent invalid http2 table index: 0"
    )
    yield from invalid_block(
        "dynamic", "There is no dynamic table.", b"\xbe",
        "upstream sent invalid http2 table index: 62",
    )  # fmt: skip
    yield from invalid_block(
        "dynamic-literal", "There is no dynamic name.", b"\x7e\x01x",
        "upstream sent invalid http2 table index: 62",
    )  # fmt: skip
    yield from invalid_block(
        "long-index", "A long index is checked too.", b"\x0f\x2f\x01x",
        "upstream sent invalid http2 table index: 62",
    )  # fmt: skip
    yield from invalid_block(
        "longer-index", "An index has at most two bytes.", b"\x0f\x80\x01",
        "upstream sent http2 table index with continuation flag",
    )  # fmt: skip
    yield from invalid_block(
        "table-size", "The dynamic table stays empty.", b"\x3f",
        "upstream sent invalid http2 dynamic table size update: 31",
    )  # fmt: skip
    yield from invalid_block(
        "empty-name", "A name is not empty.", status + b"\0\0\1x",
        "upstream sent zero http2 header name length",
    )  # fmt: skip
    yield from invalid_block(
        "long-name", "The length of a name has four bytes.", b"\0\x7f\xff\xff\xff",
        "upstream sent too large http2 header name length",
    )  # fmt: skip
    yield from invalid_block(
        "larger-name", "A name fits the buffer.", b"\0\x7f\xff\x7fx",
        "upstream sent too large http2 header name length: 16510",
    )  # fmt: skip
    yield from invalid_block(
        "long-value", "The length of a value has four bytes.", b"\x48\x7f\xff\xff\xff",
        "upstream sent too large http2 header value length",
    )  # fmt: skip
    yield from invalid_block(
        "larger-value", "A value fits the buffer.", b"\x48\x7f\xff\x7fx",
        "upstream sent too large http2 header value length: 16510",
    )  # fmt: skip
    yield from invalid_block(
        "huffman", "Huffman codes are valid.", b"\x48\x81\x00",
        "upstream sent invalid encoded header",
    )  # fmt: skip
    yield from invalid_block(
        "truncated", "A block ends with a field.", status + b"\0\5x",
        "upstream sent truncated http2 header",
    )  # fmt: skip
    yield from invalid_block(
        "upper-case", "A name is in lower case.", status + literal(b"X-A", b"1"),
        'upstream sent invalid header: "X-A: 1"',
    )  # fmt: skip
    yield from invalid_block(
        "colon", "A colon may only be first.", status + literal(b"a:b", b"1"),
        'upstream sent invalid header: "a:b: 1"',
    )  # fmt: skip
    yield from invalid_block(
        "line-end", "A value has no line ends.", status + literal(b"a", b"b\0c"),
        'upstream sent invalid header: "a: b\0c"',
    )  # fmt: skip
    yield from refused(
        "no-status", "The first field is :status.", headers(1, (("a", "b"),), ends=True),
        "upstream sent no :status header",
    )  # fmt: skip
    yield from refused(
        "two-statuses", ":status is sent once.",
        headers(1, ((":status", "200"), (":status", "200")), ends=True),
        "upstream sent duplicate :status header",
    )  # fmt: skip
    yield from refused(
        "long-status", "A status has three digits.", headers(1, ((":status", "2000"),), ends=True),
        'upstream sent invalid :status "2000"',
    )  # fmt: skip
    yield from refused(
        "word-status", "A status is a number.", headers(1, ((":status", "2x0"),), ends=True),
        'upstream sent invalid :status "2x0"',
    )  # fmt: skip
    yield from refused(
        "low-status", "A status is final, except 103.", headers(1, ((":status", "100"),)),
        'upstream sent unexpected :status "100"',
    )  # fmt: skip
    yield from refused(
        "pseudo", "There is no other pseudo-field.", headers(1, ((":path", "/"),), ends=True),
        'upstream sent invalid header ":path: /"',
    )  # fmt: skip
    yield from refused(
        "padding-length", "Padding fits its frame.",
        frame(HEADERS, END_HEADERS | PADDED, 1, b"\x05\x88"),
        "upstream sent http2 frame with too long padding: 5 in frame 1", INVALID,
    )  # fmt: skip
    yield from refused(
        "headers-length", "HEADERS have a priority if the flag says so.",
        frame(HEADERS, END_HEADERS | HAS_PRIORITY, 1, b"\x88"),
        "upstream sent headers frame with invalid length: 1", INVALID,
    )  # fmt: skip
    yield from refused(
        "two-lengths", "Content-Length is sent once.",
        headers(1, (*OK, ("content-length", "1"), ("content-length", "1")), ends=True),
        'upstream sent duplicate header line: "content-length: 1", '
        'previous value: "content-length: 1"',
    )  # fmt: skip
    yield from refused(
        "large-head", "The fields together fit the buffer.",
        headers(1, ((":status", "200"), ("a" * 200, "a" * 3900)), ends=True),
        "upstream sent too large http2 header", INVALID,
    )  # fmt: skip
    yield from refused(
        "skipped-large", "Frames before the head fit the buffer.", frame(99, 0, 0, b"x" * 5000),
        "upstream sent too big header",
    )  # fmt: skip


def bodies() -> Iterator[Scenario]:
    yield from broken(
        "body-unknown-stream", "DATA belongs to the stream.", data(3, b"x"),
        "upstream sent data frame for unknown stream 3",
    )  # fmt: skip
    yield from broken(
        "body-reset", "RST_STREAM ends a body.", reset(1, 8),
        "upstream rejected request with error 8",
    )  # fmt: skip
    yield from broken(
        "body-reset-0", "RST_STREAM without an error ends a body too.", reset(1, 0),
        "upstream rejected request with error 0",
    )  # fmt: skip
    yield from broken(
        "body-goaway", "GOAWAY with an earlier stream ends a body.", goaway(0, 3),
        "upstream sent goaway with error 3",
    )  # fmt: skip
    yield from broken(
        "body-push", "Nothing may be pushed within a body.",
        frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2\x82"),
        "upstream sent unexpected push promise frame",
    )  # fmt: skip
    yield from broken(
        "body-continuation", "CONTINUATION needs HEADERS.", frame(CONTINUATION, 4, 1, b""),
        "upstream sent unexpected http2 frame: 9",
    )  # fmt: skip
    yield from broken(
        "body-padding", "Padding fits its DATA.", frame(DATA, PADDED, 1, b"\x05x"),
        "upstream sent http2 frame with too long padding: 5 in frame 1",
    )  # fmt: skip
    yield from broken(
        "body-no-padding", "Padded DATA has a length of padding.", frame(DATA, PADDED, 1),
        "upstream sent too short http2 frame",
    )  # fmt: skip
    yield from broken(
        "body-after-end", "No DATA follows the end.", data(1, b"x") + data(1, b"y"),
        "upstream sent frame for closed stream 1",
    )  # fmt: skip
    yield from broken(
        "two-resets", "One RST_STREAM may follow the end.",
        data(1, b"x") + reset(1, 0) + reset(1, 0),
        "upstream sent frame for closed stream 1",
    )  # fmt: skip
    yield from broken(
        "body-longer", "A body is not longer than declared.", data(1, b"12345"),
        "upstream sent response body larger than indicated content length", length=4,
    )  # fmt: skip
    yield from broken(
        "body-shorter", "A body is not shorter than declared.", data(1, b"12345"),
        "upstream prematurely closed stream", length=6,
    )  # fmt: skip
    yield from broken(
        "trailer-pseudo", "Trailers have no pseudo-fields.",
        data(1, b"x", ends=False) + headers(1, ((":status", "200"),), ends=True),
        'upstream sent invalid trailer ":status: 200"',
    )  # fmt: skip
    yield from broken(
        "trailer-no-end", "Trailers end the stream.",
        data(1, b"x", ends=False) + headers(1, (("a", "b"),)),
        "upstream sent trailer without end stream flag",
    )  # fmt: skip
    yield from broken(
        "trailer-invalid", "Trailers are valid fields.",
        data(1, b"x", ends=False) + frame(HEADERS, 5, 1, literal(b"A", b"b")),
        'upstream sent invalid header: "A: b"', "upstream sent invalid trailer",
    )  # fmt: skip
    yield from both(
        "cut-body", "A connection that ends within a body is an error.",
        headers(1, OK) + data(1, b"x", ends=False), then=AfterSend.CLOSE,
        only=("proxy",), start=b"",
        logs=("upstream prematurely closed connection",),
    )  # fmt: skip
    yield from both(
        "head-shorter",
        "A response that ends with its head has no declared body.",
        headers(1, (*OK, ("content-length", "5")), ends=True),
        status=0,
        logs=("upstream prematurely closed stream",),
        only=("proxy",),
    )
    yield from both(
        "head-shorter",
        "gRPC takes the length of such a response as 0.",
        headers(1, (*OK, ("content-length", "5")), ends=True),
        only=("grpc",),
    )


def sent() -> Iterator[Scenario]:
    post = request("POST", "X-A: B", "TE: trailers", "Expect: nothing", body="abc")
    yield from both("post", "A body is sent as DATA.", hello, requests=(post,))
    yield from both(
        "set-header",
        "Fields may be set, the host replaces the authority.",
        hello,
        "MODULE_set_header Host a.test; MODULE_set_header X-A $request_method; "
        "MODULE_set_header X-B ''; MODULE_set_header Content-Length '';",
        requests=(post,),
    )
    yield from both(
        "method",
        "Another method is sent as it is.",
        hello,
        requests=(request("PROPFIND", body="abc"),),
    )
    yield from both(
        "escaped",
        "The path is passed on as it was received.",
        hello,
        requests=(get(path="PATH/a%20b/../c?d=e f".replace(" f", "%20f")),),
        only=("grpc", "proxy"),
    )
    yield from both(
        "rewritten",
        "A rewritten path is escaped.",
        hello,
        "rewrite ^ /a%20b break;",
        requests=(get(path="PATH?x=y"),),
    )
    yield from both(
        "trailers-wanted",
        "TE: trailers is passed on by gRPC alone.",
        hello,
        requests=(get("TE: gzip, trailers"),),
    )
    yield from both(
        "large-fields",
        "Large fields are continued in further frames.",
        hello,
        "MODULE_set_header X-Large $http_x_large$http_x_large$http_x_large;",
        requests=(get(f"X-Large: {'x<' * 3500}"),),
    )
    yield from both(
        "chunked",
        "A chunked body becomes DATA.",
        hello,
        requests=(
            "POST PATH HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n"
            "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        ),
    )
    yield from both(
        "answer-before-body",
        "An answer may come before the body was sent.",
        hello,
        early=True,
        requests=(request("POST", body="x" * 100),),
    )


def reused() -> Iterator[Scenario]:
    twice = ("GET PATH HTTP/1.1\r\nHost: front.test\r\n\r\n", get())
    group = "server PEER; keepalive 4;"
    yield from both(
        "kept",
        "A connection is used again, with the next stream.",
        hello,
        requests=twice,
        status=(200, 200),
        group=group,
        open_connections=1,
    )
    yield from both(
        "cached",
        "A response is stored, and sent from the cache.",
        lambda stream: (
            headers(stream, (*OK, ("x-y", "1"), ("cache-control", "max-age=60")))
            + data(stream, b"cached")
        ),
        "proxy_cache responses; proxy_cache_key $uri; add_header X-Cache $upstream_cache_status;",
        requests=twice,
        status=(200, 200),
        only=("proxy",),
    )
    yield from both(
        "not-kept-goaway",
        "A connection is not used after GOAWAY.",
        lambda stream: goaway(stream) + hello(stream),
        requests=twice,
        status=(200, 200),
        group=group,
    )
    yield from both(
        "kept-trailers",
        "A connection is used again after trailers.",
        lambda stream: (
            headers(stream, OK)
            + data(stream, b"x", ends=False)
            + headers(stream, (("a", "b"),), ends=True)
        ),
        requests=twice,
        status=(200, 200),
        group=group,
        open_connections=1,
    )
    yield from both(
        "not-kept-more",
        "A connection is not used if a part of a frame followed.",
        lambda stream: hello(stream) + b"\0\0",
        requests=twice,
        status=(200, 200),
        group=group,
    )
    yield from both(
        "next-upstream",
        "The next peer is tried after a refusal.",
        reset(1, 7),
        "MODULE_next_upstream invalid_header;",
        group="server PEER max_fails=0; server PEER2 max_fails=0;",
        upstreams=2,
        status=502,
        logs=(
            f"upstream rejected request with error 7{READING_HEAD}",
            f"upstream rejected request with error 7{READING_HEAD}",
        ),
    )
    yield from both(
        "next-upstream-status",
        "The next peer is tried after a status.",
        headers(1, ((":status", "503"),), ends=True),
        "MODULE_next_upstream http_503; MODULE_next_upstream_tries 2;",
        group="server PEER max_fails=0; server PEER2 max_fails=0; server PEER3;",
        upstreams=3,
        status=503,
    )


def secured() -> Iterator[Scenario]:
    """TLS: one implementation behind the directives of both modules."""
    passes = {
        "grpc": "grpc_pass grpcs://PEER; grpc_ssl_session_reuse off;",
        "proxy": "proxy_pass https://PEER; proxy_http_version 2;",
    }
    named = "MODULE_ssl_server_name on; MODULE_ssl_name upstream.test;"
    verified = "MODULE_ssl_verify on; MODULE_ssl_trusted_certificate root.pem;"
    rows: tuple[tuple[str, str, UpstreamSpec, str, dict[str, Any]], ...] = (
        ("alpn", "ALPN offers h2, and no SNI is sent.", catalog.HTTP2, "", {}),
        ("sni", "SNI is sent on request.", catalog.HTTP2, named, {"sni": "upstream.test"}),
        (
            "verified",
            "The certificate is verified.",
            catalog.HTTP2,
            named + verified,
            {"sni": "upstream.test"},
        ),
        (
            "not-verified",
            "The address is not a name of the certificate.",
            catalog.HTTP2,
            verified,
            {"status": 502, "logs": ('upstream SSL certificate does not match "127.0.0.1"',)},
        ),
        (
            "needs-sni",
            "A handshake without SNI may be refused.",
            catalog.GRPC_NEEDS_SNI,
            "",
            {"status": 502, "logs": ("SSL_do_handshake() failed",)},
        ),
        (
            "protocols",
            "Versions of TLS may be chosen.",
            catalog.HTTP2,
            "MODULE_ssl_protocols TLSv1.2;",
            {},
        ),
        (
            "client-certificate",
            "A client certificate is sent.",
            replace(catalog.WANTS_CLIENT_13, http2=Http2Spec()),
            "MODULE_ssl_certificate client.pem; MODULE_ssl_certificate_key client.key;",
            {},
        ),
    )
    for name, rule, upstream, directives, more in rows:
        for module, target in passes.items():
            yield Scenario(
                f"{module}-tls-{name}",
                rule,
                f"{target} {directives.replace('MODULE', module)}",
                (upstream,),
                proxy_pass="none",
                **more,
            )


def named_by_variables() -> Iterator[Scenario]:
    """The target of `grpc_pass` may have variables; its scheme is optional."""
    rows = (
        ("url", "A URL may have variables.", "grpc://127.0.0.1:$arg_port", 200, ()),
        ("no-scheme", "Without a scheme it is grpc.", "$arg_host", 200, ()),
        ("group", "A name may be that of a group.", "grpc://$arg_group", 200, ()),
        (
            "no-port",
            "A port is required.",
            "127.0.0.${arg_none}1",
            500,
            ('no port in upstream "127.0.0.1"',),
        ),
        (
            "invalid",
            "Another scheme is a part of the address.",
            "http://127.0.0.1:$arg_port",
            500,
            ('invalid host in upstream "http://127.0.0.1:PORT"',),
        ),
        (
            "no-resolver",
            "A name needs a resolver.",
            "${arg_none}nowhere.test:80",
            502,
            ("no resolver defined to resolve nowhere.test",),
        ),
    )
    query = "?port=PORT&host=PEER&group=GROUP"
    for name, rule, target, status, logs in rows:
        yield Scenario(
            f"grpc-variable-{name}",
            rule,
            f"grpc_pass {target};",
            (speaks(hello),),
            proxy_pass="none",
            group="server PEER;",
            requests=(get(path=f"PATH{query}"),),
            status=status,
            logs=logs,
            open_connections=int(name == "group"),
        )


def waiting() -> Iterator[Scenario]:
    late = "upstream timed out (110: Connection timed out)"
    yield from both(
        "no-answer",
        "The response has to begin in time.",
        settings(),
        "MODULE_read_timeout 150ms;",
        status=504,
        logs=(f"{late}{READING_HEAD}",),
    )


TABLE = Table(
    "http2-upstreams",
    (
        *heads(),
        *control(),
        *blocks(),
        *bodies(),
        *sent(),
        *reused(),
        *secured(),
        *named_by_variables(),
        *waiting(),
    ),
    before="proxy_cache_path cache keys_zone=responses:1m; "
    "log_format all '$request $status $bytes_sent $upstream_status $upstream_addr "
    "$upstream_bytes_sent $upstream_bytes_received $upstream_response_length "
    "$upstream_trailer_a $upstream_http_x_y $sent_trailer_a';",
    server="access_log access.log all;",
)
