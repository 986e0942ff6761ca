"""Bodies that go on as they come, both ways, and answers that come before their time."""

from __future__ import annotations

from sniproxy.testing.zoo import Ending, Upstream, animals
from sniproxy.testing.zoo.behaviour import Move, Refusal, answer
from sniproxy.testing.zoo.script import Await, Cue, Hear, Say, Step
from tests.conformance.scenario import Scenario, Table, request

STREAM = "proxy_request_buffering off;"
OK = answer("done\n").decode("latin-1")
CHUNKED = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = "GET PATH HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n\r\n"
HEAD = "POST PATH HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n"


def playing(*steps: Step, then: Ending = Ending.CLOSE) -> Upstream:
    return Upstream("plays", "goes by a script", tls=None, answers=Move(then=then), plays=steps)


def streamed(
    name: str,
    rule: str,
    upstream: tuple[Step, ...],
    client: tuple[Step, ...],
    directives: str = STREAM,
    *,
    then: Ending = Ending.CLOSE,
    status: int = 200,
    logs: tuple[str, ...] = (),
    ends: bool = False,
) -> Scenario:
    return Scenario(
        name,
        rule,
        directives,
        (playing(*upstream, then=then),),
        proxy_pass="http://PEER",
        plays=client,
        status=status,
        logs=logs,
        ends=ends,
    )


REQUESTS = (
    streamed(
        "length",
        "a body goes on as it comes, with its length",
        (Hear("abc"), Cue("abc"), Hear("def"), Say(OK)),
        (Say(HEAD + "Content-Length: 6\r\n\r\nabc"), Await("abc"), Say("def")),
    ),
    streamed(
        "head-first",
        "the head before any of it",
        (Hear("\r\n\r\n"), Cue("head"), Hear("abcdef"), Say(OK)),
        (Say(HEAD + "Content-Length: 6\r\n\r\n"), Await("head"), Say("abcdef")),
    ),
    streamed(
        "chunks",
        "chunks stay chunks, cut anew",
        (Hear("abc"), Cue("abc"), Hear("defgh"), Cue("defgh"), Hear("0\r\n\r\n"), Say(OK)),
        (
            Say(HEAD + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
            Await("abc"),
            Say("2\r\nde\r\n3;x=y\r\nfgh\r\n"),
            Await("defgh"),
            Say("0\r\nTrailer: x\r\n\r\n"),
        ),
    ),
    streamed(
        "whole-chunks",
        "a body that is there already has a length",
        (Hear("abcdef"), Say(OK)),
        (Say(HEAD + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"),),
    ),
    streamed(
        "chunks-1.0",
        "to 1.0 no chunks go: the body is read whole",
        (Hear("abcdef"), Say(OK)),
        (
            Say(HEAD + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
            Say("3\r\ndef\r\n0\r\n\r\n"),
        ),
        STREAM + "proxy_http_version 1.0;",
    ),
    streamed(
        "length-1.0",
        "one of known length does",
        (Hear("abc"), Cue("abc"), Hear("def"), Say(OK)),
        (Say(HEAD + "Content-Length: 6\r\n\r\nabc"), Await("abc"), Say("def")),
        STREAM + "proxy_http_version 1.0;",
    ),
    streamed(
        "set-body",
        "a body of its own is not streamed",
        (Hear("mine"), Say(OK)),
        (Say(HEAD + "Content-Length: 6\r\n\r\nabc"), Say("def")),
        STREAM + "proxy_set_body mine;",
    ),
    streamed(
        "continue",
        "100-continue",
        (Hear("abc"), Say(OK)),
        (
            Say(HEAD + "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"),
            Hear("100 Continue\r\n\r\n"),
            Say("abc"),
        ),
        status=100,
    ),
    streamed(
        "bad-chunk",
        "a chunk that is none",
        (Hear("abc"), Cue("abc")),
        (Say(HEAD + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"), Await("abc"), Say("zz\r\n")),
        status=400,
        then=Ending.WAIT,
        logs=("client sent invalid chunked body while sending request to upstream",),
    ),
    streamed(
        "too-large",
        "more than client_max_body_size",
        (Hear("abc"), Cue("abc")),
        (Say(HEAD + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"), Await("abc"), Say("9\r\nx")),
        STREAM + "client_max_body_size 8;",
        status=413,
        then=Ending.WAIT,
        logs=("client intended to send too large chunked body: 3+9 bytes while sending",),
    ),
    streamed(
        "client-ends",
        "a client that ends inside",
        (Hear("abc"), Cue("abc")),
        (Say(HEAD + "Content-Length: 6\r\n\r\nabc"), Await("abc")),
        status=0,
        ends=True,
        then=Ending.WAIT,
        logs=("client prematurely closed connection while sending request to upstream",),
    ),
    streamed(
        "client-late",
        "one that is too slow",
        (Hear("abc"), Cue("abc")),
        (Say(HEAD + "Content-Length: 6\r\n\r\nabc"), Await("abc")),
        STREAM + "client_body_timeout 200ms;",
        status=0,
        then=Ending.WAIT,
    ),
    streamed(
        "upstream-late",
        "an upstream that does not answer",
        (Hear("abcdef"),),
        (Say(HEAD + "Content-Length: 6\r\n\r\nabc"), Say("def")),
        STREAM + "proxy_read_timeout 200ms;",
        status=504,
        then=Ending.WAIT,
        logs=(f"upstream timed out (110: Operation timed out){animals.READING_HEAD}",),
    ),
    streamed(
        "early-answer",
        "an answer before the end of the body",
        (Hear("abc"), Say(OK)),
        (Say(HEAD + "Content-Length: 6\r\n\r\nabc"),),
    ),
    streamed(
        "early-answer-kept",
        "ends a connection that might be kept",
        (Hear("abc"), Say(OK)),
        (Say("POST PATH HTTP/1.1\r\nHost: front.test\r\nContent-Length: 6\r\n\r\nabc"),),
    ),
    streamed(
        "ends-early",
        "an upstream that ends inside the body",
        (Hear("abc"),),
        (Say(HEAD + "Content-Length: 6\r\n\r\nabc"),),
        status=502,
        logs=(f"upstream prematurely closed connection{animals.READING_HEAD}",),
    ),
    streamed(
        "half",
        "after an answer nothing of the body goes on",
        (Hear("abc"), Say(OK), Cue("said")),
        (Say(HEAD + "Content-Length: 6\r\n\r\nabc"), Hear("done\n"), Say("def")),
        then=Ending.WAIT,
    ),
    Scenario(
        "not-repeated",
        "what was sent is not repeated elsewhere",
        STREAM,
        (playing(Hear("abc"), Cue("abc"), Hear("def")), animals.PLAIN),
        proxy_pass="http://GROUP",
        group="server PEER max_fails=0; server PEER2;",
        plays=(
            Say(HEAD.replace("POST", "PUT") + "Content-Length: 6\r\n\r\nabc"),
            Await("abc"),
            Say("def"),
        ),
        status=502,
        logs=(animals.NO_ANSWER.logged,),
    ),
    Scenario(
        "repeated",
        "what was not is",
        STREAM,
        (animals.ABSENT, animals.PLAIN),
        proxy_pass="http://GROUP",
        group="server PEER max_fails=0; server PEER2; keepalive 0;",
        plays=(Say(HEAD + "Content-Length: 6\r\n\r\nabc"), Say("def")),
        status=200,
        logs=(animals.ABSENT.logged,),
    ),
)

BIG = "x" * 6_000_000
REFUSED = answer("too much\n", status="413 Too Much")


def refusing(then: Ending) -> Upstream:
    return Upstream(
        "refuses",
        "answers before it has read the body",
        tls=None,
        refuses=Refusal(Move(REFUSED, then)),
    )


EARLY = (
    Scenario(
        "early-413",
        "an upstream may refuse a large body before it has it",
        "client_max_body_size 0; client_body_buffer_size 8m;",
        (
            Upstream(
                "refuses",
                "answers, and reads on",
                tls=None,
                refuses=Refusal(Move(REFUSED, Ending.CLOSE)),
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
            Upstream(
                "refuses",
                "answers, and reads on",
                answers=Move(then=Ending.CLOSE),
                plays=(Hear("xxxx"), Say(REFUSED.decode())),
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
            Hear("\r\n\r\n"),
            Say(CHUNKED),
            Await("head"),
            Say("5\r\none\n\n\r\n"),
            Await("one"),
            Say("5\r\ntwo\n\n\r\n"),
            Await("two"),
            Say("0\r\n\r\n"),
        ),
        (Say(GET), Hear("\r\n\r\n"), Cue("head"), Hear("one"), Cue("one"), Hear("two"), Cue("two")),
        "proxy_buffering off;",
    ),
    streamed(
        "events-with-head",
        "also what comes with the head",
        (
            Hear("\r\n\r\n"),
            Say(CHUNKED + "5\r\none\n\n\r\n"),
            Await("one"),
            Say("5\r\ntwo\n\n\r\n"),
            Await("two"),
            Say("0\r\n\r\n"),
        ),
        (Say(GET), Hear("one"), Cue("one"), Hear("two"), Cue("two")),
        "proxy_buffering off;",
    ),
    streamed(
        "events-length",
        "of known length",
        (
            Hear("\r\n\r\n"),
            Say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"),
            Await("head"),
            Say("one"),
            Await("one"),
            Say("two"),
        ),
        (Say(GET), Hear("\r\n\r\n"), Cue("head"), Hear("one"), Cue("one"), Hear("two")),
        "proxy_buffering off;",
    ),
    streamed(
        "events-until-close",
        "until the connection ends",
        (
            Hear("\r\n\r\n"),
            Say("HTTP/1.1 200 OK\r\n\r\n"),
            Await("head"),
            Say("one"),
            Await("one"),
            Say("two"),
        ),
        (Say(GET), Hear("\r\n\r\n"), Cue("head"), Hear("one"), Cue("one"), Hear("two")),
        "proxy_buffering off;",
    ),
    streamed(
        "events-accel",
        "where the upstream says so",
        (
            Hear("\r\n\r\n"),
            Say(CHUNKED.replace("\r\n\r\n", "\r\nX-Accel-Buffering: NO\r\n\r\n")),
            Await("head"),
            Say("5\r\none\n\n\r\n"),
            Await("one"),
            Say("0\r\n\r\n"),
        ),
        (Say(GET), Hear("\r\n\r\n"), Cue("head"), Hear("one"), Cue("one")),
        "",
    ),
    streamed(
        "events-buffered",
        "chunks go on at once in any case: each may have been the last but one",
        (
            Hear("\r\n\r\n"),
            Say(CHUNKED + "5\r\none\n\n\r\n"),
            Await("one"),
            Say("5\r\ntwo\n\n\r\n"),
            Await("two"),
            Say("0\r\n\r\n"),
        ),
        (Say(GET), Hear("one"), Cue("one"), Hear("two"), Cue("two")),
        "",
    ),
    streamed(
        "events-half",
        "but not half of one",
        (
            Hear("\r\n\r\n"),
            Say(CHUNKED + "5\r\none\n\n\r\na\r\nfour"),
            Await("one"),
            Say(" score\r\n0\r\n\r\n"),
        ),
        (Say(GET), Hear("one"), Cue("one")),
        "",
    ),
    streamed(
        "events-cut",
        "one that ends too soon",
        (Hear("\r\n\r\n"), Say(CHUNKED), Await("head"), Say("5\r\none\n\n\r\n"), Await("one")),
        (Say(GET), Hear("\r\n\r\n"), Cue("head"), Hear("one"), Cue("one")),
        "proxy_buffering off;",
        logs=("upstream prematurely closed connection while reading upstream",),
    ),
    streamed(
        "events-late",
        "one that says nothing more",
        (Hear("\r\n\r\n"), Say(CHUNKED), Await("head"), Say("5\r\none\n\n\r\n")),
        (Say(GET), Hear("\r\n\r\n"), Cue("head"), Hear("one")),
        "proxy_buffering off; proxy_read_timeout 200ms;",
        then=Ending.WAIT,
        logs=("upstream timed out (110: Operation timed out) while reading upstream",),
    ),
    streamed(
        "events-bad",
        "one whose chunks are none",
        (Hear("\r\n\r\n"), Say(CHUNKED), Await("head"), Say("5\r\none\n\n\r\nzz\r\n")),
        (Say(GET), Hear("\r\n\r\n"), Cue("head")),
        "proxy_buffering off;",
        then=Ending.WAIT,
        logs=("upstream sent invalid chunked response while reading upstream",),
    ),
    streamed(
        "events-too-much",
        "one that sends more than it said",
        (
            Hear("\r\n\r\n"),
            Say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"),
            Await("head"),
            Say("onetwo"),
        ),
        (Say(GET), Hear("\r\n\r\n"), Cue("head")),
        "proxy_buffering off;",
        then=Ending.WAIT,
        logs=("upstream sent more data than specified in",),
    ),
    streamed(
        "bad-chunk-buffered",
        "bad chunks in a buffer: nothing goes out",
        (Hear("\r\n\r\n"), Say(CHUNKED + "5\r\none\n\n\r\nzz\r\n")),
        (Say(GET),),
        "",
        then=Ending.WAIT,
        status=0,
        logs=("upstream sent invalid chunked response while reading upstream",),
    ),
    streamed(
        "slow-head",
        "a head has to come within proxy_read_timeout, all of it",
        (
            Hear("\r\n\r\n"),
            Say("HTTP/1.1 200 OK\r\n"),
            Cue("line"),
            Await("later"),
            Say("X: y\r\n"),
        ),
        (Say(GET), Await("line"), Cue("later")),
        "proxy_read_timeout 300ms;",
        then=Ending.WAIT,
        status=504,
        logs=(f"upstream timed out (110: Operation timed out){animals.READING_HEAD}",),
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
    upstream = (Hear("\r\n\r\n"), *(steps or (Say(HINTS), Await("hints"), Say(OK))))
    client: tuple[Step, ...] = (Say(sends),)
    if not steps:
        client = (*client, Hear("103 Early Hints"), Cue("hints"))
    return streamed(name, rule, upstream, client, directives, status=status, logs=logs)


EARLY_HINTS = (
    hinted("hints", "early hints go on where early_hints says so", "early_hints 1;"),
    hinted(
        "hints-variable",
        "where one of its variables is something",
        "early_hints $http_none $http_host;",
    ),
    hinted("hints-off", "else not", "", Say(HINTS + OK), status=200),
    hinted(
        "hints-zero", "nor where it is 0", "early_hints 0 $http_none;", Say(HINTS + OK), status=200
    ),
    hinted(
        "hints-1.0",
        "nor to 1.0",
        "early_hints 1;",
        Say(HINTS + OK),
        sends="GET PATH HTTP/1.0\r\n\r\n",
        status=200,
    ),
    hinted(
        "hints-hidden",
        "hidden fields stay hidden",
        "early_hints 1; proxy_hide_header Link;",
        Say(HINTS.replace("Link", "X-A: b\r\nLink") + OK),
    ),
    hinted(
        "hints-empty",
        "none without fields",
        "early_hints 1;",
        Say("HTTP/1.1 103 Early Hints\r\n\r\n" + OK),
        status=200,
    ),
    hinted("hints-twice", "there may be several", "early_hints 1;", Say(HINTS + HINTS + OK)),
    hinted(
        "hints-too-big",
        "but not too many",
        "early_hints 1; proxy_buffer_size 1k;",
        Say(HINTS + HINTS.replace("Link", "Link: " + "x" * 900 + "\r\nLink") + OK),
        logs=("upstream sent too big early hints while reading response header",),
    ),
    hinted(
        "hints-http-1.0",
        "not from 1.0",
        "early_hints 1;",
        Say(HINTS.replace("1.1", "1.0") + OK),
        status=502,
        logs=("upstream sent HTTP/1.0 response with early hints",),
    ),
)

LEAVING = (
    Scenario(
        "leaves",
        "a client that leaves ends its request",
        "",
        (playing(Hear("\r\n\r\n"), then=Ending.WAIT),),
        proxy_pass="http://PEER",
        leaves=True,
        status=(),
        accesses=1,
        logs=("epoll_wait() reported that client prematurely closed connection, so upstream",),
    ),
    Scenario(
        "leaves-streamed",
        "also one whose body went on as it came",
        STREAM,
        # nginx overlooks an end that comes with the last of the body.
        (playing(Hear("abc"), Cue("abc"), Hear("def"), Cue("def"), then=Ending.WAIT),),
        proxy_pass="http://PEER",
        plays=(
            Say(HEAD + "Content-Length: 6\r\n\r\nabc"),
            Await("abc"),
            Say("def"),
            Await("def"),
        ),
        ends=True,
        status=0,
        logs=("epoll_wait() reported that client prematurely closed connection, so upstream",),
    ),
    Scenario(
        "leaves-ignored",
        "unless that is ignored",
        "proxy_ignore_client_abort on;",
        (playing(Hear("\r\n\r\n"), Cue("asked"), Await("gone"), Say(OK)),),
        proxy_pass="http://PEER",
        plays=(Say(GET), Await("asked"), Cue("gone")),
        ends=True,
    ),
    streamed(
        "leaves-events",
        "also while the answer comes",
        (Hear("\r\n\r\n"), Say(CHUNKED), Await("head"), Say("5\r\none\n\n\r\n")),
        (Say(GET), Hear("\r\n\r\n"), Cue("head"), Hear("one")),
        "proxy_buffering off;",
        then=Ending.WAIT,
        ends=True,
        logs=("epoll_wait() reported that client prematurely closed connection, so upstream",),
    ),
    streamed(
        "leaves-buffered",
        "of which it may not have seen anything",
        (
            Hear("\r\n\r\n"),
            Say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome"),
            Cue("said"),
        ),
        (Say(GET), Await("said")),
        "",
        then=Ending.WAIT,
        ends=True,
        status=0,
        logs=("epoll_wait() reported that client prematurely closed connection, so upstream",),
    ),
)

LEFT = (
    Scenario(
        "left-gives-back",
        "the peer of a client that has left is free again",
        "proxy_connect_timeout 1s;",
        (playing(Hear("\r\n\r\n"), Cue("asked"), then=Ending.WAIT),),
        proxy_pass="http://GROUP",
        group="server PEER max_conns=1; keepalive 0;",
        plays=(Say(GET), Await("asked")),
        ends=True,
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
        (playing(Hear("\r\n\r\n"), Say(CHUNKED + "5\r\none\n\n\r\n0\r\n\r\n")),),
        proxy_pass="http://PEER",
    ),
    Scenario(
        "counts-unbuffered",
        "also without buffers",
        "access_log access.log counts; proxy_buffering off;",
        (playing(Hear("\r\n\r\n"), Say(CHUNKED + "5\r\none\n\n\r\n0\r\n\r\n")),),
        proxy_pass="http://PEER",
    ),
    Scenario(
        "counts-too-much",
        "what is too much counts",
        "access_log access.log counts;",
        (playing(Hear("\r\n\r\n"), Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokay")),),
        proxy_pass="http://PEER",
        logs=("upstream sent more data than specified in",),
    ),
    Scenario(
        "counts-hints",
        "early hints too",
        "access_log access.log counts; early_hints 1;",
        (playing(Hear("\r\n\r\n"), Say(HINTS + OK)),),
        proxy_pass="http://PEER",
        status=103,
    ),
    Scenario(
        "counts-streamed",
        "bodies in chunks with their chunks",
        "access_log access.log counts;" + STREAM,
        (playing(Hear("abc"), Cue("abc"), Hear("0\r\n\r\n"), Say(OK)),),
        proxy_pass="http://PEER",
        plays=(
            Say(HEAD + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
            Await("abc"),
            Say("0\r\n\r\n"),
        ),
    ),
)

TABLE = Table(
    "streaming",
    (*REQUESTS, *EARLY, *EVENTS, *EARLY_HINTS, *LEAVING, *LEFT, *COUNTED),
    before=f"log_format counts '{COUNTS}|$bytes_sent|$body_bytes_sent|$request_length';",
)
