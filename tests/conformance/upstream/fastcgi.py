"""How FastCGI servers are asked, and how their responses are read."""

from __future__ import annotations

from collections.abc import Iterator

from sniproxy.testing.upstreams import AfterSend
from sniproxy.testing.upstreams.catalog.fastcgi import END_OF_BODY, record
from sniproxy.testing.upstreams.script import Expect, Send, Step
from sniproxy.testing.upstreams.spec import Action, UpstreamSpec
from tests.conformance.scenario import GET, Scenario, Table, get, request

OUT, ERR, END = 6, 7, 3
HEAD = "Content-Type: text/plain\r\n\r\n"


ENDED = record(END, "\0" * 8)


def out(*contents: str) -> str:
    """Records of output, its end and that of the request."""
    return "".join(record(OUT, content) for content in contents) + record(OUT) + ENDED


def server(
    *sends: str, then: AfterSend = AfterSend.CLOSE, awaits: str = END_OF_BODY, times: int = 1
) -> UpstreamSpec:
    """A server that sends this when a request is complete, on each connection `times` times."""
    once: list[Step] = [Expect(awaits), *map(Send, sends)]
    return UpstreamSpec(
        "fastcgi", "speaks FastCGI", tls=None, response=Action(then=then), script=(*once,) * times
    )


def passed(
    name: str,
    rule: str,
    *sends: str,
    directives: str = "",
    then: AfterSend = AfterSend.CLOSE,
    requests: tuple[str, ...] = (GET,),
    status: int | tuple[int, ...] = 200,
    logs: tuple[str, ...] = (),
    upstream: UpstreamSpec | None = None,
    location: str = "PATH",
    server_directives: str = "",
    address: str = "PEER",
    group: str = "",
    upstreams: tuple[UpstreamSpec, ...] = (),
    **more: object,
) -> Scenario:
    peer = upstream or server(*(sends or (out(HEAD + "hello\n"),)), then=then)
    return Scenario(
        name,
        rule,
        f"fastcgi_pass {address}; {directives}",
        upstreams or (peer,),
        proxy_pass="none",
        requests=requests,
        status=status,
        logs=logs,
        location=location,
        server=server_directives,
        group=group,
        **more,  # type: ignore[arg-type]
    )


def params() -> Iterator[Scenario]:
    yield passed("plain", "Without parameters the fields of the request are sent, and HTTP_HOST.")
    yield passed(
        "param",
        "Parameters are sent before the fields, in their order.",
        directives="fastcgi_param SCRIPT_NAME $fastcgi_script_name; fastcgi_param A b;",
    )
    yield passed(
        "if-not-empty",
        "A parameter with if_not_empty is not sent if its value is empty.",
        directives="fastcgi_param A $arg_x if_not_empty; fastcgi_param B $arg_x;",
    )
    yield passed(
        "own-http-param",
        "A parameter that is named like a field replaces it.",
        directives="fastcgi_param HTTP_X_A mine; fastcgi_param http_x_b mine;",
        requests=(get("X-A: theirs", "x_b: theirs", "X-B: theirs"),),
        logs=("client sent invalid header line",),
    )
    yield passed(
        "empty-http-param",
        "An empty parameter named like a field suppresses it.",
        directives='fastcgi_param HTTP_X_A "";',
        requests=(get("X-A: theirs"),),
    )
    yield passed(
        "own-host",
        "A parameter HTTP_HOST replaces the default one.",
        directives="fastcgi_param HTTP_HOST a.test;",
    )
    yield passed(
        "host-port",
        "HTTP_HOST has the port of the request's Host.",
        requests=(get(host="Front.Test:81"),),
    )
    yield passed(
        "joined-fields",
        "Fields of the same name are joined by a comma, cookies by a semicolon.",
        requests=(get("X-A: 1", "Cookie: a=1", "x-a: 2", "cookie: b=2", "X-B: 3"),),
    )
    yield passed(
        "no-headers",
        "With fastcgi_pass_request_headers off no fields are sent.",
        directives="fastcgi_pass_request_headers off;",
        requests=(get("X-A: 1"),),
    )
    yield passed(
        "long-values",
        "Lengths above 127 take four bytes.",
        directives=f"fastcgi_param LONG {'v' * 128}; fastcgi_param SHORT {'v' * 127};",
        requests=(get(f"X-{'n' * 121}: {'w' * 300}", f"X-{'m' * 120}: 1"),),
    )
    yield passed(
        "too-many-params",
        "Parameters of more than 65535 bytes are an error.",
        directives=f"fastcgi_param A {'v' * 4000}; "
        + "".join(f"fastcgi_param A{n} {'v' * 4000}; " for n in range(16)),
        status=500,
        logs=("fastcgi request record is too big: ",),
    )
    yield passed(
        "inherited-params",
        "Parameters of the server level apply to locations without their own.",
        server_directives="fastcgi_param FROM server;",
    )
    yield passed(
        "script-name",
        "fastcgi_index follows a script name that ends with a slash.",
        directives="fastcgi_index index.php; fastcgi_param S $fastcgi_script_name;",
        location="PATH/",
        requests=(get(path="PATH/a/"),),
    )
    yield passed(
        "split",
        "fastcgi_split_path_info gives script name and path.",
        directives=r"fastcgi_split_path_info ^(.+?\.php)(/.*)$; fastcgi_index x;"
        " fastcgi_param S $fastcgi_script_name; fastcgi_param P $fastcgi_path_info;",
        requests=(get(path="PATH/a.php/b/c?d"),),
    )
    yield passed(
        "split-no-match",
        "A URI that does not match is the script name.",
        directives=r"fastcgi_split_path_info ^(.+?\.php)(/.*)$;"
        " fastcgi_param S $fastcgi_script_name; fastcgi_param P $fastcgi_path_info;",
        requests=(get(path="PATH/a.html"),),
    )
    yield passed(
        "try-files-path-info",
        "After try_files the path info is that of the new URI.",
        directives=r"fastcgi_split_path_info ^(.+?\.php)(/.*)$; root .;"
        " try_files $fastcgi_script_name =404; fastcgi_param P $fastcgi_path_info;"
        " fastcgi_param S $fastcgi_script_name;",
        requests=(get(path="PATH/a.php/b"),),
        files={"NAME/a.php": "x"},
    )
    yield passed(
        "slash-redirect",
        "The name of a location without its slash is redirected.",
        location="PATH/",
        status=301,
    )
    yield passed(
        "body",
        "A request body is sent in a padded record.",
        requests=(request("POST", body="hello"),),
        directives="fastcgi_param L $content_length;",
    )
    yield passed(
        "body-of-8",
        "A body whose length is a multiple of 8 has no padding.",
        requests=(request("POST", body="12345678"),),
    )
    yield passed(
        "no-body",
        "With fastcgi_pass_request_body off no body is sent.",
        requests=(request("POST", body="hello"),),
        directives="fastcgi_pass_request_body off;",
    )
    yield passed(
        "unbuffered-body",
        "With fastcgi_request_buffering off the body is sent all the same.",
        requests=(request("POST", body="hello"),),
        directives="fastcgi_request_buffering off;",
    )
    yield passed(
        "chunked-body",
        "A chunked body is sent as one of known length.",
        requests=(request("POST", "Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n",),
        directives="fastcgi_param CONTENT_LENGTH $content_length;",
    )
    yield passed(
        "method",
        "Any method is passed.",
        requests=(request("PROPFIND"),),
        directives="fastcgi_param M $request_method;",
    )
    yield passed(
        "head",
        "A HEAD request gets the head only.",
        requests=(request("HEAD"),),
        directives="fastcgi_param M $request_method;",
    )
    yield passed(
        "variable",
        "The address may contain variables.",
        directives="set $to PEER;",
        address="$to",
    )
    yield passed(
        "variable-group",
        "An address with variables may name a group.",
        directives="set $to GROUP;",
        address="$to",
        group="server PEER;",
    )
    yield passed(
        "variable-no-port",
        "An address without a port is an error.",
        directives="set $to 127.0.0.1;",
        address="$to",
        status=500,
        logs=('no port in upstream "127.0.0.1"',),
    )
    yield passed(
        "variable-invalid",
        "An invalid address is an error.",
        directives="set $to 127.0.0.1:x;",
        address="$to",
        status=500,
        logs=('invalid port in upstream "127.0.0.1:x"',),
    )


def heads() -> Iterator[Scenario]:
    for name, rule, head, status in (
        ("status", "The field Status sets the status.", "Status: 404 Gone\r\n", 404),
        ("status-only", "A status without reason gets nginx's.", "Status: 404\r\n", 404),
        (
            "location",
            "A Location without Status is a redirect.",
            "Location: http://a.test/\r\n",
            302,
        ),
        ("path-location", "A Location is sent unchanged.", "Location: /elsewhere\r\n", 302),
        ("bare-newlines", "Lines may end with a line feed only.", "X-A: b\n", 200),
        (
            "hidden",
            "X-Accel fields and Status are hidden.",
            "Status: 200 OK\r\nX-Accel-Expires: 1\r\n",
            200,
        ),
        ("server-fields", "Date and Server are passed.", "Server: s\r\nDate: d\r\n", 200),
        ("powered", "Unknown fields are passed.", "X-Powered-By: PHP\r\nSet-Cookie: a=b\r\n", 200),
        ("no-such", "A status of 204 has no body.", "Status: 204 None\r\n", 204),
        ("not-modified", "A status of 304 has no body.", "Status: 304 Same\r\n", 304),
        (
            "connection",
            "Connection and Keep-Alive are not passed.",
            "Connection: close\r\nKeep-Alive: 1\r\n",
            200,
        ),
        ("te", "Transfer-Encoding is not passed.", "Transfer-Encoding: chunked\r\n", 200),
        ("http-line", "A status line is skipped.", "HTTP/1.1 404 Not Found\r\nX-A: b\r\n", 200),
    ):
        body = "" if status in (204, 304) else "body\n"
        yield passed(name, rule, out(head + HEAD + body), status=status)
    yield passed(
        "invalid-status",
        "A Status that is no number is an invalid head.",
        out("Status: OK\r\n" + HEAD),
        status=502,
        logs=('upstream sent invalid status "OK"',),
    )
    yield passed(
        "invalid-field",
        "An invalid line is an invalid head.",
        out("X A: b\r\n" + HEAD),
        status=502,
        logs=("upstream sent invalid header: ",),
    )
    yield passed(
        "double-status",
        "A second Status is ignored.",
        out("Status: 404 A\r\nStatus: 403 B\r\n" + HEAD),
        status=404,
        logs=("upstream sent duplicate header line",),
    )
    yield passed(
        "length",
        "A Content-Length is passed.",
        out("Content-Length: 5\r\n" + HEAD + "hello"),
    )
    yield passed(
        "invalid-length",
        "An invalid Content-Length is an invalid head.",
        out("Content-Length: x\r\n" + HEAD + "hello"),
        status=502,
        logs=('upstream sent invalid "Content-Length" header',),
    )
    yield passed(
        "split-line",
        "A line of the head may be split between records.",
        out("X-Sp", "lit: a", "bc\r\nX-B: ", "d\r", "\n" + HEAD + "hel", "lo\n"),
    )
    yield passed(
        "padded",
        "The padding of records is skipped.",
        record(OUT, HEAD, padding=7) + record(OUT, "hello", padding=255) + out("!\n"),
    )
    yield passed(
        "in-pieces",
        "Records may arrive in pieces.",
        *(out(HEAD + "hello\n")[at : at + 9] for at in range(0, 90, 9)),
    )
    yield passed(
        "too-big-head",
        "A head must fit the buffer.",
        out("X-A: " + "a" * 1100 + "\r\n" + HEAD),
        directives="fastcgi_buffer_size 1k; fastcgi_buffers 4 1k; fastcgi_busy_buffers_size 2k;",
        status=502,
        logs=("upstream sent too big header",),
    )
    yield passed(
        "intercepted",
        "fastcgi_intercept_errors replaces the response.",
        out("Status: 404 Gone\r\n" + HEAD + "body"),
        directives="fastcgi_intercept_errors on; error_page 404 =418 /gone.html;",
        server_directives="location = /gone.html { return 418 teapot; }",
        status=418,
    )
    yield passed(
        "hide-pass",
        "Fields are hidden and passed as configured.",
        out("X-A: b\r\nX-Accel-Buffering: yes\r\nStatus: 201 Made\r\n" + HEAD),
        directives="fastcgi_hide_header X-A; fastcgi_pass_header X-Accel-Buffering;"
        " fastcgi_pass_header Status;",
        status=201,
    )
    yield passed(
        "x-accel-redirect",
        "X-Accel-Redirect is followed.",
        out("X-Accel-Redirect: /inside.html\r\n" + HEAD + "ignored"),
        server_directives="location = /inside.html { internal; return 200 inside; }",
    )
    yield passed(
        "no-upgrade",
        "A status of 101 does not switch to another protocol.",
        out("Status: 101 Switching\r\nUpgrade: x\r\n" + HEAD + "body"),
        requests=(get("Upgrade: x"),),
        status=101,
    )
    yield passed(
        "ignored-x-accel",
        "fastcgi_ignore_headers disables X-Accel-Redirect.",
        out("X-Accel-Redirect: /inside.html\r\n" + HEAD + "body"),
        directives="fastcgi_ignore_headers X-Accel-Redirect;",
    )


def errors() -> Iterator[Scenario]:
    closed = "upstream prematurely closed connection"
    yield passed(
        "closes", "A connection closed at once is an error.", "", status=502, logs=(closed,)
    )
    yield passed(
        "closes-in-head",
        "A connection closed within the head is an error.",
        record(OUT, "X-A: b\r\n"),
        status=502,
        logs=(closed,),
    )
    yield passed(
        "resets",
        "A reset connection is an error.",
        "",
        then=AfterSend.RESET,
        status=502,
        logs=("recv() failed (104: Connection reset by peer)",),
    )
    for name, rule, sent, text in (
        ("version", "Another version is an invalid head.", record(OUT, HEAD, version=2),
         "upstream sent unsupported FastCGI protocol version: 2"),
        ("type", "Another type of record is an invalid head.", record(9, HEAD),
         "upstream sent invalid FastCGI record type: 9"),
        ("id-high", "Another request ID is an invalid head.", record(OUT, HEAD, number=256),
         "upstream sent unexpected FastCGI request id high byte: 1"),
        ("id-low", "Another request ID is an invalid head.", record(OUT, HEAD, number=2),
         "upstream sent unexpected FastCGI request id low byte: 2"),
        ("http", "An HTTP response is an invalid head.", "HTTP/1.1 200 OK\r\n\r\n",
         "upstream sent unsupported FastCGI protocol version: 72"),
        ("early-end", "An end of the request instead of a head is an error.", ENDED,
         "upstream sent unexpected FastCGI record: 3"),
        ("early-close", "An end of the output instead of a head is an error.", record(OUT),
         "upstream prematurely closed FastCGI stdout"),
        ("early-close-2", "An end of the output within a head is an error.",
         record(OUT, "X-A: b\r\n") + record(OUT) + ENDED,
         "upstream prematurely closed FastCGI stdout"),
    ):  # fmt: skip
        yield passed(name, rule, sent, status=502, logs=(text,))
    yield passed(
        "next",
        "After an error the next server is asked.",
        address="GROUP",
        group="server PEER; server PEER2 backup;",
        upstreams=(server(record(OUT)), server(out(HEAD + "second\n"))),
        directives="fastcgi_next_upstream invalid_header;",
        logs=(
            "upstream prematurely closed FastCGI stdout",
            "upstream server temporarily disabled",
        ),
    )
    yield passed(
        "next-503",
        "fastcgi_next_upstream may name statuses.",
        address="GROUP",
        group="server PEER; server PEER2 backup;",
        upstreams=(
            server(out("Status: 503 Busy\r\n" + HEAD)),
            server(out(HEAD + "second\n")),
        ),
        directives="fastcgi_next_upstream http_503;",
        logs=("upstream server temporarily disabled",),
    )
    yield passed(
        "timeout",
        "A server that does not answer in time is an error.",
        then=AfterSend.SILENCE,
        upstream=server(then=AfterSend.SILENCE),
        directives="fastcgi_read_timeout 100ms;",
        status=504,
        logs=("upstream timed out (110: Connection timed out)",),
    )


def bodies() -> Iterator[Scenario]:
    short = "Content-Length: 100\r\n" + HEAD
    for buffering in ("on", "off"):
        extra = f"fastcgi_buffering {buffering};"

        def named(name: str, buffering: str = buffering) -> str:
            return f"{name}-{buffering}"

        yield passed(
            named("cut"),
            "A body that ends with the connection is complete.",
            record(OUT, HEAD + "hello\n"),
            directives=extra,
        )
        yield passed(
            named("cut-record"),
            "A connection closed within a record ends the body.",
            record(OUT, HEAD + "hello\n")[:-3],
            directives=extra,
        )
        yield passed(
            named("cut-length"),
            "A connection closed before the length of the body is reached ends it.",
            record(OUT, short + "hello\n"),
            directives=extra,
        )
        yield passed(
            named("short-stdout"),
            "An end of the output before the length of the body is an error.",
            out(short + "hello\n"),
            directives=extra,
            logs=(
                "upstream prematurely closed FastCGI "
                + ("stdout" if buffering == "on" else "request"),
            ),
        )
        yield passed(
            named("short-request"),
            "An end of the request before the length of the body is an error.",
            record(OUT, short + "hello\n") + ENDED,
            directives=extra,
            logs=("upstream prematurely closed FastCGI request",),
        )
        yield passed(
            named("more"),
            "More data than the length of the body is not sent.",
            out("Content-Length: 5\r\n" + HEAD + "hello!"),
            directives=extra,
            logs=("upstream sent more data than specified in",),
        )
        yield passed(
            named("bad-record"),
            "An invalid record in the body ends the response.",
            record(OUT, HEAD + "hello\n") + record(OUT, "x", version=3),
            directives=extra,
            logs=("upstream sent unsupported FastCGI protocol version: 3",),
            status=0,
        )
        yield passed(
            named("stderr-in-body"),
            "The error stream within the body is logged.",
            record(OUT, HEAD + "hello\n") + record(ERR, "oops.\n") + out("more\n"),
            directives=extra,
            logs=('FastCGI sent in stderr: "oops"',),
        )
        yield passed(
            named("no-end"),
            "Without a last record the end of the output ends the response.",
            record(OUT, HEAD + "hello\n") + record(OUT),
            directives=extra,
        )
        yield passed(
            named("large"),
            "A large body is passed.",
            record(OUT, "Content-Length: 120000\r\n" + HEAD) + out("a" * 60000, "b" * 60000),
            directives=extra,
        )


def error_stream() -> Iterator[Scenario]:
    yield passed(
        "stderr",
        "The error stream is logged without a period and line ends at its end.",
        record(ERR, "PHP message: oops. \r\n.\n") + out(HEAD + "hello\n"),
        logs=('FastCGI sent in stderr: "PHP message: oops"',),
    )
    yield passed(
        "stderr-dots",
        "One character is logged in any case.",
        record(ERR, "...") + record(ERR, "", padding=3) + out(HEAD + "hello\n"),
        logs=('FastCGI sent in stderr: "."',),
    )
    yield passed(
        "stderr-lines",
        "The error stream may have several lines.",
        record(ERR, "one\ntwo\n", padding=5) + record(ERR, "three") + out(HEAD + "hello\n"),
        logs=('FastCGI sent in stderr: "one', 'FastCGI sent in stderr: "three"'),
    )
    yield passed(
        "catch",
        "fastcgi_catch_stderr makes the response invalid.",
        record(ERR, "PHP Fatal error: x") + out(HEAD + "hello\n"),
        directives='fastcgi_catch_stderr "PHP Warning"; fastcgi_catch_stderr "PHP Fatal";',
        logs=('FastCGI sent in stderr: "PHP Fatal error: x"',),
        status=502,
    )
    yield passed(
        "catch-other",
        "Other texts do no harm.",
        record(ERR, "PHP Notice: x") + out(HEAD + "hello\n"),
        directives='fastcgi_catch_stderr "PHP Fatal";',
        logs=('FastCGI sent in stderr: "PHP Notice: x"',),
    )
    yield passed(
        "much-stderr",
        "An error stream that is larger than the buffer is logged in pieces.",
        record(ERR, "e" * 1500, padding=1) + out("Content-Length: 6\r\n" + HEAD + "hello\n"),
        directives="fastcgi_buffer_size 1k; fastcgi_buffers 4 1k; fastcgi_busy_buffers_size 2k;",
        logs=('FastCGI sent in stderr: "eeee',) * 2,
    )
    yield passed(
        "stderr-without-head",
        "The error stream alone is no response.",
        record(ERR, "Primary script unknown") + ENDED,
        logs=(
            'FastCGI sent in stderr: "Primary script unknown"',
            "upstream sent unexpected FastCGI record: 3",
        ),
        status=502,
    )
    yield passed(
        "stderr-in-head",
        "The error stream may interrupt the head.",
        record(OUT, "X-A: b\r\n") + record(ERR, "oops") + out(HEAD + "hello\n"),
        logs=('FastCGI sent in stderr: "oops"',),
    )


KEEP = "fastcgi_keep_conn on;"


def keeping() -> Iterator[Scenario]:
    two = (GET.replace("Connection: close\r\n", ""), GET)
    yield passed(
        "kept",
        "With fastcgi_keep_conn a connection is used again.",
        upstream=server(out(HEAD + "hello\n"), times=2, then=AfterSend.WAIT),
        directives=KEEP,
        address="GROUP",
        group="server PEER; keepalive 2;",
        requests=two,
        status=(200, 200),
        open_connections=1,
    )
    yield passed(
        "not-kept",
        "Without it the connection is closed.",
        address="GROUP",
        group="server PEER; keepalive 2;",
        requests=two,
        status=(200, 200),
    )
    yield passed(
        "kept-after-more",
        "A connection with data after the last record is closed.",
        upstream=server(out(HEAD + "hello\n") + "x", then=AfterSend.WAIT),
        directives=KEEP,
        address="GROUP",
        group="server PEER; keepalive 2;",
    )
    yield passed(
        "keep-cut",
        "With fastcgi_keep_conn the end of the connection is no end of the body.",
        record(OUT, HEAD + "hello\n"),
        directives=KEEP,
        logs=("upstream prematurely closed connection",),
    )
    yield passed(
        "keep-cut-record",
        "The same holds within a record.",
        record(OUT, HEAD + "hello\n")[:-2],
        directives=KEEP,
        logs=("upstream prematurely closed connection",),
    )
    yield passed(
        "keep-waits",
        "The response ends with the last record.",
        upstream=server(out(HEAD + "hello\n"), then=AfterSend.WAIT),
        directives=KEEP,
    )


def caching() -> Iterator[Scenario]:
    two = (GET.replace("Connection: close\r\n", ""), GET)
    cache = (
        "fastcgi_cache fz; fastcgi_cache_key $request_uri; add_header X-C $upstream_cache_status;"
    )
    yield passed(
        "cached",
        "fastcgi_cache stores responses.",
        out("X-A: b\r\n" + HEAD + "hello\n"),
        directives=cache + "fastcgi_cache_valid 1h;",
        requests=two,
        status=(200, 200),
    )
    yield passed(
        "cached-status",
        "A stored response has its status.",
        out("Status: 404 Gone\r\n" + HEAD + "hello\n"),
        directives=cache + "fastcgi_cache_valid any 1h;",
        requests=two,
        status=(404, 404),
    )
    yield passed(
        "cached-split",
        "A head in several records may be stored.",
        out("X-A: ", "b\r\n" + HEAD, "hel", "lo\n"),
        directives=cache + "fastcgi_cache_valid 1h;",
        requests=two,
        status=(200, 200),
    )
    yield passed(
        "cached-stderr",
        "What was in the error stream is logged again.",
        record(ERR, "oops") + out(HEAD + "hello\n"),
        directives=cache + "fastcgi_cache_valid 1h;",
        requests=two,
        status=(200, 200),
        logs=('FastCGI sent in stderr: "oops"',) * 2,
    )
    yield passed(
        "cached-much-stderr",
        "Of an error stream that is larger than the buffer the end is stored.",
        record(ERR, "e" * 1500, padding=1) + out("Content-Length: 6\r\n" + HEAD + "hello\n"),
        directives=cache + "fastcgi_cache_valid 1h; fastcgi_buffer_size 1k; fastcgi_buffers 4 1k;"
        " fastcgi_busy_buffers_size 2k;",
        requests=two,
        status=(200, 200),
        logs=('FastCGI sent in stderr: "eeee',) * 4,
    )
    yield passed(
        "cached-fields",
        "Conditions and ranges are not passed if the response is to be stored.",
        directives=cache + "fastcgi_cache_valid 1h;",
        requests=(get("Range: bytes=0-1", "If-None-Match: a", "If-Modified-Since: b"),),
    )
    yield passed(
        "stored",
        "fastcgi_store writes the response to a file.",
        out("Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT\r\n" + HEAD + "hello\n"),
        directives="root .; fastcgi_store $document_root/NAME.stored;",
        server_directives="location = /NAME.stored { root .; }",
        requests=(GET.replace("Connection: close\r\n", ""), get(path="/NAME.stored")),
        status=(200, 200),
    )


TABLE = Table(
    "fastcgi",
    (
        *params(),
        *heads(),
        *errors(),
        *bodies(),
        *error_stream(),
        *keeping(),
        *caching(),
    ),
    before="fastcgi_cache_path fcgi_cache levels=1:2 keys_zone=fz:1m;",
)
