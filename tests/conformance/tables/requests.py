"""HTTP on both sides: locations, what goes to the upstream, what comes back, bad requests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sniproxy.testing.zoo import Upstream, animals
from sniproxy.testing.zoo.behaviour import answer
from tests.conformance.scenario import GET, Scenario, Table, get, request

PLAIN = "http://PEER"
KEEP = "GET PATH HTTP/1.1\r\nHost: front.test\r\n\r\n"


def passing(name: str, rule: str, *requests: str, directives: str = "") -> Scenario:
    """Something that shows in what a plain upstream gets to see."""
    return Scenario(
        name,
        rule,
        directives,
        (animals.PLAIN,),
        proxy_pass=PLAIN,
        requests=requests or (GET,),
    )


def setting(name: str, rule: str, *fields: str, sends: str = GET) -> Scenario:
    directives = " ".join(f"proxy_set_header {field};" for field in fields)
    return passing(name, rule, sends, directives=directives)


def answering(
    name: str, rule: str, response: bytes, sends: str = GET, status: int | None = None
) -> Scenario:
    """Something that shows in what the client gets of a fixed answer."""
    return Scenario(
        name,
        rule,
        upstreams=(animals.replying("fixed", response),),
        proxy_pass=PLAIN,
        requests=(sends,),
        status=int(response[9:12]) if status is None else status,
    )


PAGES = (
    *(400, 401, 402, 403, 404, 405, 406, 409, 410, 411, 412, 413, 414, 415, 416, 418, 421),
    *(429, 494, 495, 496, 497, 500, 501, 502, 503, 504, 505, 507, 599),
)
SHOWN_AS = dict.fromkeys((494, 495, 496, 497), 400)
REDIRECTS = (301, 302, 303, 307, 308)


def returning(argument: str, status: int, rule: str, slug: str = "") -> Scenario:
    return Scenario(
        f"return-{slug or argument}",
        rule,
        f"return {argument};",
        upstreams=(),
        proxy_pass="none",
        status=status,
    )


def located(name: str, rule: str, path: str, *locations: str, status: int = 200) -> Scenario:
    """Several locations that answer with their own name; PATH is the first of them."""
    return Scenario(
        name,
        rule,
        "return 200 first;",
        upstreams=(),
        proxy_pass="none",
        server=" ".join(locations),
        requests=(get(path=path),),
        status=status,
    )


URIS = (
    Scenario(
        "uri-untouched",
        "without a URI in proxy_pass the request's is passed on as it came",
        upstreams=(animals.PLAIN,),
        proxy_pass=PLAIN,
        requests=(get(path="PATH/a%20b//c/./d/../e?x=%41&y#z"),),
    ),
    Scenario(
        "uri-replaced",
        "with a URI in proxy_pass the location is replaced, normalised and escaped anew",
        upstreams=(animals.PLAIN,),
        proxy_pass="http://PEER/base",
        requests=(get(path="PATH/a%20b//c/./d/../e%2Ff%3F?x=%41&y"),),
    ),
    Scenario(
        "uri-root",
        "the URI / replaces the location too",
        upstreams=(animals.PLAIN,),
        proxy_pass="http://PEER/",
        location="PATH/",
        requests=(get(path="PATH/a/b?c"),),
    ),
    Scenario(
        "uri-double-slash",
        "the URI / behind a location without one gives two",
        upstreams=(animals.PLAIN,),
        proxy_pass="http://PEER/",
        requests=(get(path="PATH/a"),),
    ),
    Scenario(
        "uri-https",
        "a URI in proxy_pass works over TLS as well",
        proxy_pass="https://PEER/base/",
        location="PATH/",
        requests=(get(path="PATH/a?b"),),
    ),
    Scenario(
        "uri-exact",
        "in an exact location the URI is the whole request",
        upstreams=(animals.PLAIN,),
        proxy_pass="http://PEER/other",
        location="= PATH",
    ),
    Scenario(
        "uri-regex",
        "in a regex location the request's URI is passed on",
        upstreams=(animals.PLAIN,),
        proxy_pass=PLAIN,
        location=r"~ ^PATH/(a|b)\.php$",
        requests=(get(path="PATH/b.php?q=1"),),
    ),
    Scenario(
        "uri-absolute",
        "an absolute request target is passed on as a path",
        upstreams=(animals.PLAIN,),
        proxy_pass=PLAIN,
        requests=(get(path="http://front.test:81/NAME/a?b"),),
    ),
    Scenario(
        "uri-high-bytes",
        "bytes above 127 are passed on as they came",
        upstreams=(animals.PLAIN,),
        proxy_pass=PLAIN,
        requests=(get(path="PATH/\xc3\xa9?\xff"),),
    ),
    Scenario(
        "uri-high-bytes-replaced",
        "bytes above 127 are escaped when the location is replaced",
        upstreams=(animals.PLAIN,),
        proxy_pass="http://PEER/base/",
        location="PATH/",
        requests=(get(path="PATH/\xc3\xa9?\xff"),),
    ),
    Scenario(
        "slash-redirect",
        "a prefix location that ends in a slash redirects to it when it has proxy_pass",
        upstreams=(animals.PLAIN,),
        proxy_pass=PLAIN,
        location="PATH/",
        status=301,
    ),
    Scenario(
        "slash-redirect-query",
        "that redirect keeps the query",
        upstreams=(animals.PLAIN,),
        proxy_pass=PLAIN,
        location="PATH/",
        requests=(get(path="PATH?a=b"),),
        status=301,
    ),
)

LOCATIONS = (
    located(
        "longest",
        "the longest prefix wins, in whatever order",
        "PATH/long/er",
        "location PATH/long/ { return 200 longest; }",
        "location PATH/l { return 200 shorter; }",
    ),
    located(
        "exact",
        "an exact location wins",
        "PATH/x",
        "location PATH/x { return 200 prefix; }",
        "location = PATH/x { return 200 exact; }",
        r"location ~ ^PATH/x { return 200 regex; }",
    ),
    located(
        "regex",
        "a regex wins over a prefix",
        "PATH/x",
        "location PATH/x { return 200 prefix; }",
        r"location ~ ^PATH/x$ { return 200 regex; }",
    ),
    located(
        "regex-order",
        "the first regex that matches wins",
        "PATH/x",
        r"location ~ ^PATH/[xy]$ { return 200 one; }",
        r"location ~ ^PATH/x$ { return 200 two; }",
    ),
    located(
        "no-regex",
        "^~ keeps regexes out",
        "PATH/x",
        "location ^~ PATH/x { return 200 prefix; }",
        r"location ~ ^PATH/x$ { return 200 regex; }",
    ),
    located(
        "caseless",
        "~* does not mind case",
        "PATH/X.PHP",
        r"location ~* ^PATH/x\.php$ { return 200 caseless; }",
    ),
    located(
        "cased",
        "~ minds case",
        "PATH/X.PHP",
        r"location ~ ^PATH/x\.php$ { return 200 cased; }",
    ),
    located(
        "normalised",
        "locations are looked for by the normalised URI",
        "PATH/../NAME//%78/./y/..",
        "location = PATH/x/ { return 200 exact; }",
    ),
    located(
        "nested",
        "locations may be nested",
        "PATH/outer/inner",
        "location PATH/outer { location PATH/outer/inner { return 200 inner; } return 200 outer; }",
    ),
)

HEADERS = (
    passing(
        "order",
        "the client's headers keep their order and spelling",
        get("X-b: 1", "x-A: 2", "X-b: 3", "Accept: */*", "aCCEPT-encoding:gzip", "Cookie: a=b"),
    ),
    passing(
        "hop-by-hop",
        "what belongs to the client's connection is not passed on",
        get("Keep-Alive: 5", "Proxy-Connection: close", "TE: trailers", "Upgrade: h2c", "X: 1"),
    ),
    passing("blanks", "blanks around a value are dropped", get("X-a:  \t b  c \t ", "X-e:")),
    Scenario(
        "underscore",
        "a header with an underscore in its name is dropped",
        upstreams=(animals.PLAIN,),
        proxy_pass=PLAIN,
        requests=(get("under_score: 1", "X-a: 2"),),
        logs=('client sent invalid header line: "under_score: 1" while reading client request',),
    ),
    setting("host", "proxy_set_header Host $host passes the client's name on", "Host $host"),
    setting(
        "host-port",
        "$host has no port and is lower case, $http_host is what came",
        "Host $host",
        "X-Host $http_host",
        sends=get(host="FRONT.test:8080"),
    ),
    setting("host-fixed", "a fixed Host is sent as it stands", "Host upstream.test"),
    setting("host-empty", "an empty Host is not sent", 'Host ""'),
    setting("header-empty", "a header set to nothing is not sent", 'X-a ""', sends=get("X-a: 1")),
    setting(
        "header-replaced",
        "a header that is set replaces the client's",
        "x-A new",
        sends=get("X-a: 1", "X-b: 2"),
    ),
    setting(
        "forwarded",
        "the usual headers of a proxy",
        "X-Real-IP $remote_addr",
        "X-Forwarded-For $proxy_add_x_forwarded_for",
        "X-Forwarded-Proto $scheme",
        "X-URI $request_uri",
        "X-Path $uri",
        "X-Query $args",
    ),
    setting(
        "forwarded-again",
        "$proxy_add_x_forwarded_for appends to what came",
        "X-Forwarded-For $proxy_add_x_forwarded_for",
        sends=get("X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 192.0.2.2"),
    ),
    setting("connection-set", "Connection is sent when it is set", 'Connection "keep-alive"'),
    setting(
        "proxy-host",
        "$proxy_host is the name in proxy_pass with its port, $proxy_port the port",
        "X-Host $proxy_host",
        "X-Port $proxy_port",
    ),
    Scenario(
        "header-inherited",
        "proxy_set_header of the level above holds where none is set",
        "proxy_pass http://PEER; proxy_set_header X-b inner;",
        (animals.PLAIN,),
        proxy_pass="none",
        location="PATH/inner",
        server="location PATH/outer { proxy_pass http://PEER; }",
        requests=(
            "GET PATH/inner HTTP/1.1\r\nHost: front.test\r\n\r\n",
            get(path="PATH/outer"),
        ),
    ),
)

METHODS = (
    passing("post", "a body is passed on with its length", request("POST", body="a=1&b=2")),
    passing("post-empty", "an empty body has the length 0", request("POST", "Content-Length: 0")),
    passing("post-without-length", "a POST without length gets none", request("POST")),
    passing("put", "a PUT is passed on", request("PUT", "Content-Type: text/x", body="x" * 500)),
    passing("delete", "a DELETE is passed on", request("DELETE")),
    passing("options", "OPTIONS is passed on", request("OPTIONS")),
    passing("odd-method", "any method of capital letters is passed on", request("FROBNICATE")),
    passing(
        "chunked",
        "a chunked body is passed on with its length",
        request("POST", "Transfer-Encoding: chunked")
        + "5\r\nhello\r\n7;ext=1\r\n, world\r\n0\r\n\r\n",
    ),
    passing(
        "body-in-memory",
        "a body of 8000 bytes stays in memory",
        request("POST", body="x" * 8000),
    ),
    Scenario(
        "body-in-file",
        "a body above client_body_buffer_size goes to a file, with a warning",
        "client_body_buffer_size 1k;",
        (animals.PLAIN,),
        proxy_pass=PLAIN,
        requests=(request("POST", body="x" * 20000),),
        logs=("a client request body is buffered to a temporary file PREFIX/client_body_temp/",),
    ),
    passing("head", "the answer to HEAD has no body", request("HEAD")),
    Scenario("post-tls", "a body over TLS", requests=(request("POST", body="x" * 3000),)),
    Scenario("head-tls", "HEAD over TLS", requests=(request("HEAD"),)),
    passing("http-1.0", "a request of 1.0 is passed on as 1.1", "GET PATH HTTP/1.0\r\n\r\n"),
    passing(
        "http-1.0-keep-alive",
        "1.0 may keep the connection if it asks for it",
        "GET PATH HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "GET PATH HTTP/1.0\r\n\r\n",
    ),
    passing("keep-alive", "several requests on one connection", KEEP, KEEP, GET),
    Scenario(
        "keep-alive-tls",
        "each of several requests makes its own connection to a bare address",
        requests=(KEEP, GET),
    ),
    replace(
        passing("pipelined", "requests that come at once are answered in turn", KEEP + KEEP + GET),
        accesses=3,
    ),
    Scenario(
        "keep-alive-after-502",
        "a 502 does not end the client's connection",
        upstreams=(animals.ABSENT,),
        requests=(KEEP, GET),
        status=502,
        logs=(animals.ABSENT.logged,) * 2,
    ),
)

ANSWERS = (
    answering(
        "answer-headers",
        "Date, Server and what belongs to the connection are the proxy's own",
        answer(
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
        "a chunked answer reaches a 1.1 client chunked",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ),
    answering(
        "answer-chunked-to-1.0",
        "a chunked answer reaches a 1.0 client without chunks",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "GET PATH HTTP/1.0\r\n\r\n",
    ),
    answering(
        "answer-until-close",
        "an answer without length reaches a 1.1 client chunked",
        b"HTTP/1.1 200 OK\r\n\r\nhello",
    ),
    answering("answer-1.0", "an answer of 1.0 is told as 1.1", b"HTTP/1.0 200 OK\r\n\r\nhello"),
    answering("answer-204", "204 has no body", b"HTTP/1.1 204 No Content\r\n\r\n"),
    answering(
        "answer-304", "304 keeps its headers", b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n'
    ),
    answering(
        "answer-no-reason", "a status without words", b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"
    ),
    answering(
        "answer-own-words",
        "the upstream's words for a status are kept",
        b"HTTP/1.1 299 Fine, I guess\r\nContent-Length: 0\r\n\r\n",
    ),
    answering(
        "answer-404", "an error of the upstream is passed on", answer("no\n", status="404 No")
    ),
    answering(
        "answer-lf",
        "an answer may end its lines with LF alone",
        b"HTTP/1.1 200 OK\nContent-Length: 2\nX-a: b\n\nok",
    ),
    answering(
        "answer-redirect",
        "a Location of another host is left alone",
        answer("", "Location: https://elsewhere.test/x", status="302 Found"),
    ),
    answering(
        "answer-own-redirect",
        "without a URI in proxy_pass a Location that begins with it loses it",
        answer("", "Location: /somewhere", status="302 Found"),
    ),
    answering(
        "answer-interim",
        "interim answers are swallowed",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + answer("late\n"),
        status=200,
    ),
    answering(
        "answer-100",
        "100 Continue, which was not asked for, is taken for the answer",
        b"HTTP/1.1 100 Continue\r\n\r\n" + answer("late\n"),
    ),
    Scenario(
        "answer-redirect-rewritten",
        "with a URI in proxy_pass a Location that begins with it gets the location instead",
        upstreams=(
            Upstream(
                "redirects",
                "sends a Location below /base/",
                tls=None,
                answers=animals.replying(
                    "x", answer("", "Location: /base/there?x", status="301 Moved Permanently")
                ).answers,
            ),
        ),
        proxy_pass="http://PEER/base/",
        location="PATH/",
        requests=(get(path="PATH/here"),),
        status=301,
    ),
    Scenario(
        "answer-too-long",
        "what comes behind Content-Length is dropped, with a warning",
        upstreams=(animals.replying("fixed", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokay"),),
        proxy_pass=PLAIN,
        logs=("upstream sent more data than specified in",),
    ),
    Scenario(
        "answer-header-too-big",
        "an answer's head has to fit in proxy_buffer_size",
        upstreams=(animals.replying("fixed", answer("x", "X-Big: " + "x" * 5000)),),
        proxy_pass=PLAIN,
        status=502,
        logs=(f"upstream sent too big header{animals.READING_HEAD}",),
    ),
)


def returns() -> Iterator[Scenario]:
    for status in PAGES:
        yield returning(f"{status}", SHOWN_AS.get(status, status), "a status has its page, if any")
    for status in REDIRECTS:
        target = "https://front.test$request_uri"
        yield returning(f"{status} {target}", status, "a redirect has its page", f"{status}")
    yield returning("204", 204, "204 has nothing")
    yield returning('200 "a text\\n"', 200, "a text is the body", "text")
    yield returning("200", 200, "200 without a text has an empty body", "empty")
    yield returning('404 "gone: $uri"', 404, "a text takes the place of the page", "404-text")
    yield returning("http://front.test/x", 302, "an address alone is a 302", "address")
    yield returning("301 /relative", 301, "a relative address is completed", "relative")
    yield returning("408", 0, "408 closes without a word")
    yield returning("444", 0, "444 closes without a word")


def bad(
    slug: str, rule: str, sends: str, status: int, log: str = "", *, ends: bool = False
) -> Scenario:
    return Scenario(
        f"bad-{slug}",
        rule,
        "return 200 fine;",
        upstreams=(),
        proxy_pass="none",
        requests=(sends,),
        status=status,
        logs=(log,) if log else (),
        ends=ends,
    )


LINE = " while reading client request line"
FIELDS = " while reading client request headers"
LONG = "x" * 9000

BAD = (
    bad("no-host", "1.1 wants a Host", "GET PATH HTTP/1.1\r\n\r\n", 400,
        f'client sent HTTP/1.1 request without "Host" header{FIELDS}'),
    bad("two-hosts", "one Host is enough", get("Host: b.test"), 400,
        'client sent duplicate host header: "Host: b.test", previous value: "Host: front.test"'),
    bad("host", "a Host has its grammar", get(host="a/b"), 400,
        f"client sent invalid host header{FIELDS}"),
    bad("method", "a method has its grammar", "get PATH HTTP/1.1\r\nHost: a\r\n\r\n", 400,
        f"client sent invalid method{LINE}"),
    bad("version", "2.0 is not spoken like that", "GET PATH HTTP/2.0\r\nHost: a\r\n\r\n", 505,
        f"client sent invalid version{LINE}"),
    bad("request", "a request line has its grammar", "GET PATH HTTX/1.1\r\n\r\n", 400,
        f"client sent invalid request{LINE}"),
    bad("above-root", "nothing is above the root", get(path="/../NAME"), 400,
        f"client sent invalid request{LINE}"),
    bad("percent", "an escape has two digits", get(path="PATH/%zz"), 400,
        f"client sent invalid request{LINE}"),
    bad("header", "a header has a colon", get("no colon here"), 400,
        'client sent invalid header line: "no\\x20..."'),
    bad("blank-before-colon", "no blank before the colon", get("X-a : b"), 400,
        'client sent invalid header line: "X-a\\x20..."'),
    bad("uri-too-long", "a request line has to fit in a buffer", get(path=f"PATH/{LONG}"), 414,
        f"client sent too long URI{LINE}"),
    bad("header-too-long", "a header has to fit in a buffer", get(f"X-a: {LONG}"), 400,
        'client sent too long header line: "X-a: xxx'),
    bad("length", "a length is a number", request("POST", "Content-Length: x"), 400,
        f'client sent invalid "Content-Length" header{FIELDS}'),
    bad("both-lengths", "a length and chunks exclude each other",
        request("POST", "Content-Length: 1", "Transfer-Encoding: chunked"), 400,
        'client sent "Content-Length" and "Transfer-Encoding" headers at the same time',
        ends=True),
    bad("encoding", "other transfer encodings are not known",
        request("POST", "Transfer-Encoding: gzip"), 501,
        'client sent unknown "Transfer-Encoding": "gzip"'),
    bad("trace", "TRACE is not allowed", request("TRACE"), 405,
        f"client sent TRACE method{FIELDS}"),
    bad("connect", "CONNECT is not allowed",
        "CONNECT front.test:443 HTTP/1.1\r\nHost: front.test:443\r\n\r\n", 405,
        f"client sent CONNECT method{FIELDS}"),
    bad("empty-lines", "empty lines before a request are skipped", "\r\n\r\n" + GET, 200),
    bad("lf", "lines may end with LF alone", GET.replace("\r\n", "\n"), 200),
    bad("http-0.9", "HTTP/0.9 gets no head", "GET PATH\r\n", 0),
)  # fmt: skip

SERVERS = (
    Scenario(
        "server-by-host",
        "Host chooses the server",
        "return 200 first;",
        upstreams=(),
        proxy_pass="none",
        requests=(get(path="/", host="second.test"),),
    ),
    Scenario(
        "server-by-host-port",
        "a port, case and a trailing dot do not matter to that",
        "return 200 first;",
        upstreams=(),
        proxy_pass="none",
        requests=(get(path="/", host="SECOND.test.:99"),),
    ),
    Scenario(
        "server-by-wildcard",
        "a name with a wildcard is found after the exact ones",
        "return 200 first;",
        upstreams=(),
        proxy_pass="none",
        requests=(get(path="/", host="x.y.second.test"),),
    ),
    Scenario(
        "server-default",
        "an unknown Host gets the first server",
        "return 200 first;",
        upstreams=(),
        proxy_pass="none",
        requests=(get(host="unknown.test"),),
    ),
    Scenario(
        "server-by-target",
        "the host of an absolute target goes before Host",
        "return 200 first;",
        upstreams=(),
        proxy_pass="none",
        requests=(get(path="http://second.test/"),),
    ),
)

GONE = (
    Scenario(
        "client-leaves",
        "a client that leaves takes the connection to the upstream with it: 499",
        upstreams=(animals.MUTE,),
        leaves=True,
        status=(),
        logs=("epoll_wait() reported that client prematurely closed connection, so upstream "
              f"connection is closed too{animals.READING_HEAD}",),
        accesses=1,
    ),
)  # fmt: skip

TABLE = Table(
    "requests",
    (
        *URIS,
        *LOCATIONS,
        *HEADERS,
        *METHODS,
        *ANSWERS,
        *returns(),
        *BAD,
        *SERVERS,
        *GONE,
    ),
    http="""
    server {
        listen FRONT;
        server_name second.test;
        location / { return 200 second; }
    }
    server {
        listen FRONT;
        server_name *.second.test;
        location / { return 200 wildcard; }
    }
""",
)
