"""Without an upstream: servers, locations, `return`, bad requests."""

from __future__ import annotations

from collections.abc import Iterator

from tests.conformance.scenario import GET, Scenario, Table, get, request

PAGES = (
    *(400, 401, 402, 403, 404, 405, 406, 409, 410, 411, 412, 413, 414, 415, 416, 418, 421),
    *(429, 494, 495, 496, 497, 500, 501, 502, 503, 504, 505, 507, 599),
)
RENDERED_AS = dict.fromkeys((494, 495, 496, 497), 400)
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


def returns() -> Iterator[Scenario]:
    for status in PAGES:
        yield returning(
            f"{status}", RENDERED_AS.get(status, status), "a status has its page, if any"
        )
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
    slug: str, rule: str, sends: str, status: int, log: str = "", *, half_close: bool = False
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
        half_close=half_close,
    )


LINE = " while reading client request line"
FIELDS = " while reading client request headers"
LONG = "x" * 9000

BAD = (
    bad(
        "no-host",
        "1.1 wants a Host",
        "GET PATH HTTP/1.1\r\n\r\n",
        400,
        f'client sent HTTP/1.1 request without "Host" header{FIELDS}',
    ),
    bad(
        "two-hosts",
        "one Host is enough",
        get("Host: b.test"),
        400,
        'client sent duplicate host header: "Host: b.test", previous value: "Host: front.test"',
    ),
    bad(
        "host",
        "a Host has its grammar",
        get(host="a/b"),
        400,
        f"client sent invalid host header{FIELDS}",
    ),
    bad(
        "method",
        "a method has its grammar",
        "get PATH HTTP/1.1\r\nHost: a\r\n\r\n",
        400,
        f"client sent invalid method{LINE}",
    ),
    bad(
        "version",
        "2.0 is not spoken like that",
        "GET PATH HTTP/2.0\r\nHost: a\r\n\r\n",
        505,
        f"client sent invalid version{LINE}",
    ),
    bad(
        "request",
        "a request line has its grammar",
        "GET PATH HTTX/1.1\r\n\r\n",
        400,
        f"client sent invalid request{LINE}",
    ),
    bad(
        "above-root",
        "nothing is above the root",
        get(path="/../NAME"),
        400,
        f"client sent invalid request{LINE}",
    ),
    bad(
        "percent",
        "an escape has two digits",
        get(path="PATH/%zz"),
        400,
        f"client sent invalid request{LINE}",
    ),
    bad(
        "header",
        "a header has a colon",
        get("no colon here"),
        400,
        'client sent invalid header line: "no\\x20..."',
    ),
    bad(
        "blank-before-colon",
        "no blank before the colon",
        get("X-a : b"),
        400,
        'client sent invalid header line: "X-a\\x20..."',
    ),
    bad(
        "uri-too-long",
        "a request line has to fit in a buffer",
        get(path=f"PATH/{LONG}"),
        414,
        f"client sent too long URI{LINE}",
    ),
    bad(
        "header-too-long",
        "a header has to fit in a buffer",
        get(f"X-a: {LONG}"),
        400,
        'client sent too long header line: "X-a: xxx',
    ),
    bad(
        "length",
        "a length is a number",
        request("POST", "Content-Length: x"),
        400,
        f'client sent invalid "Content-Length" header{FIELDS}',
    ),
    bad(
        "both-lengths",
        "a length and chunks exclude each other",
        request("POST", "Content-Length: 1", "Transfer-Encoding: chunked"),
        400,
        'client sent "Content-Length" and "Transfer-Encoding" headers at the same time',
        half_close=True,
    ),
    bad(
        "encoding",
        "other transfer encodings are not known",
        request("POST", "Transfer-Encoding: gzip"),
        501,
        'client sent unknown "Transfer-Encoding": "gzip"',
    ),
    bad(
        "trace", "TRACE is not allowed", request("TRACE"), 405, f"client sent TRACE method{FIELDS}"
    ),
    bad(
        "connect",
        "CONNECT is not allowed",
        "CONNECT front.test:443 HTTP/1.1\r\nHost: front.test:443\r\n\r\n",
        405,
        f"client sent CONNECT method{FIELDS}",
    ),
    bad("empty-lines", "empty lines before a request are skipped", "\r\n\r\n" + GET, 200),
    bad("lf", "lines may end with LF alone", GET.replace("\r\n", "\n"), 200),
    bad("http-0.9", "HTTP/0.9 gets no head", "GET PATH\r\n", 0),
)


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

TABLE = Table(
    "serving",
    (*LOCATIONS, *returns(), *BAD, *SERVERS),
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
