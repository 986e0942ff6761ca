"""Which responses `proxy_cache` stores, for whom and for how long, and when they are sent.

`X-Accel-Expires: @1` makes a response that is stored and expired at once, so no test has to wait.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sniproxy.testing.upstreams import AfterSend, catalog
from sniproxy.testing.upstreams.spec import Action, ReceivedRequest, UpstreamSpec, response
from tests.conformance.scenario import Scenario, Table

_WANTED = re.compile(rb"^x-want: *([^\r]*)", re.IGNORECASE | re.MULTILINE)
EXPIRED = "X-Accel-Expires: @1"
VALID = "proxy_cache_valid 200 301 404 10m; "
DATED = ("Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT", 'ETag: "e1"')


def obliging(*fields: str, body: str = "hello\n") -> UpstreamSpec:
    """An upstream that answers as the request's field `X-Want` says.

    That is a status with its reason, or `close` to close the connection; else 200 with `fields`, or
    304 to a conditional request.
    """

    def reply(request: ReceivedRequest) -> bytes:
        found = _WANTED.search(request.request)
        wanted = found[1].decode("latin-1") if found else ""
        if wanted == "close":
            return b""
        if wanted:
            return response(f"{wanted}\n", status=wanted, with_body=request.method != "HEAD")
        conditional = b"\r\nif-none-match:" in request.request.lower()
        if conditional:
            return response("", *fields, status="304 Not Modified")
        return response(body, *fields, with_body=request.method != "HEAD")

    return UpstreamSpec("obliging", "answers as asked", tls=None, response=Action(reply))


def keepalive(
    *fields: str, method: str = "GET", path: str = "PATH", want: str = "", host: str = "front.test"
) -> str:
    """A request on a connection that stays open."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *fields]
    if want:
        lines.append(f"X-Want: {want}")
    return "\r\n".join(lines) + "\r\n\r\n"


def cached(
    name: str,
    rule: str,
    directives: str = VALID,
    *fields: str,
    sends: tuple[str, ...] = (keepalive(), keepalive()),
    status: int | tuple[int, ...] = 200,
    logs: tuple[str, ...] = (),
    zone: str = "z",
    upstream: UpstreamSpec | None = None,
    location: str = "PATH",
    server: str = "",
    repeat: int = 1,
) -> Scenario:
    sends = (*sends[:-1], sends[-1].replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
    status_field = "add_header X-Cache $upstream_cache_status always; "
    return Scenario(
        name,
        rule,
        f"proxy_cache {zone}; {status_field}{directives}",
        (upstream or obliging(*fields),),
        proxy_pass="http://PEER",
        requests=sends,
        status=status,
        logs=logs,
        location=location,
        server=server,
        repeat=repeat,
    )


def storing() -> Iterator[Scenario]:
    yield cached("hit", "A response with a configured validity is sent to the second client.")
    yield cached("no-validity", "Without any validity a response is not stored.", "")
    yield cached(
        "default-statuses",
        "A validity without statuses is for 200, 301 and 302.",
        "proxy_cache_valid 1h;",
        sends=(
            keepalive(),
            keepalive(),
            keepalive(path="PATH/4", want="404 Not Found"),
            keepalive(path="PATH/4"),
            keepalive(path="PATH/3", want="302 Found"),
            keepalive(path="PATH/3"),
        ),
        status=(200, 200, 404, 200, 302, 302),
    )
    yield cached(
        "any-status",
        "The status `any` stores every status.",
        "proxy_cache_valid any 1h;",
        sends=(keepalive(want="503 Busy"), keepalive()),
        status=503,
    )
    yield cached(
        "first-rule",
        "The first rule for a status decides.",
        "proxy_cache_valid 404 0; proxy_cache_valid any 1h;",
        sends=(keepalive(want="404 Not Found"), keepalive()),
        status=(404, 200),
    )
    for name, rule, fields in (
        ("x-accel-expires", "X-Accel-Expires gives the validity.", ("X-Accel-Expires: 100",)),
        ("x-accel-0", "X-Accel-Expires: 0 forbids storing.", ("X-Accel-Expires: 0",)),
        ("x-accel-bad", "A malformed X-Accel-Expires is ignored.", ("X-Accel-Expires: x",)),
        ("max-age", "Cache-Control: max-age gives the validity.", ("Cache-Control: max-age=60",)),
        ("max-age-0", "Cache-Control: max-age=0 forbids storing.", ("Cache-Control: max-age=0",)),
        ("max-age-bad", "A malformed max-age forbids storing.", ("Cache-Control: max-age=1x",)),
        ("max-age-quoted", "A quoted max-age is malformed.", ('Cache-Control: max-age="60"',)),
        ("s-maxage", "s-maxage overrides max-age.", ("Cache-Control: max-age=0, s-maxage=60",)),
        ("private", "Cache-Control: private forbids storing.", ("Cache-Control: Private",)),
        (
            "no-store",
            "Cache-Control: no-store forbids it.",
            ("Cache-Control: max-age=60, no-store",),
        ),
        ("no-cache", "Cache-Control: no-cache forbids storing.", ("Cache-Control: no-cache",)),
        ("no-cache-named", "The words are found anywhere.", ("Cache-Control: x-private-y",)),
        (
            "accel-over-control",
            "X-Accel-Expires overrides Cache-Control after it.",
            ("X-Accel-Expires: 100", "Cache-Control: no-cache"),
        ),
        (
            "control-before-accel",
            "X-Accel-Expires overrides Cache-Control before it.",
            ("Cache-Control: no-cache", "X-Accel-Expires: 100"),
        ),
        ("expires", "Expires gives the validity.", ("Expires: Thu, 31 Dec 2099 23:59:59 GMT",)),
        (
            "expires-past",
            "An Expires in the past forbids it.",
            ("Expires: Thu, 01 Jan 1970 00:00:01 GMT",),
        ),
        ("expires-bad", "A malformed Expires forbids storing.", ("Expires: 0",)),
        (
            "expires-then-age",
            "max-age overrides an Expires in the past.",
            ("Expires: Thu, 01 Jan 1970 00:00:01 GMT", "Cache-Control: max-age=60"),
        ),
        (
            "age-then-expires",
            "An Expires after max-age is not looked at.",
            ("Cache-Control: max-age=60", "Expires: Thu, 01 Jan 1970 00:00:01 GMT"),
        ),
        ("set-cookie", "A response with Set-Cookie is not stored.", ("Set-Cookie: a=b",)),
        ("vary-all", "A response with Vary: * is not stored.", ("Vary: *",)),
        ("vary-long", "A Vary of over 128 characters is not stored.", (f"Vary: {'x' * 129}",)),
        ("vary-128", "A Vary of 128 characters is stored.", (f"Vary: {'x' * 128}",)),
    ):
        yield cached(name, rule, VALID, *fields)
        yield cached(f"{name}-alone", f"{rule} There is no proxy_cache_valid.", "", *fields)
    yield cached(
        "ignored",
        "Fields that are ignored have no effect.",
        VALID + "proxy_ignore_headers Cache-Control Expires Set-Cookie Vary X-Accel-Expires;",
        "Set-Cookie: a=b",
        "Vary: *",
        "Cache-Control: no-cache",
        "Expires: 0",
        "X-Accel-Expires: 0",
    )
    yield cached(
        "methods",
        "A POST is not cached unless proxy_cache_methods names it.",
        VALID,
        sends=(keepalive(method="POST"), keepalive(method="POST")),
    )
    yield cached(
        "post",
        "A POST that proxy_cache_methods names shares the entry of GET.",
        VALID + "proxy_cache_methods POST;",
        sends=(
            keepalive(method="POST"),
            keepalive(method="POST"),
            keepalive(),
            keepalive(method="HEAD"),
        ),
    )
    yield cached(
        "unbuffered", "Without buffering nothing is stored.", VALID + "proxy_buffering off;"
    )
    yield cached(
        "unbuffered-by-field",
        "X-Accel-Buffering: no stores nothing.",
        VALID,
        "X-Accel-Buffering: no",
    )
    yield cached(
        "min-uses",
        "The second request stores with proxy_cache_min_uses 2.",
        VALID + "proxy_cache_min_uses 2;",
        sends=(keepalive(), keepalive(), keepalive()),
    )
    yield cached(
        "bypass",
        "A request that bypasses the cache updates it.",
        VALID + "proxy_cache_bypass $http_x_b $arg_b;",
        sends=(
            keepalive(),
            keepalive("X-B: 1", want="404 Not Found"),
            keepalive(),
            keepalive("X-B: 0"),
            keepalive("X-B:"),
        ),
        status=(200, 404, 404, 404, 404),
    )
    yield cached(
        "no-cache-set",
        "proxy_no_cache sends without storing.",
        VALID + "proxy_no_cache $http_x_n;",
        sends=(keepalive("X-N: 1"), keepalive("X-N: 0"), keepalive("X-N: 1"), keepalive()),
    )
    yield cached(
        "bypass-no-cache",
        "Both together leave the entry alone.",
        VALID + "proxy_cache_bypass $http_x_n; proxy_no_cache $http_x_n;",
        sends=(keepalive(), keepalive("X-N: 1", want="404 Not Found"), keepalive()),
        status=(200, 404, 200),
    )
    yield cached("off-by-variable", "A zone variable may say off.", VALID, zone="$arg_zone")
    yield cached(
        "unknown-by-variable",
        "A zone that does not exist is an error.",
        VALID,
        zone="x$arg_zone",
        sends=(keepalive(),),
        status=500,
        logs=('cache "x" not found',),
    )
    yield cached(
        "long-key",
        "A key that does not fit the buffer is logged, and nothing is cached.",
        VALID + "proxy_buffer_size 1k; proxy_buffers 4 2k; proxy_busy_buffers_size 4k;",
        sends=(keepalive(path="PATH?" + "x" * 700), keepalive(path="PATH?" + "x" * 700)),
        logs=("proxy_buffer_size 1024 is not enough for cache key, it should be increased",) * 2,
    )
    yield cached(
        "too-big-head",
        "The head shares its buffer with the header of the file.",
        VALID + "proxy_buffer_size 1k; proxy_buffers 4 2k; proxy_busy_buffers_size 4k;",
        f"X-Long: {'x' * 640}",
        sends=(keepalive(),),
        status=502,
        logs=("upstream sent too big header",),
    )
    yield cached(
        "http-0.9",
        "A response without a head is not stored.",
        VALID,
        upstream=catalog.fixed_response("bare", b"<p>hello</p>\n"),
        status=0,
        sends=(keepalive(),),
        repeat=2,
    )
    yield cached(
        "cut",
        "A response that is cut short is not stored.",
        VALID,
        upstream=catalog.fixed_response("cut", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel"),
        sends=(keepalive(),),
        logs=("upstream prematurely closed connection",),
    )
    yield cached(
        "until-close",
        "A body that ends with the connection is stored.",
        VALID,
        upstream=catalog.fixed_response("until", b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nhello"),
    )
    yield cached(
        "chunked",
        "A chunked body is stored without its framing, and sent chunked.",
        VALID,
        upstream=catalog.fixed_response(
            "chunks",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"5\r\nhello\r\n0\r\n\r\n",
            then=AfterSend.WAIT,
        ),
    )
    yield cached(
        "large",
        "A large body is stored while it is sent.",
        VALID,
        upstream=obliging(body="0123456789" * 30_000),
    )
    yield cached("empty", "An empty body is stored.", VALID, upstream=obliging(body=""))
    yield cached(
        "hidden",
        "Fields are hidden and rewritten when a response is sent, not when it is stored.",
        VALID + "proxy_hide_header X-One; proxy_redirect http://up/ /down/;",
        "X-One: 1",
        "Location: http://up/x",
        "X-Two: 2",
    )
    yield cached(
        "redirected",
        "X-Accel-Redirect is obeyed and the response is not stored.",
        VALID,
        "X-Accel-Redirect: /to-redirected",
        server="location = /to-NAME { return 200 ok; }",
    )
    yield cached(
        "intercepted",
        "The status of an intercepted error is stored.",
        VALID + "proxy_intercept_errors on; error_page 404 /to-NAME;",
        server="location = /to-NAME { return 200 ok; }",
        sends=(keepalive(want="404 Not Found"), keepalive()),
        status=404,
    )
    yield cached(
        "own-error",
        "A 502 of nginx's own is stored if its status has a validity.",
        "proxy_cache_valid 502 1h;",
        sends=(keepalive(want="close"), keepalive()),
        status=502,
        logs=("upstream prematurely closed connection",),
    )
    yield cached(
        "own-error-not-stored",
        "A 502 of nginx's own without validity is not stored.",
        VALID,
        sends=(keepalive(want="close"), keepalive()),
        status=(502, 200),
        logs=("upstream prematurely closed connection",),
    )


def keys() -> Iterator[Scenario]:
    yield cached(
        "key",
        "proxy_cache_key decides which requests share a response.",
        VALID + "proxy_cache_key key-$http_x_k;",
        sends=(keepalive("X-K: 1", want="404 Not Found"), keepalive("X-K: 1"), keepalive("X-K: 2")),
        status=(404, 404, 200),
    )
    yield cached(
        "default-key",
        "The default key has the query, in its order.",
        VALID,
        sends=(
            keepalive(path="PATH?a=1&b=2"),
            keepalive(path="PATH?b=2&a=1"),
            keepalive(path="PATH?a=1&b=2"),
        ),
    )
    yield cached(
        "vary",
        "Vary makes a response for each value of the fields it names.",
        VALID,
        "Vary: X-V, x-w",
        sends=(
            keepalive("X-V: 1"),
            keepalive("X-V: 1"),
            keepalive("X-V: 2"),
            keepalive("X-V: 2"),
            keepalive("X-V: 1"),
            keepalive("X-V: 1", "X-W: 1"),
            keepalive("X-V: 1", "X-V: 1"),
            keepalive("X-V: 1,1"),
        ),
    )
    yield cached(
        "vary-encoding",
        "Spaces in Accept-Encoding do not matter, its order does.",
        VALID,
        "Vary: Accept-Encoding",
        sends=(
            keepalive("Accept-Encoding: gzip, br"),
            keepalive("Accept-Encoding: gzip,br"),
            keepalive("Accept-Encoding: gzip", "Accept-Encoding: br"),
            keepalive("Accept-Encoding: br, gzip"),
        ),
    )


def conditional() -> Iterator[Scenario]:
    yield cached(
        "not-forwarded",
        "Conditional fields and ranges are not forwarded.",
        VALID,
        *DATED,
        sends=(
            keepalive(
                'If-None-Match: "e1"',
                "If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT",
                "Range: bytes=0-1",
                'If-Range: "e1"',
                'If-Match: "e1"',
                "If-Unmodified-Since: Tue, 14 Nov 2023 22:13:20 GMT",
            ),
            keepalive('If-None-Match: "e1"'),
            keepalive('If-None-Match: "e2"'),
            keepalive("If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT"),
            keepalive('If-Match: "e2"'),
        ),
        status=(304, 304, 200, 304, 412),
    )
    yield cached(
        "not-cached",
        "A response that may not be stored is sent whatever the conditions.",
        VALID,
        *DATED,
        "Cache-Control: no-cache",
        sends=(keepalive('If-None-Match: "e2"'),),
        status=200,
    )
    yield cached(
        "ranges",
        "Ranges of stored responses are sent if the upstream accepts ranges.",
        VALID,
        *DATED,
        "Accept-Ranges: bytes",
        sends=(
            keepalive("Range: bytes=1-2"),
            keepalive("Range: bytes=1-2"),
            keepalive("Range: bytes=0-0,2-3"),
            keepalive("Range: bytes=99-"),
            keepalive("Range: bytes=1-2", 'If-Range: "e2"'),
            keepalive(),
        ),
        status=(206, 206, 206, 416, 200, 200),
    )
    yield cached(
        "several-ranges-at-once",
        "Of a response that is being stored, only one range can be sent.",
        VALID,
        "Accept-Ranges: bytes",
        sends=(keepalive("Range: bytes=0-0,2-3"),) * 2,
        status=(200, 206),
    )
    yield cached(
        "no-ranges",
        "Without Accept-Ranges of the upstream there are no ranges.",
        VALID,
        sends=(keepalive("Range: bytes=1-2"), keepalive("Range: bytes=1-2")),
    )
    yield cached(
        "forced-ranges",
        "proxy_force_ranges serves ranges of stored responses.",
        VALID + "proxy_force_ranges on;",
        sends=(keepalive("Range: bytes=1-2"), keepalive("Range: bytes=0-0,2-3")),
        status=206,
    )
    yield cached(
        "range-offset",
        "Ranges beyond proxy_cache_max_range_offset pass the cache by.",
        VALID + "proxy_cache_max_range_offset 3;",
        "Accept-Ranges: bytes",
        sends=(
            keepalive("Range: bytes=3-4"),
            keepalive("Range: bytes=-1"),
            keepalive("Range: bytes=2-4"),
            keepalive("Range: bytes=3-4"),
        ),
        status=(200, 200, 206, 206),
    )
    yield cached(
        "head",
        "HEAD is passed as GET and fills the cache.",
        VALID,
        sends=(keepalive(method="HEAD"), keepalive(), keepalive(method="HEAD")),
    )
    yield cached(
        "head-kept",
        "With proxy_cache_convert_head off HEAD is passed as it is.",
        VALID + "proxy_cache_convert_head off; proxy_cache_key $request_method$uri;",
        sends=(keepalive(method="HEAD"), keepalive(), keepalive(method="HEAD")),
    )


def stale() -> Iterator[Scenario]:
    yield cached(
        "expired",
        "An expired response is fetched again.",
        VALID,
        EXPIRED,
        sends=(keepalive(), keepalive(), keepalive(want="404 Not Found"), keepalive()),
        status=(200, 200, 404, 404),
    )
    for word, want in (
        ("error", "close"),
        ("http_500", "500 Oops"),
        ("http_503", "503 Busy"),
        ("http_404", "404 Not Found"),
        ("http_403", "403 Forbidden"),
        ("http_429", "429 Slow"),
        ("invalid_header", "close"),
    ):
        log = ("upstream prematurely closed connection",) if want == "close" else ()
        applies = word != "invalid_header"
        yield cached(
            f"stale-{word}",
            f"proxy_cache_use_stale {word} sends the expired response.",
            f"proxy_cache_use_stale {word};",
            EXPIRED,
            sends=(keepalive(), keepalive(want=want), keepalive()),
            status=(200, 200 if applies else 502, 200),
            logs=log,
        )
    yield cached(
        "not-stale",
        "Without proxy_cache_use_stale the failure is sent.",
        "",
        EXPIRED,
        sends=(keepalive(), keepalive(want="close"), keepalive(want="503 Busy")),
        status=(200, 502, 503),
        logs=("upstream prematurely closed connection",),
    )
    yield cached(
        "stale-if-error",
        "stale-if-error allows the expired response after an error, not after a status.",
        "",
        EXPIRED,
        "Cache-Control: stale-if-error=4000000000",
        sends=(keepalive(), keepalive(want="close"), keepalive(want="503 Busy")),
        status=(200, 200, 503),
        logs=("upstream prematurely closed connection",),
    )
    yield cached(
        "stale-if-error-over",
        "stale-if-error counts from the end of the validity.",
        "",
        EXPIRED,
        "Cache-Control: stale-if-error=60",
        sends=(keepalive(), keepalive(want="503 Busy")),
        status=(200, 503),
    )
    yield cached(
        "revalidate",
        "A conditional request renews the response.",
        "proxy_cache_valid 10m; proxy_cache_revalidate on;",
        *DATED,
        EXPIRED,
        sends=(keepalive(), keepalive(), keepalive('If-None-Match: "e1"')),
        status=(200, 200, 304),
    )
    yield cached(
        "revalidate-changed",
        "A response to a conditional request replaces the stored one.",
        VALID + "proxy_cache_revalidate on;",
        *DATED,
        EXPIRED,
        sends=(keepalive(), keepalive(want="404 Not Found"), keepalive()),
        status=(200, 404, 404),
    )
    yield cached(
        "revalidate-own-fields",
        "proxy_set_header replaces the conditional fields.",
        "proxy_cache_revalidate on; proxy_set_header If-None-Match '';"
        "proxy_set_header If-Modified-Since $upstream_cache_last_modified;",
        *DATED,
        EXPIRED,
    )
    yield cached(
        "background",
        "An expired response is sent while a subrequest updates it.",
        "proxy_cache_use_stale updating; proxy_cache_background_update on;",
        *DATED,
        EXPIRED,
        sends=(keepalive(), keepalive(), keepalive("Connection: close")),
    )
    yield cached(
        "background-fails",
        "A failed update is logged as a subrequest's.",
        "proxy_cache_use_stale updating; proxy_cache_background_update on;",
        EXPIRED,
        sends=(keepalive(), keepalive(want="close"), keepalive()),
        logs=("upstream prematurely closed connection",),
    )
    yield cached(
        "while-revalidate",
        "stale-while-revalidate allows the same.",
        "proxy_cache_background_update on;",
        EXPIRED,
        "Cache-Control: stale-while-revalidate=4000000000",
        sends=(keepalive(), keepalive(), keepalive()),
    )
    yield cached(
        "locked",
        "proxy_cache_lock changes nothing for requests one after the other.",
        VALID + "proxy_cache_lock on;",
        sends=(keepalive(), keepalive()),
    )


TABLE = Table(
    "caching",
    (*storing(), *keys(), *conditional(), *stale()),
    before="proxy_cache_path cache levels=1:2 keys_zone=z:1m; proxy_cache_path two keys_zone=y:1m;",
)
