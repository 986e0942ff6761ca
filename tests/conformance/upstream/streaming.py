"""Bodies that go on as they come, both ways, and answers that come before their time."""

from __future__ import annotations

from sniproxy.testing.upstreams import AfterSend, UpstreamSpec, catalog
from sniproxy.testing.upstreams.script import Expect, Send, Signal, Step, WaitFor
from sniproxy.testing.upstreams.spec import Action, HandshakeFault, response
from tests.conformance.scenario import Scenario, Table, request

STREAM = "proxy_request_buffering off;"
OK = response("done\n").decode("latin-1")
CHUNKED = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = "GET PATH HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n\r\n"
HEAD = "POST PATH HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n"


def playing(*steps: Step, then: AfterSend = AfterSend.CLOSE) -> UpstreamSpec:
    return UpstreamSpec(
        "plays", "goes by a script", tls=None, response=Action(then=then), script=steps
    )


def streamed(
    name: str,
    rule: str,
    upstream: tuple[Step, ...],
    client: tuple[Step, ...],
    directives: str = STREAM,
    *,
    then: AfterSend = AfterSend.CLOSE,
    status: int = 200,
    logs: tuple[str, ...] = (),
    half_close: bool = False,
) -> Scenario:
    return Scenario(
        name,
        rule,
        directives,
        (playing(*upstream, then=then),),
        proxy_pass="http://PEER",
        script=client,
        status=status,
        logs=logs,
        half_close=half_close,
    )


REQUESTS = (
    streamed(
        "length",
        "a body goes on as it comes, with its length",
        (Expect("abc"), Signal("abc"), Expect("def"), Send(OK)),
        (Send(HEAD + "Content-Length: 6\r\n\r\nabc"), WaitFor("abc"), Send("def")),
    ),
    streamed(
        "head-first",
        "the head before any of it",
        (Expect("\r\n\r\n"), Signal("head"), Expect("abcdef"), Send(OK)),
        (Send(HEAD + "Content-Length: 6\r\n\r\n"), WaitFor("head"), Send("abcdef")),
    ),
    streamed(
        "chunks",
        "chunks stay chunks, cut anew",
        (
            Expect("abc"),
            Signal("abc"),
            Expect("defgh"),
            Signal("defgh"),
            Expect("0\r\n\r\n"),
            Send(OK),
        ),
        (
            Send(HEAD + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
            WaitFor("abc"),
            Send("2\r\nde\r\n3;x=y\r\nfgh\r\n"),
            WaitFor("defgh"),
            Send("0\r\nTrailer: x\r\n\r\n"),
        ),
    ),
    streamed(
        "whole-chunks",
        "a body that is there already has a length",
        (Expect("abcdef"), Send(OK)),
        (Send(HEAD + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"),),
    ),
    streamed(
        "chunks-1.0",
        "to 1.0 no chunks go: the body is read whole",
        (Expect("abcdef"), Send(OK)),
        (
            Send(HEAD + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
            Send("3\r\ndef\r\n0\r\n\r\n"),
        ),
        STREAM + "proxy_http_version 1.0;",
    ),
    streamed(
        "length-1.0",
        "one of known length does",
        (Expect("abc"), Signal("abc"), Expect("def"), Send(OK)),
        (Send(HEAD + "Content-Length: 6\r\n\r\nabc"), WaitFor("abc"), Send("def")),
        STREAM + "proxy_http_version 1.0;",
    ),
    streamed(
        "set-body",
        "a body of its own is not streamed",
        (Expect("mine"), Send(OK)),
        (Send(HEAD + "Content-Length: 6\r\n\r\nabc"), Send("def")),
        STREAM + "proxy_set_body mine;",
    ),
    streamed(
        "continue",
        "100-continue",
        (Expect("abc"), Send(OK)),
        (
            Send(HEAD + "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"),
            Expect("100 Continue\r\n\r\n"),
            Send("abc"),
        ),
        status=100,
    ),
    streamed(
        "bad-chunk",
        "a chunk that is none",
        (Expect("abc"), Signal("abc")),
        (
            Send(HEAD + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
            WaitFor("abc"),
            Send("zz\r\n"),
        ),
        status=400,
        then=AfterSend.WAIT,
        logs=("client sent invalid chunked body while sending request to upstream",),
    ),
    streamed(
        "too-large",
        "more than client_max_body_size",
        (Expect("abc"), Signal("abc")),
        (
            Send(HEAD + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
            WaitFor("abc"),
            Send("9\r\nx"),
        ),
        STREAM + "client_max_body_size 8;",
        status=413,
        then=AfterSend.WAIT,
        logs=("client intended to send too large chunked body: 3+9 bytes while sending",),
    ),
    streamed(
        "client-ends",
        "a client that ends inside",
        (Expect("abc"), Signal("abc")),
        (Send(HEAD + "Content-Length: 6\r\n\r\nabc"), WaitFor("abc")),
        status=0,
        half_close=True,
        then=AfterSend.WAIT,
        logs=("client prematurely closed connection while sending request to upstream",),
    ),
    streamed(
        "client-late",
        "one that is too slow",
        (Expect("abc"), Signal("abc")),
        (Send(HEAD + "Content-Length: 6\r\n\r\nabc"), WaitFor("abc")),
        STREAM + "client_body_timeout 200ms;",
        status=0,
        then=AfterSend.WAIT,
    ),
    streamed(
        "upstream-late",
        "an upstream that does not answer",
        (Expect("abcdef"),),
        (Send(HEAD + "Content-Length: 6\r\n\r\nabc"), Send("def")),
        STREAM + "proxy_read_timeout 200ms;",
        status=504,
        then=AfterSend.WAIT,
        logs=(f"upstream timed out (110: Operation timed out){catalog.READING_HEAD}",),
    ),
    streamed(
        "early-answer",
        "an answer before the end of the body",
        (Expect("abc"), Send(OK)),
        (Send(HEAD + "Content-Length: 6\r\n\r\nabc"),),
    ),
    streamed(
        "early-answer-kept",
        "ends a connection that might be kept",
        (Expect("abc"), Send(OK)),
        (Send("POST PATH HTTP/1.1\r\nHost: front.test\r\nContent-Length: 6\r\n\r\nabc"),),
    ),
    streamed(
        "ends-early",
        "an upstream that ends inside the body",
        (Expect("abc"),),
        (Send(HEAD + "Content-Length: 6\r\n\r\nabc"),),
        status=502,
        logs=(f"upstream prematurely closed connection{catalog.READING_HEAD}",),
    ),
    streamed(
        "half",
        "after an answer nothing of the body goes on",
        (Expect("abc"), Send(OK), Signal("said")),
        (Send(HEAD + "Content-Length: 6\r\n\r\nabc"), Expect("done\n"), Send("def")),
        then=AfterSend.WAIT,
    ),
    Scenario(
        "not-repeated",
        "what was sent is not repeated elsewhere",
        STREAM,
        (playing(Expect("abc"), Signal("abc"), Expect("def")), catalog.PLAIN),
        proxy_pass="http://GROUP",
        group="server PEER max_fails=0; server PEER2;",
        script=(
            Send(HEAD.replace("POST", "PUT") + "Content-Length: 6\r\n\r\nabc"),
            WaitFor("abc"),
            Send("def"),
        ),
        status=502,
        logs=(catalog.CLOSES_ON_REQUEST.expected_log,),
    ),
    Scenario(
        "repeated",
        "what was not is",
        STREAM,
        (catalog.ABSENT, catalog.PLAIN),
        proxy_pass="http://GROUP",
        group="server PEER max_fails=0; server PEER2; keepalive 0;",
        script=(Send(HEAD + "Content-Length: 6\r\n\r\nabc"), Send("def")),
        status=200,
        logs=(catalog.ABSENT.expected_log,),
    ),
)

BIG = "x" * 6_000_000
REFUSED = response("too much\n", status="413 Too Much")


def refusing(then: AfterSend) -> UpstreamSpec:
    return UpstreamSpec(
        "refuses",
        "answers before it has read the body",
        tls=None,
        handshake_fault=HandshakeFault(Action(REFUSED, then)),
    )


EARLY = (
    Scenario(
        "early-413",
        "an upstream may refuse a large body before it has it",
        "client_max_body_size 0; client_body_buffer_size 8m;",
        (
            UpstreamSpec(
                "refuses",
                "answers, and reads on",
                tls=None,
                handshake_fault=HandshakeFault(Action(REFUSED, AfterSend.CLOSE)),
            ),
        ),
        proxy_pass="http://PEER",
        requests=(request("POST", body=BIG),),
        status=413,
    ),
    Scenario(
        "early-413-tls",
        "also over TLS",
        "client_max_body_size 0; client_body_buffer_size 8m;",
        (
            UpstreamSpec(
                "refuses",
                "answers, and reads on",
                response=Action(then=AfterSend.CLOSE),
                script=(Expect("xxxx"), Send(REFUSED.decode())),
            ),
        ),
        requests=(request("POST", body=BIG),),
        status=413,
    ),
)

EVENTS = (
    streamed(
        "events",
        "without buffering each piece goes on at once",
        (
            Expect("\r\n\r\n"),
            Send(CHUNKED),
            WaitFor("head"),
            Send("5\r\none\n\n\r\n"),
            WaitFor("one"),
            Send("5\r\ntwo\n\n\r\n"),
            WaitFor("two"),
            Send("0\r\n\r\n"),
        ),
        (
            Send(GET),
            Expect("\r\n\r\n"),
            Signal("head"),
            Expect("one"),
            Signal("one"),
            Expect("two"),
            Signal("two"),
        ),
        "proxy_buffering off;",
    ),
    streamed(
        "events-with-head",
        "also what comes with the head",
        (
            Expect("\r\n\r\n"),
            Send(CHUNKED + "5\r\none\n\n\r\n"),
            WaitFor("one"),
            Send("5\r\ntwo\n\n\r\n"),
            WaitFor("two"),
            Send("0\r\n\r\n"),
        ),
        (Send(GET), Expect("one"), Signal("one"), Expect("two"), Signal("two")),
        "proxy_buffering off;",
    ),
    streamed(
        "events-length",
        "of known length",
        (
            Expect("\r\n\r\n"),
            Send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"),
            WaitFor("head"),
            Send("one"),
            WaitFor("one"),
            Send("two"),
        ),
        (
            Send(GET),
            Expect("\r\n\r\n"),
            Signal("head"),
            Expect("one"),
            Signal("one"),
            Expect("two"),
        ),
        "proxy_buffering off;",
    ),
    streamed(
        "events-until-close",
        "until the connection ends",
        (
            Expect("\r\n\r\n"),
            Send("HTTP/1.1 200 OK\r\n\r\n"),
            WaitFor("head"),
            Send("one"),
            WaitFor("one"),
            Send("two"),
        ),
        (
            Send(GET),
            Expect("\r\n\r\n"),
            Signal("head"),
            Expect("one"),
            Signal("one"),
            Expect("two"),
        ),
        "proxy_buffering off;",
    ),
    streamed(
        "events-accel",
        "where the upstream says so",
        (
            Expect("\r\n\r\n"),
            Send(CHUNKED.replace("\r\n\r\n", "\r\nX-Accel-Buffering: NO\r\n\r\n")),
            WaitFor("head"),
            Send("5\r\none\n\n\r\n"),
            WaitFor("one"),
            Send("0\r\n\r\n"),
        ),
        (Send(GET), Expect("\r\n\r\n"), Signal("head"), Expect("one"), Signal("one")),
        "",
    ),
    streamed(
        "events-buffered",
        "chunks go on at once in any case: each may have been the last but one",
        (
            Expect("\r\n\r\n"),
            Send(CHUNKED + "5\r\none\n\n\r\n"),
            WaitFor("one"),
            Send("5\r\ntwo\n\n\r\n"),
            WaitFor("two"),
            Send("0\r\n\r\n"),
        ),
        (Send(GET), Expect("one"), Signal("one"), Expect("two"), Signal("two")),
        "",
    ),
    streamed(
        "events-half",
        "but not half of one",
        (
            Expect("\r\n\r\n"),
            Send(CHUNKED + "5\r\none\n\n\r\na\r\nfour"),
            WaitFor("one"),
            Send(" score\r\n0\r\n\r\n"),
        ),
        (Send(GET), Expect("one"), Signal("one")),
        "",
    ),
    streamed(
        "events-cut",
        "one that ends too soon",
        (
            Expect("\r\n\r\n"),
            Send(CHUNKED),
            WaitFor("head"),
            Send("5\r\none\n\n\r\n"),
            WaitFor("one"),
        ),
        (Send(GET), Expect("\r\n\r\n"), Signal("head"), Expect("one"), Signal("one")),
        "proxy_buffering off;",
        logs=("upstream prematurely closed connection while reading upstream",),
    ),
    streamed(
        "events-late",
        "one that says nothing more",
        (Expect("\r\n\r\n"), Send(CHUNKED), WaitFor("head"), Send("5\r\none\n\n\r\n")),
        (Send(GET), Expect("\r\n\r\n"), Signal("head"), Expect("one")),
        "proxy_buffering off; proxy_read_timeout 200ms;",
        then=AfterSend.WAIT,
        logs=("upstream timed out (110: Operation timed out) while reading upstream",),
    ),
    streamed(
        "events-bad",
        "one whose chunks are none",
        (Expect("\r\n\r\n"), Send(CHUNKED), WaitFor("head"), Send("5\r\none\n\n\r\nzz\r\n")),
        (Send(GET), Expect("\r\n\r\n"), Signal("head")),
        "proxy_buffering off;",
        then=AfterSend.WAIT,
        logs=("upstream sent invalid chunked response while reading upstream",),
    ),
    streamed(
        "events-too-much",
        "one that sends more than it said",
        (
            Expect("\r\n\r\n"),
            Send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"),
            WaitFor("head"),
            Send("onetwo"),
        ),
        (Send(GET), Expect("\r\n\r\n"), Signal("head")),
        "proxy_buffering off;",
        then=AfterSend.WAIT,
        logs=("upstream sent more data than specified in",),
    ),
    streamed(
        "bad-chunk-buffered",
        "bad chunks in a buffer: nothing goes out",
        (Expect("\r\n\r\n"), Send(CHUNKED + "5\r\none\n\n\r\nzz\r\n")),
        (Send(GET),),
        "",
        then=AfterSend.WAIT,
        status=0,
        logs=("upstream sent invalid chunked response while reading upstream",),
    ),
    streamed(
        "slow-head",
        "a head has to come within proxy_read_timeout, all of it",
        (
            Expect("\r\n\r\n"),
            Send("HTTP/1.1 200 OK\r\n"),
            Signal("line"),
            WaitFor("later"),
            Send("X: y\r\n"),
        ),
        (Send(GET), WaitFor("line"), Signal("later")),
        "proxy_read_timeout 300ms;",
        then=AfterSend.WAIT,
        status=504,
        logs=(f"upstream timed out (110: Operation timed out){catalog.READING_HEAD}",),
    ),
)

HINTS = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Accel-Expires: 0\r\nConnection: x\r\n\r\n"


def hinted(
    name: str,
    rule: str,
    directives: str,
    *steps: Step,
    sends: str = GET,
    status: int = 103,
    logs: tuple[str, ...] = (),
) -> Scenario:
    upstream = (Expect("\r\n\r\n"), *(steps or (Send(HINTS), WaitFor("hints"), Send(OK))))
    client: tuple[Step, ...] = (Send(sends),)
    if not steps:
        client = (*client, Expect("103 Early Hints"), Signal("hints"))
    return streamed(name, rule, upstream, client, directives, status=status, logs=logs)


EARLY_HINTS = (
    hinted("hints", "early hints go on where early_hints says so", "early_hints 1;"),
    hinted(
        "hints-variable",
        "where one of its variables is something",
        "early_hints $http_none $http_host;",
    ),
    hinted("hints-off", "else not", "", Send(HINTS + OK), status=200),
    hinted(
        "hints-zero", "nor where it is 0", "early_hints 0 $http_none;", Send(HINTS + OK), status=200
    ),
    hinted(
        "hints-1.0",
        "nor to 1.0",
        "early_hints 1;",
        Send(HINTS + OK),
        sends="GET PATH HTTP/1.0\r\n\r\n",
        status=200,
    ),
    hinted(
        "hints-hidden",
        "hidden fields stay hidden",
        "early_hints 1; proxy_hide_header Link;",
        Send(HINTS.replace("Link", "X-A: b\r\nLink") + OK),
    ),
    hinted(
        "hints-empty",
        "none without fields",
        "early_hints 1;",
        Send("HTTP/1.1 103 Early Hints\r\n\r\n" + OK),
        status=200,
    ),
    hinted("hints-twice", "there may be several", "early_hints 1;", Send(HINTS + HINTS + OK)),
    hinted(
        "hints-too-big",
        "but not too many",
        "early_hints 1; proxy_buffer_size 1k;",
        Send(HINTS + HINTS.replace("Link", "Link: " + "x" * 900 + "\r\nLink") + OK),
        logs=("upstream sent too big early hints while reading response header",),
    ),
    hinted(
        "hints-http-1.0",
        "not from 1.0",
        "early_hints 1;",
        Send(HINTS.replace("1.1", "1.0") + OK),
        status=502,
        logs=("upstream sent HTTP/1.0 response with early hints",),
    ),
)

LEAVING = (
    Scenario(
        "leaves",
        "a client that leaves ends its request",
        "",
        (playing(Expect("\r\n\r\n"), then=AfterSend.WAIT),),
        proxy_pass="http://PEER",
        client_disconnects=True,
        status=(),
        access_log_lines=1,
        logs=("epoll_wait() reported that client prematurely closed connection, so upstream",),
    ),
    Scenario(
        "leaves-streamed",
        "also one whose body went on as it came",
        STREAM,
        # nginx overlooks an end that comes with the last of the body.
        (playing(Expect("abc"), Signal("abc"), Expect("def"), Signal("def"), then=AfterSend.WAIT),),
        proxy_pass="http://PEER",
        script=(
            Send(HEAD + "Content-Length: 6\r\n\r\nabc"),
            WaitFor("abc"),
            Send("def"),
            WaitFor("def"),
        ),
        half_close=True,
        status=0,
        logs=("epoll_wait() reported that client prematurely closed connection, so upstream",),
    ),
    Scenario(
        "leaves-ignored",
        "unless that is ignored",
        "proxy_ignore_client_abort on;",
        (playing(Expect("\r\n\r\n"), Signal("asked"), WaitFor("gone"), Send(OK)),),
        proxy_pass="http://PEER",
        script=(Send(GET), WaitFor("asked"), Signal("gone")),
        half_close=True,
    ),
    streamed(
        "leaves-events",
        "also while the answer comes",
        (Expect("\r\n\r\n"), Send(CHUNKED), WaitFor("head"), Send("5\r\none\n\n\r\n")),
        (Send(GET), Expect("\r\n\r\n"), Signal("head"), Expect("one")),
        "proxy_buffering off;",
        then=AfterSend.WAIT,
        half_close=True,
        logs=("epoll_wait() reported that client prematurely closed connection, so upstream",),
    ),
    streamed(
        "leaves-buffered",
        "of which it may not have seen anything",
        (
            Expect("\r\n\r\n"),
            Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome"),
            Signal("said"),
        ),
        (Send(GET), WaitFor("said")),
        "",
        then=AfterSend.WAIT,
        half_close=True,
        status=0,
        logs=("epoll_wait() reported that client prematurely closed connection, so upstream",),
    ),
)

LEFT = (
    Scenario(
        "left-gives-back",
        "the peer of a client that has left is free again",
        "proxy_connect_timeout 1s;",
        (playing(Expect("\r\n\r\n"), Signal("asked"), then=AfterSend.WAIT),),
        proxy_pass="http://GROUP",
        group="server PEER max_conns=1; keepalive 0;",
        script=(Send(GET), WaitFor("asked")),
        half_close=True,
        repeat=2,
        status=0,
        logs=("epoll_wait() reported that client prematurely closed connection, so upstream",) * 2,
    ),
)

COUNTS = "$upstream_status|$upstream_response_length|$upstream_bytes_received|$upstream_bytes_sent"
COUNTED = (
    Scenario(
        "counts",
        "bytes are counted as they are on the wire",
        "access_log access.log counts;",
        (playing(Expect("\r\n\r\n"), Send(CHUNKED + "5\r\none\n\n\r\n0\r\n\r\n")),),
        proxy_pass="http://PEER",
    ),
    Scenario(
        "counts-unbuffered",
        "also without buffers",
        "access_log access.log counts; proxy_buffering off;",
        (playing(Expect("\r\n\r\n"), Send(CHUNKED + "5\r\none\n\n\r\n0\r\n\r\n")),),
        proxy_pass="http://PEER",
    ),
    Scenario(
        "counts-too-much",
        "what is too much counts",
        "access_log access.log counts;",
        (playing(Expect("\r\n\r\n"), Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokay")),),
        proxy_pass="http://PEER",
        logs=("upstream sent more data than specified in",),
    ),
    Scenario(
        "counts-hints",
        "early hints too",
        "access_log access.log counts; early_hints 1;",
        (playing(Expect("\r\n\r\n"), Send(HINTS + OK)),),
        proxy_pass="http://PEER",
        status=103,
    ),
    Scenario(
        "counts-streamed",
        "bodies in chunks with their chunks",
        "access_log access.log counts;" + STREAM,
        (playing(Expect("abc"), Signal("abc"), Expect("0\r\n\r\n"), Send(OK)),),
        proxy_pass="http://PEER",
        script=(
            Send(HEAD + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
            WaitFor("abc"),
            Send("0\r\n\r\n"),
        ),
    ),
)

TABLE = Table(
    "streaming",
    (*REQUESTS, *EARLY, *EVENTS, *EARLY_HINTS, *LEAVING, *LEFT, *COUNTED),
    before=f"log_format counts '{COUNTS}|$bytes_sent|$body_bytes_sent|$request_length';",
)
