"""What of a request goes to the upstream, where the configuration says so."""

from __future__ import annotations

from sniproxy.testing.upstreams import UpstreamSpec, catalog
from tests.conformance.scenario import Scenario, Table, get, request

FIELDS = ("X-One: 1", "Accept: a/b", "Expect: x", "Upgrade: x", "TE: trailers", "X-One: 2")


def asking(
    name: str,
    rule: str,
    directives: str,
    *sends: str,
    upstream: UpstreamSpec = catalog.PLAIN,
    status: int = 200,
    logs: tuple[str, ...] = (),
    target: str = "http://PEER",
) -> Scenario:
    return Scenario(
        name,
        rule,
        directives,
        (upstream,),
        proxy_pass=target,
        requests=sends or (get(*FIELDS),),
        status=status,
        logs=logs,
    )


CHUNKED = (
    "POST PATH HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n"
    "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n"
)
POST = request("POST", body="hello")
HEAD = "HEAD PATH HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n\r\n"

SCENARIOS = (
    asking("method", "another method, as it is written", "proxy_method pUt;"),
    asking(
        "method-variable", "a method of variables", "proxy_method $arg_m;", get(path="PATH?m=PURGE")
    ),
    asking("method-empty", "an empty method is sent as it is", "proxy_method $arg_m;", status=200),
    asking("method-post", "another method keeps the body", "proxy_method DELETE;", POST),
    asking("method-head", "HEAD for a GET: the answer's body is none", "proxy_method HEAD;"),
    asking("method-get-for-head", "GET for a HEAD: the body is dropped", "proxy_method GET;", HEAD),
    asking("set-body", "a body of its own", 'proxy_set_body "x=$arg_a&y";', get(path="PATH?a=b")),
    asking("set-body-post", "takes the place of the client's", "proxy_set_body new;", POST),
    asking("set-body-chunked", "also of one in chunks", "proxy_set_body new;", CHUNKED),
    asking("set-body-empty", "an empty one has a length too", 'proxy_set_body "";', POST),
    asking("set-body-none", "also where the client has none", "proxy_set_body $arg_none;"),
    asking(
        "set-body-length",
        "its length may be left out",
        'proxy_set_body abc; proxy_set_header Content-Length "";',
    ),
    asking(
        "cache-words",
        "Without a cache its other directives have no effect.",
        "proxy_cache off; proxy_store off; proxy_cache_bypass $http_upgrade; proxy_no_cache 1; "
        "proxy_cache_valid 200 1m; proxy_cache_convert_head off; proxy_cache_lock on; "
        "proxy_cache_use_stale error updating; proxy_set_header X-Cache $upstream_cache_status; "
        "add_header X-Cache-Status $upstream_cache_status; "
        "add_header X-Cached '$upstream_cache_etag-$upstream_cache_last_modified';",
        get("Upgrade: websocket"),
    ),
    asking("no-headers", "no fields of the client's", "proxy_pass_request_headers off;"),
    asking(
        "no-headers-set",
        "but those that are set",
        "proxy_pass_request_headers off; proxy_set_header X-A $http_x_one;",
    ),
    asking(
        "no-headers-post",
        "the body's length is the proxy's own",
        "proxy_pass_request_headers off;",
        POST,
    ),
    asking(
        "no-body",
        "no body, with its length",
        "proxy_pass_request_body off; proxy_read_timeout 200ms;",
        POST,
        status=504,
        logs=("upstream timed out (110: Operation timed out) while reading response header",),
    ),
    asking(
        "no-body-no-length",
        "no body, and no length",
        'proxy_pass_request_body off; proxy_set_header Content-Length "";',
        POST,
    ),
    asking(
        "no-body-chunked",
        "the length of one in chunks is known by then",
        "proxy_pass_request_body off; proxy_set_header X $content_length;"
        'proxy_set_header Content-Length "";',
        CHUNKED,
    ),
    asking("version-1.0", "HTTP/1.0", "proxy_http_version 1.0;"),
    asking(
        "version-1.0-chunked",
        "a body in chunks has a length then",
        "proxy_http_version 1.0;",
        CHUNKED,
    ),
    asking(
        "version-1.0-no-host",
        "without Host, where that is empty",
        'proxy_http_version 1.0; proxy_set_header Host "";',
    ),
    asking("version-1.1-no-host", "which 1.1 has always", 'proxy_set_header Host "";'),
    asking(
        "host-first",
        "Host goes before what else is set",
        "proxy_set_header X-A a; proxy_set_header Host $host; proxy_set_header X-B b;",
    ),
    asking(
        "host-twice",
        "the last Host counts",
        "proxy_set_header Host one; proxy_set_header X-B b; proxy_set_header host two;",
    ),
    asking(
        "set-transfer-encoding",
        "fields of framing may be set",
        "proxy_set_header Transfer-Encoding x; proxy_set_header TE $http_te;"
        "proxy_set_header Expect $http_expect; proxy_set_header Keep-Alive 5;",
    ),
    asking(
        "set-twice",
        "a field may be set twice",
        "proxy_set_header X-One a; proxy_set_header X-One b;",
    ),
    asking(
        "expect",
        "100-continue is answered here",
        "",
        request("POST", "Expect: 100-continue", body="hello"),
        status=100,
    ),
    asking(
        "expect-nothing", "also where no body comes", "", get("Expect: 100-Continue"), status=100
    ),
    asking(
        "expect-1.0",
        "not to 1.0",
        "",
        "POST PATH HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
    ),
    asking("bind", "the address that connections come from", "proxy_bind 127.0.0.1;"),
    asking("bind-off", "off", "proxy_bind off;"),
    asking("bind-variable", "a variable", "proxy_bind $remote_addr;"),
    asking("bind-empty", "an empty one binds nothing", "proxy_bind $arg_none;"),
    asking(
        "bind-invalid",
        "one that is no address is told, and not used",
        "proxy_bind $host;",
        logs=('invalid local address "front.test", client',),
    ),
    asking(
        "bind-absent",
        "an address that is not there",
        "proxy_bind 192.0.2.1;",
        status=500,
        logs=("bind(192.0.2.1) failed (99: Address not available) while connecting to upstream",),
    ),
    asking(
        "bind-family",
        "an address of another family",
        "proxy_bind [::1];",
        status=500,
        logs=(
            "bind([::1]) failed (97: Address family not supported by protocol) while connecting",
        ),
    ),
    asking(
        "socket",
        "what is said of the socket",
        "proxy_socket_keepalive on; proxy_socket_rcvbuf 32k; proxy_socket_sndbuf 32k;"
        "proxy_send_lowat 0;",
        POST,
    ),
    Scenario(
        "method-inherited",
        "what is set around an if holds in it",
        "proxy_method PUT; proxy_set_header X-A a; if ($arg_a) { set $b c; }",
        (catalog.PLAIN,),
        proxy_pass="http://PEER",
        requests=(get(path="PATH?a=b"),),
    ),
    Scenario(
        "method-not-idempotent",
        "whether a request may be repeated is told by the client's method",
        "proxy_method POST;",
        (catalog.CLOSES_ON_REQUEST, catalog.GOOD),
        group="server PEER max_fails=0; server PEER2; keepalive 0;",
        requests=(get(),),
        logs=(catalog.CLOSES_ON_REQUEST.expected_log,),
    ),
    Scenario(
        "post-not-repeated",
        "a POST that was sent is not",
        "proxy_method GET;",
        (catalog.CLOSES_ON_REQUEST, catalog.GOOD),
        group="server PEER max_fails=0; server PEER2; keepalive 0;",
        requests=(POST,),
        status=502,
        logs=(catalog.CLOSES_ON_REQUEST.expected_log,),
    ),
)

TABLE = Table("proxying", SCENARIOS)
