"""What of an upstream's answer reaches the client, where the configuration says so."""

from __future__ import annotations

from collections.abc import Mapping

from sniproxy.testing.upstreams import AfterSend, catalog
from sniproxy.testing.upstreams.spec import response
from tests.conformance.scenario import GET, Scenario, Table, get

READING_HEAD = catalog.READING_HEAD


def replying(
    name: str,
    rule: str,
    directives: str,
    *fields: str,
    status: str = "200 OK",
    seen: int | None = None,
    body: str = "hello\n",
    sends: tuple[str, ...] = (GET,),
    logs: tuple[str, ...] = (),
    target: str = "http://PEER",
    location: str = "PATH",
    server: str = "",
    raw: bytes | None = None,
    files: Mapping[str, str] | None = None,
    then: AfterSend = AfterSend.CLOSE,
) -> Scenario:
    """A fixed answer, with these fields."""
    data = response(body, *fields, status=status) if raw is None else raw
    return Scenario(
        name,
        rule,
        directives,
        (catalog.fixed_response("fixed", data, then=then),),
        proxy_pass=target,
        requests=sends,
        status=int(status[:3]) if seen is None else seen,
        logs=logs,
        location=location,
        server=server,
        files=files or {},
    )


ALL = (
    "Date: Thu, 01 Jan 1970 00:00:00 GMT",
    "X-Pad: avoid",
    "X-Accel-Expires: 0",
    "X-One: 1",
    'ETag: "e"',
    "Set-Cookie: a=b",
    "Expires: Thu, 01 Jan 1970 00:00:00 GMT",
    "Vary: X",
    "Cache-Control: no-cache",
    "X-Powered-By: x",
    "Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT",
    "Accept-Ranges: bytes",
    "Link: </x>",
    "Content-Disposition: inline",
    "Upgrade: h2c",
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

HEADERS = (
    replying("all", "all fields", "", *ALL),
    replying(
        "hide",
        "fields may be hidden",
        "proxy_hide_header x-one; proxy_hide_header ETag; proxy_hide_header Content-Type;"
        "proxy_hide_header Set-Cookie; proxy_hide_header Content-Length;",
        *ALL,
    ),
    replying(
        "pass",
        "hidden ones may be shown",
        "proxy_pass_header server; proxy_pass_header Date; proxy_pass_header X-Pad;"
        "proxy_pass_header X-Accel-Expires;",
        *ALL,
    ),
    replying(
        "pass-none",
        "Server and Date that the upstream has not are none then",
        "proxy_pass_header Server; proxy_pass_header Date;",
        raw=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ),
    replying(
        "hide-and-pass",
        "what is passed is not hidden",
        "proxy_hide_header X-One; proxy_pass_header x-one;",
        *ALL,
    ),
    replying(
        "pass-connection",
        "but never what frames the answer",
        "proxy_pass_header Connection; proxy_pass_header Keep-Alive;",
        "Connection: close",
        "Keep-Alive: x",
    ),
    replying(
        "server-twice",
        "the second Server is ignored",
        "proxy_pass_header Server;",
        "Server: other",
        logs=(
            f'upstream sent duplicate header line: "Server: other", previous value: '
            f'"Server: sniproxy-testing", ignored{READING_HEAD}',
        ),
    ),
    replying(
        "ignore",
        "fields may be ignored, and are hidden all the same",
        "proxy_ignore_headers X-Accel-Redirect X-Accel-Buffering X-Accel-Charset "
        "X-Accel-Limit-Rate X-Accel-Expires Expires Cache-Control Set-Cookie Vary;",
        "X-Accel-Redirect: /x",
        "X-Accel-Buffering: no",
        "X-Accel-Charset: utf-8",
        "X-Accel-Limit-Rate: 1",
        *ALL,
    ),
    replying(
        "charset",
        "a charset that no directive names is told",
        "",
        "X-Accel-Charset: utf-8",
        logs=('unknown charset "utf-8" to override while reading response header',),
    ),
    replying(
        "charset-without-type",
        "but for an answer without type",
        "",
        raw=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Accel-Charset: utf-8\r\n\r\nok",
    ),
    replying("limit-rate", "a rate of the answer's own", "", "X-Accel-Limit-Rate: 100000"),
    replying("limit-rate-slow", "a slow one", "", "X-Accel-Limit-Rate: 60", body="x" * 100),
    replying("limit-rate-invalid", "one that is no number", "", "X-Accel-Limit-Rate: fast"),
    replying(
        "own-limit-rate", "a rate for what is read", "proxy_limit_rate 10000;", body="x" * 3000
    ),
    replying(
        "own-limit-rate-variable",
        "of variables",
        "set $rate 0; proxy_limit_rate $rate;",
        body="x" * 3000,
    ),
    replying(
        "own-limit-rate-invalid",
        "an invalid one is told",
        "proxy_limit_rate $host;",
        logs=('invalid size "front.test" while reading response header from upstream',),
    ),
    replying(
        "range",
        "ranges are the upstream's",
        "",
        "Accept-Ranges: bytes",
        sends=(get("Range: bytes=1-2"),),
    ),
    replying(
        "force-ranges",
        "but may be cut here",
        "proxy_force_ranges on;",
        "Accept-Ranges: none",
        sends=(get("Range: bytes=1-2"),),
        seen=206,
    ),
    replying("force-ranges-none", "where one is asked for", "proxy_force_ranges on;"),
    replying(
        "force-ranges-two",
        "of two the whole is sent",
        "proxy_force_ranges on;",
        sends=(get("Range: bytes=0-0,2-2"),),
    ),
    replying(
        "force-ranges-beyond",
        "416",
        "proxy_force_ranges on;",
        "X-One: 1",
        sends=(get("Range: bytes=9-"),),
        seen=416,
    ),
    replying(
        "force-ranges-suffix",
        "the last bytes",
        "proxy_force_ranges on;",
        sends=(get("Range: bytes=-2"),),
        seen=206,
    ),
    replying(
        "force-ranges-if-range",
        "an If-Range that does not hold",
        "proxy_force_ranges on;",
        'ETag: "a"',
        sends=(get("Range: bytes=1-2", 'If-Range: "b"'),),
    ),
    replying(
        "force-ranges-if-range-holds",
        "and one that does",
        "proxy_force_ranges on;",
        'ETag: "a"',
        sends=(get("Range: bytes=1-2", 'If-Range: "a"'),),
        seen=206,
    ),
    replying(
        "force-ranges-if-range-date",
        "by date",
        "proxy_force_ranges on;",
        "Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT",
        sends=(get("Range: bytes=1-2", "If-Range: Thu, 01 Jan 1970 00:00:00 GMT"),),
        seen=206,
    ),
    replying(
        "force-ranges-404",
        "only of 200",
        "proxy_force_ranges on;",
        status="404 Not Found",
        sends=(get("Range: bytes=1-2"),),
    ),
    replying(
        "force-ranges-chunked",
        "not without length",
        "proxy_force_ranges on;",
        raw=CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
        sends=(get("Range: bytes=1-2"),),
    ),
    replying(
        "status-204",
        "204 keeps its type",
        "",
        raw=b"HTTP/1.1 204 No Content\r\nContent-Type: a/b\r\nX: y\r\n\r\n",
        seen=204,
    ),
    replying(
        "status-304-length",
        "304 keeps its length",
        "",
        raw=b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nX: y\r\n\r\n",
        seen=304,
    ),
    replying(
        "trailers",
        "trailers are dropped",
        "",
        raw=CHUNKED + b"5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    ),
    replying(
        "trailers-passed",
        "or passed on",
        "proxy_pass_trailers on;",
        raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n"
        b"5\r\nhello\r\n0\r\nX: y\r\nDate: hidden\r\nz:  1 \r\n\r\n",
    ),
    replying(
        "trailers-passed-none",
        "there may be none",
        "proxy_pass_trailers on;",
        raw=CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
    ),
    replying(
        "trailers-passed-1.0",
        "not to 1.0",
        "proxy_pass_trailers on;",
        raw=CHUNKED + b"5\r\nhello\r\n0\r\nX: y\r\n\r\n",
        sends=("GET PATH HTTP/1.0\r\n\r\n",),
    ),
    replying(
        "trailers-unbuffered",
        "also of what is not buffered",
        "proxy_pass_trailers on; proxy_buffering off;",
        raw=CHUNKED + b"5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    ),
    replying(
        "trailers-invalid",
        "a malformed one breaks the answer off",
        "proxy_pass_trailers on;",
        raw=CHUNKED + b"5\r\nhello\r\n0\r\nX y: z\r\n\r\n",
        seen=0,
        logs=('upstream sent invalid trailer: "X\\x20..." while reading upstream',),
    ),
    replying(
        "trailers-behind",
        "what comes behind them is told",
        "proxy_pass_trailers on;",
        raw=CHUNKED + b"0\r\nX: y\r\n\r\nmore",
        logs=("upstream sent data after final chunk while reading upstream",),
    ),
    replying(
        "trailers-too-big",
        "they have to fit in a buffer",
        "proxy_pass_trailers on; proxy_buffer_size 1k;",
        raw=CHUNKED + b"0\r\nX: " + b"y" * 1100 + b"\r\n\r\n",
        seen=0,
        logs=("upstream sent too big trailers while reading upstream",),
    ),
)

REDIRECT = "302 Found"


def moving(name: str, rule: str, directives: str, to: str, **more: object) -> Scenario:
    return replying(name, rule, directives, f"Location: {to}", status=REDIRECT, **more)  # type: ignore[arg-type]


REDIRECTS = (
    moving("redirect-off", "off", "proxy_redirect off;", "/there"),
    moving("redirect-relative", "a path is left alone by default", "", "/there"),
    moving(
        "redirect-text",
        "text at the beginning",
        "proxy_redirect http://up.test/ /here/;",
        "http://up.test/there",
    ),
    moving(
        "redirect-text-absolute",
        "to another host",
        "proxy_redirect http://up.test/ http://other.test/;",
        "http://up.test/there",
    ),
    moving("redirect-path", "of a path", "proxy_redirect / /here/;", "/there"),
    moving(
        "redirect-case",
        "with its case",
        "proxy_redirect http://UP.test/ /here/;",
        "http://up.test/there",
    ),
    moving(
        "redirect-first",
        "the first that fits counts",
        "proxy_redirect http://up /one; proxy_redirect http://up.test /two;",
        "http://up.test/there",
    ),
    moving(
        "redirect-variables",
        "variables on both sides",
        "proxy_redirect http://$host/ /$request_method/;",
        "http://front.test/there",
    ),
    moving(
        "redirect-regex",
        "a regular expression takes all",
        r"proxy_redirect ~^http://([^.]+)\.test/(.*)$ /$1/$2;",
        "http://up.test/there",
    ),
    moving(
        "redirect-regex-caseless",
        "in any case",
        "proxy_redirect ~*^HTTP://UP /x;",
        "http://up.test/there",
    ),
    moving(
        "redirect-regex-named",
        "with names",
        r"proxy_redirect ~^http://(?<n>[a-z]+) /$n;",
        "http://up.test/there",
    ),
    moving(
        "redirect-inherited",
        "the server's holds, where a location has none",
        "",
        "http://inherited.test/there",
    ),
    moving(
        "redirect-inherited-off",
        "unless it is off",
        "proxy_redirect off;",
        "http://inherited.test/there",
    ),
    moving(
        "redirect-empty",
        "an empty replacement",
        'proxy_redirect http://up.test "";',
        "http://up.test/there",
    ),
    moving(
        "redirect-refresh",
        "Refresh is rewritten behind url=",
        "proxy_redirect / /here/;",
        "/a\r\nRefresh: 5; URL=/there",
    ),
    replying(
        "redirect-200", "whatever the status is", "proxy_redirect / /here/;", "Location: /there"
    ),
    moving(
        "redirect-default",
        "what leads to the upstream leads here",
        "proxy_redirect default;",
        "http://PEERx",
        target="http://PEER/up/",
        location="PATH/",
        sends=(get(path="PATH/x"),),
    ),
)

COOKIES = (
    replying(
        "cookie-domain",
        "a domain",
        "proxy_cookie_domain up.test front.test;",
        "Set-Cookie: a=b; domain=UP.test; path=/",
        "Set-Cookie: a=b;Domain=.up.test",
        "Set-Cookie: a=b; domain=x.up.test",
        "Set-Cookie: a",
        "Set-Cookie: domain=up.test",
    ),
    replying(
        "cookie-domain-regex",
        "by an expression, in any case",
        r"proxy_cookie_domain ~\.?(UP)\.test$ $1.front.test; proxy_cookie_domain x y;",
        "Set-Cookie: a=b; domain=.up.test",
        "Set-Cookie: a=b; domain=x",
    ),
    replying(
        "cookie-domain-variables",
        "of variables",
        "proxy_cookie_domain $host .$request_method.test;",
        "Set-Cookie: a=b; domain=front.test; x=y;z",
    ),
    replying(
        "cookie-path",
        "a path",
        "proxy_cookie_path /up/ /;",
        "Set-Cookie: a=b; path=/up/x; HttpOnly",
        "Set-Cookie: a=b; Path=/other",
        "Set-Cookie: a=b; path=/up/; path=/up/y",
    ),
    replying(
        "cookie-path-regex",
        "by an expression",
        "proxy_cookie_path ~^/([a-z]+)/ /$1-; proxy_cookie_path ~*/X$ /y;",
        "Set-Cookie: a=b; path=/up/there",
        "Set-Cookie: a=b; path=/x",
    ),
    replying(
        "cookie-flags",
        "flags are added",
        "proxy_cookie_flags a secure httponly samesite=strict;",
        "Set-Cookie: a=b",
        "Set-Cookie: A=b; Secure",
        "Set-Cookie: c=d",
        "Set-Cookie: a=b; samesite=LAX; httponly; x",
    ),
    replying(
        "cookie-flags-removed",
        "and taken away",
        "proxy_cookie_flags ~. nosecure nohttponly nosamesite;",
        "Set-Cookie: a=b; Secure; HttpOnly; SameSite=None; path=/",
        "Set-Cookie: a=b",
    ),
    replying(
        "cookie-flags-variables",
        "of variables",
        "set $f samesite=none; proxy_cookie_flags $arg_x $f $arg_none;",
        "Set-Cookie: a=b",
        "Set-Cookie: c=d",
        sends=(get(path="PATH?x=a"),),
    ),
    replying(
        "cookie-flags-nothing",
        "words that mean nothing",
        "proxy_cookie_flags a bogus;",
        "Set-Cookie: a=b;c",
    ),
    replying(
        "cookie-all",
        "all at once",
        "proxy_cookie_flags a secure; proxy_cookie_path / /x/; proxy_cookie_domain a b;",
        "Set-Cookie: a = b ; path = / ; domain = a ; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    ),
    replying("cookie-off", "off", "proxy_cookie_path off;", "Set-Cookie: a=b; path=/inherited"),
    replying("cookie-inherited", "the server's hold", "", "Set-Cookie: a=b; path=/inherited"),
)

CARRIED = (
    "Set-Cookie: a=b",
    'ETag: "e"',
    "Content-Disposition: inline",
    "X-One: 1",
    "Expires: x",
    "Cache-Control: no-cache",
    "Location: /x",
    "Accept-Ranges: bytes",
    "Vary: X",
    "Link: </x>",
    "Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT",
)


def elsewhere(
    name: str, rule: str, inside: str, target: str = "", *fields: str, **more: object
) -> Scenario:
    """An answer that sends the request to a location with `inside`."""
    to = target or f"/{name}-to/x?y=z"
    more.setdefault("server", f"location /{name}-to/ {{ internal; {inside} }}")
    return replying(
        name,
        rule,
        str(more.pop("directives", "")),
        f"X-Accel-Redirect: {to}",
        *(fields or CARRIED),
        **more,  # type: ignore[arg-type]
    )


ELSEWHERE = (
    elsewhere(
        "elsewhere",
        "another location answers, some fields stay",
        "return 201 $uri?$args$request_method;",
        seen=201,
    ),
    elsewhere(
        "elsewhere-named",
        "a named one",
        "",
        "@elsewhere-named",
        seen=202,
        server="location @elsewhere-named { return 202 $uri; }",
    ),
    elsewhere(
        "elsewhere-absent",
        "a named one that is not there",
        "",
        "@nowhere",
        seen=500,
        logs=('could not find named location "@nowhere" while reading response header',),
    ),
    elsewhere("elsewhere-404", "an error's page has the fields too", "return 404;", seen=404),
    elsewhere(
        "elsewhere-file",
        "a file",
        "root html;",
        seen=200,
        files={"html/elsewhere-file-to/x": "the file\n"},
    ),
    elsewhere(
        "elsewhere-no-file", "a file that is not there", "root html;", seen=404, logs=("open()",)
    ),
    elsewhere(
        "elsewhere-proxied",
        "another upstream",
        "proxy_pass http://PEER/second;",
        seen=500,
        logs=("rewrite or internal redirection cycle",),
    ),
    elsewhere(
        "elsewhere-escaped",
        "an escaped path is decoded",
        "return 200 $uri;",
        "/elsewhere-escaped-to/%41%2f%25?%41",
    ),
    elsewhere(
        "elsewhere-unsafe",
        "one that leads upwards is refused",
        "",
        "/a/../b",
        seen=404,
        logs=('unsafe URI "/a/../b" was detected while reading response header',),
    ),
    elsewhere(
        "elsewhere-unsafe-escaped",
        "escaped too",
        "",
        "/a/%2e%2e/b",
        seen=404,
        logs=('unsafe URI "/a/../b" was detected while reading response header',),
    ),
    elsewhere(
        "elsewhere-head",
        "HEAD stays HEAD",
        "return 200 $request_method;",
        sends=("HEAD PATH HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n\r\n",),
    ),
    elsewhere(
        "elsewhere-post",
        "POST becomes GET",
        "return 200 $request_method;",
        sends=(
            "POST PATH HTTP/1.1\r\nHost: front.test\r\nContent-Length: 1\r\n"
            "Connection: close\r\n\r\nx",
        ),
    ),
    elsewhere(
        "elsewhere-hidden",
        "hidden fields go along",
        "return 200;",
        directives="proxy_hide_header Set-Cookie;",
    ),
    elsewhere(
        "elsewhere-cookie",
        "cookies are rewritten",
        "return 200;",
        "",
        "Set-Cookie: a=b; path=/",
        directives="proxy_cookie_path / /x;",
    ),
    elsewhere(
        "elsewhere-rate", "the rate goes along", "return 200;", "", "X-Accel-Limit-Rate: 100000"
    ),
    elsewhere(
        "elsewhere-status", "whatever the status is", "return 200;", status="500 No", seen=200
    ),
    elsewhere(
        "elsewhere-ignored",
        "unless it is ignored",
        "return 201;",
        directives="proxy_ignore_headers X-Accel-Redirect;",
    ),
    elsewhere(
        "elsewhere-error-page",
        "error_page comes after it",
        "return 503;",
        seen=503,
        directives="error_page 503 /never;",
    ),
)


def intercepted(name: str, rule: str, directives: str, *fields: str, **more: object) -> Scenario:
    more.setdefault("server", f"location /{name}-page {{ return 200 'page $upstream_status\\n'; }}")
    more.setdefault("status", "404 Not Here")
    directives = f"proxy_intercept_errors on; {directives}".replace("PAGE", f"/{name}-page")
    return replying(name, rule, directives, *fields, **more)  # type: ignore[arg-type]


ERRORS = (
    intercepted(
        "named",
        "a named location's own errors are told where the request was",
        "error_page 404 @named;",
        server="location @named { root html; }",
        logs=("open()",),
    ),
    intercepted("intercept", "an error has the page of error_page", "error_page 404 PAGE;", "X: y"),
    intercepted("intercept-status", "under another status", "error_page 404 =200 PAGE;", seen=200),
    intercepted("intercept-other", "an error without page goes through", "error_page 500 PAGE;"),
    intercepted("intercept-none", "without any page too", ""),
    intercepted(
        "intercept-redirect",
        "a redirect is an error as well",
        "error_page 302 PAGE;",
        "Location: /x",
        status="302 Found",
    ),
    intercepted("intercept-200", "200 is none", "error_page 404 PAGE;", status="200 OK"),
    intercepted(
        "intercept-401",
        "401 keeps what it asks for",
        "error_page 401 PAGE;",
        'WWW-Authenticate: Basic realm="a"',
        "WWW-Authenticate: Digest",
        "X: y",
        status="401 No",
    ),
    intercepted(
        "intercept-url", "the page may be elsewhere", "error_page 404 http://other.test/;", seen=302
    ),
    intercepted(
        "intercept-kept",
        "a bodiless answer leaves the connection good",
        "error_page 404 PAGE;",
        body="",
    ),
    intercepted(
        "intercept-error",
        "our own errors have their page anyway",
        "error_page 502 PAGE;",
        seen=502,
        raw=b"",
        logs=(f"upstream prematurely closed connection{READING_HEAD}",),
    ),
    intercepted(
        "intercept-elsewhere",
        "before X-Accel-Redirect",
        "error_page 404 PAGE;",
        "X-Accel-Redirect: /never",
    ),
)

VALUES = tuple(
    replying(
        f"cookie-{label}",
        "$upstream_cookie_NAME is the value of the first cookie of that name, as nginx reads it.",
        'add_header X-Seen "[$upstream_cookie_id][$upstream_cookie_other]";',
        *(f"Set-Cookie: {field}" for field in fields),
    )
    for label, fields in {
        "none": (),
        "value": ("id=abc; Path=/; HttpOnly",),
        "case": ("ID=abc",),
        "blanks": ("id =  abc ; Path=/",),
        "empty": ("id=",),
        "name-alone": ("id", "id=later"),
        "no-equals": ("id abc", "id; x=y"),
        "longer-name": ("idx=1", "id=2"),
        "two": ("id=1", "id=2", "other=3"),
        "attribute": ("a=b; id=c",),
    }.items()
)

TABLE = Table(
    "replying",
    (*VALUES, *HEADERS, *REDIRECTS, *COOKIES, *ELSEWHERE, *ERRORS),
    server="proxy_redirect http://inherited.test/ /inherited/; proxy_cookie_path /inherited /;",
)
