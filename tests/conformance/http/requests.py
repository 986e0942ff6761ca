"""What goes to the upstream: URI, headers, body, and when."""

from __future__ import annotations

from dataclasses import replace

from sniproxy.testing.upstreams import catalog
from tests.conformance.scenario import GET, Scenario, Table, get, request

PLAIN = "http://PEER"
KEEP = "GET PATH HTTP/1.1\r\nHost: front.test\r\n\r\n"


def passing(name: str, rule: str, *requests: str, directives: str = "") -> Scenario:
    """Something that shows in what a plain upstream gets to see."""
    return Scenario(
        name,
        rule,
        directives,
        (catalog.PLAIN,),
        proxy_pass=PLAIN,
        requests=requests or (GET,),
    )


def setting(name: str, rule: str, *fields: str, sends: str = GET) -> Scenario:
    directives = " ".join(f"proxy_set_header {field};" for field in fields)
    return passing(name, rule, sends, directives=directives)


URIS = (
    Scenario(
        "uri-untouched",
        "without a URI in proxy_pass the request's is passed on as it came",
        upstreams=(catalog.PLAIN,),
        proxy_pass=PLAIN,
        requests=(get(path="PATH/a%20b//c/./d/../e?x=%41&y#z"),),
    ),
    Scenario(
        "uri-replaced",
        "with a URI in proxy_pass the location is replaced, normalised and escaped anew",
        upstreams=(catalog.PLAIN,),
        proxy_pass="http://PEER/base",
        requests=(get(path="PATH/a%20b//c/./d/../e%2Ff%3F?x=%41&y"),),
    ),
    Scenario(
        "uri-root",
        "the URI / replaces the location too",
        upstreams=(catalog.PLAIN,),
        proxy_pass="http://PEER/",
        location="PATH/",
        requests=(get(path="PATH/a/b?c"),),
    ),
    Scenario(
        "uri-double-slash",
        "the URI / behind a location without one gives two",
        upstreams=(catalog.PLAIN,),
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
        upstreams=(catalog.PLAIN,),
        proxy_pass="http://PEER/other",
        location="= PATH",
    ),
    Scenario(
        "uri-regex",
        "in a regex location the request's URI is passed on",
        upstreams=(catalog.PLAIN,),
        proxy_pass=PLAIN,
        location=r"~ ^PATH/(a|b)\.php$",
        requests=(get(path="PATH/b.php?q=1"),),
    ),
    Scenario(
        "uri-absolute",
        "an absolute request target is passed on as a path",
        upstreams=(catalog.PLAIN,),
        proxy_pass=PLAIN,
        requests=(get(path="http://front.test:81/NAME/a?b"),),
    ),
    Scenario(
        "uri-high-bytes",
        "bytes above 127 are passed on as they came",
        upstreams=(catalog.PLAIN,),
        proxy_pass=PLAIN,
        requests=(get(path="PATH/\xc3\xa9?\xff"),),
    ),
    Scenario(
        "uri-high-bytes-replaced",
        "bytes above 127 are escaped when the location is replaced",
        upstreams=(catalog.PLAIN,),
        proxy_pass="http://PEER/base/",
        location="PATH/",
        requests=(get(path="PATH/\xc3\xa9?\xff"),),
    ),
    Scenario(
        "slash-redirect",
        "a prefix location that ends in a slash redirects to it when it has proxy_pass",
        upstreams=(catalog.PLAIN,),
        proxy_pass=PLAIN,
        location="PATH/",
        status=301,
    ),
    Scenario(
        "slash-redirect-query",
        "that redirect keeps the query",
        upstreams=(catalog.PLAIN,),
        proxy_pass=PLAIN,
        location="PATH/",
        requests=(get(path="PATH?a=b"),),
        status=301,
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
        upstreams=(catalog.PLAIN,),
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
        (catalog.PLAIN,),
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
        (catalog.PLAIN,),
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
        access_log_lines=3,
    ),
    Scenario(
        "keep-alive-after-502",
        "a 502 does not end the client's connection",
        upstreams=(catalog.ABSENT,),
        requests=(KEEP, GET),
        status=502,
        logs=(catalog.ABSENT.expected_log,) * 2,
    ),
)


GONE = (
    Scenario(
        "client-leaves",
        "a client that leaves takes the connection to the upstream with it: 499",
        upstreams=(catalog.NO_RESPONSE,),
        client_disconnects=True,
        status=(),
        logs=(
            "epoll_wait() reported that client prematurely closed connection, so upstream "
            f"connection is closed too{catalog.READING_HEAD}",
        ),
        access_log_lines=1,
    ),
)

TABLE = Table("requests", (*URIS, *HEADERS, *METHODS, *GONE))
