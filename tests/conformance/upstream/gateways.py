"""How uwsgi and SCGI servers are asked, and how their responses are read."""

from __future__ import annotations

from collections.abc import Iterator

from sniproxy.testing.upstreams import AfterSend
from sniproxy.testing.upstreams.script import Expect, Send, Signal, Step, WaitFor
from sniproxy.testing.upstreams.spec import TLS, Action, UpstreamSpec
from tests.conformance.scenario import GET, Scenario, Table, get, request

HEAD = "Content-Type: text/plain\r\n\r\n"
HELLO = "Status: 200 OK\r\n" + HEAD + "hello\n"
CLOSED = "upstream prematurely closed connection"
LAST_PARAM = {"uwsgi": "HTTP_CONNECTION\5\0close", "scgi": "HTTP_CONNECTION\0close\0,"}
NO_FIELDS = {"uwsgi": "A\1\0b", "scgi": "A\0b\0,"}


def server(
    module: str,
    *sends: str,
    then: AfterSend = AfterSend.CLOSE,
    awaits: str = "",
    tls: TLS | None = None,
    waits: tuple[Step, ...] = (),
) -> UpstreamSpec:
    """A server that sends this after it has received `awaits`, by default the last parameter."""
    steps: tuple[Step, ...] = (
        Expect(awaits or LAST_PARAM[module]),
        *[Send(text) for text in sends or (HELLO,)],
    )
    return UpstreamSpec(module, "speaks it", tls=tls, response=Action(then=then), script=steps)


def passed(
    module: str,
    name: str,
    rule: str,
    *sends: str,
    directives: str = "",
    then: AfterSend = AfterSend.CLOSE,
    awaits: str = "",
    requests: tuple[str, ...] = (GET,),
    status: int | tuple[int, ...] = 200,
    logs: tuple[str, ...] = (),
    address: str = "PEER",
    tls: TLS | None = None,
    sni: str | None = None,
    script: tuple[Step, ...] = (),
    waits: tuple[Step, ...] = (),
) -> Scenario:
    """Names of directives begin with `X_` in place of the name of the module."""
    return Scenario(
        f"{module}-{name}",
        rule,
        f"X_pass {address}; {directives}".replace("X_", f"{module}_"),
        (server(module, *sends, then=then, awaits=awaits, tls=tls, waits=waits),),
        proxy_pass="none",
        requests=requests,
        status=status,
        logs=logs,
        sni=sni,
        script=script,
    )


def shared(module: str) -> Iterator[Scenario]:
    def one(name: str, rule: str, *sends: str, **more: object) -> Scenario:
        return passed(module, name, rule, *sends, **more)  # type: ignore[arg-type]

    two = (GET.replace("Connection: close\r\n", ""), GET)
    yield one("plain", "The fields of the request are sent, and HTTP_HOST.")
    yield one(
        "params",
        "Parameters are sent before the fields, empty ones unless if_not_empty is given.",
        directives="X_param SCRIPT $uri; X_param E $arg_x; X_param F $arg_x if_not_empty;",
    )
    yield one(
        "replaced",
        "A parameter named like a field replaces it.",
        directives='X_param HTTP_X_A mine; X_param HTTP_X_B "";',
        requests=(get("X-A: theirs", "X-B: theirs"),),
    )
    yield one(
        "joined",
        "Fields of the same name are joined.",
        requests=(get("X-A: 1", "Cookie: a=1", "x-a: 2", "cookie: b=2"),),
    )
    yield one(
        "no-headers",
        "With pass_request_headers off no fields are sent.",
        directives="X_pass_request_headers off; X_param HTTP_HOST a; X_param A b;",
        awaits=NO_FIELDS[module],
    )
    body = request("POST", body="hello")
    yield one("body", "A body follows the parameters.", requests=(body,), awaits="hello")
    yield one(
        "unbuffered",
        "With request_buffering off the body is sent all the same.",
        requests=(body,),
        awaits="hello",
        directives="X_request_buffering off;",
    )
    yield one(
        "chunked",
        "A chunked body is read first, even with request_buffering off.",
        requests=(request("POST", "Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n",),
        awaits="hello",
        directives="X_request_buffering off; X_param L $content_length;",
    )
    yield one(
        "no-body",
        "With pass_request_body off no body is sent.",
        requests=(request("POST", body="hello"),),
        awaits="CONTENT_LENGTH",
        directives="X_pass_request_body off;",
    )
    yield one("head", "A HEAD request gets the head only.", requests=(request("HEAD"),))
    for name, rule, head, status in (
        ("status-line", "A status line gives the status.", "HTTP/1.1 404 Gone\r\n", 404),
        (
            "http10",
            "The version of a status line does not matter.",
            "HTTP/1.0 201 A\r\n",
            201,
        ),
        ("status", "The field Status gives the status.", "Status: 404 Gone\r\n", 404),
        ("both", "A status line precedes the field.", "HTTP/1.1 201 A\r\nStatus: 404 B\r\n", 201),
        ("location", "A Location alone is a redirect.", "Location: /a\r\n", 302),
        ("none", "Without either the status is 200.", "X-A: b\r\n", 200),
        ("length", "The body has the length of Content-Length.", "Content-Length: 6\r\n", 200),
        ("te", "Transfer-Encoding is not passed.", "Transfer-Encoding: chunked\r\n", 200),
        ("early", "A status of 103 is final.", "HTTP/1.1 103 Early\r\n", 103),
        ("fields", "Date and Server are passed.", "Date: d\r\nServer: s\r\n", 200),
    ):
        yield one(name, rule, head + HEAD + "hello\n", status=status)
    yield one("no-content", "A status of 204 has no body.", "Status: 204 No\r\n\r\n", status=204)
    yield one(
        "pieces",
        "A response may arrive in pieces.",
        *(HELLO[at : at + 5] for at in range(0, len(HELLO), 5)),
    )
    yield one("closes", "A connection closed at once is an error.", "", status=502, logs=(CLOSED,))
    yield one(
        "closes-in-head",
        "A connection closed within the head is an error.",
        "Status: 200 OK\r\nX-A: ",
        status=502,
        logs=(CLOSED,),
    )
    yield one(
        "resets",
        "A reset connection is an error.",
        "",
        then=AfterSend.RESET,
        status=502,
        logs=("recv() failed (104: Connection reset by peer)",),
    )
    yield one(
        "bad-status",
        "A Status that is no number is an invalid head.",
        "Status: x\r\n\r\n",
        status=502,
        logs=('upstream sent invalid status "x"',),
    )
    yield one(
        "bad-field",
        "A line with a NUL is an invalid head.",
        "Status: 200 OK\r\nX\0: b\r\n\r\n",
        status=502,
        logs=("upstream sent invalid header: ",),
    )
    yield one(
        "garbage",
        "Garbage is an invalid head.",
        "\1\2\3\r\n\r\n",
        status=502,
        logs=("upstream sent invalid header: ",),
    )
    yield one(
        "too-big",
        "A head must fit the buffer.",
        "X-A: " + "a" * 1100 + "\r\n\r\n",
        status=502,
        logs=("upstream sent too big header",),
        directives="X_buffer_size 1k; X_buffers 4 1k; X_busy_buffers_size 2k;",
    )
    for buffering in ("on", "off"):
        extra = f"X_buffering {buffering};"
        yield one(
            f"short-{buffering}",
            "A body shorter than its length is an error.",
            "Content-Length: 10\r\n" + HEAD + "hello",
            directives=extra,
            logs=(CLOSED,),
            script=(Send(GET), Expect("hello"), Signal("received")) if buffering == "off" else (),
            waits=(WaitFor("received"),) if buffering == "off" else (),
        )
        yield one(
            f"more-{buffering}",
            "A body longer than its length is cut.",
            "Content-Length: 5\r\n" + HEAD + "hello!",
            directives=extra,
            logs=("upstream sent more data than specified in",),
        )
        yield one(
            f"to-end-{buffering}",
            "A body without length ends with the connection.",
            HELLO,
            directives=extra,
        )
    yield one(
        "variable",
        "The address may contain variables.",
        directives="set $to PEER;",
        address="$to",
    )
    yield one(
        "no-port",
        "An address in a variable needs a port.",
        directives="set $to 127.0.0.1;",
        address="$to",
        status=500,
        logs=('no port in upstream "127.0.0.1"',),
    )
    cache = f"X_cache {module}z; X_cache_key $request_uri; add_header X-C $upstream_cache_status;"
    for name, sent in (("line", "HTTP/1.1 200 OK\r\n"), ("field", "Status: 200 OK\r\n")):
        yield one(
            f"cached-{name}",
            "Responses are stored with their heads.",
            sent + HEAD + "hello\n",
            directives=cache + "X_cache_valid 1h;",
            requests=two,
            status=(200, 200),
            awaits="HTTP_HOST",
        )
    yield one(
        "cached-fields",
        "Conditions are not passed if the response is to be stored.",
        directives=cache + "X_cache_valid 1h;",
        requests=(get("Range: bytes=0-1", "If-None-Match: a", "If-Modified-Since: b"),),
    )


def together() -> Iterator[Scenario]:
    yield Scenario(
        "last-pass",
        "If several modules are to pass the requests of a location, the last one does.",
        "uwsgi_pass PEER; proxy_pass http://PEER; scgi_pass PEER;",
        (server("scgi"),),
        proxy_pass="none",
    )
    yield Scenario(
        "in-if",
        "An if passes requests as its location does.",
        "scgi_pass PEER; if ($arg_a) { set $b c; }",
        (server("scgi"),),
        proxy_pass="none",
        requests=(get(path="PATH?a=1"),),
    )
    yield Scenario(
        "other-in-if",
        "An if may pass requests by another module.",
        "uwsgi_pass 127.0.0.1:1; if ($arg_a) { scgi_pass PEER; }",
        (server("scgi"),),
        proxy_pass="none",
        requests=(get(path="PATH?a=1"),),
    )


def uwsgi() -> Iterator[Scenario]:
    yield passed(
        "uwsgi",
        "modifiers",
        "The modifiers are in the header of the packet.",
        directives="uwsgi_modifier1 5; uwsgi_modifier2 255;",
    )
    yield passed(
        "uwsgi",
        "string",
        "uwsgi_string follows the parameters.",
        directives="uwsgi_string tail;",
    )
    yield passed("uwsgi", "scheme", "The address may have a scheme.", address="uwsgi://PEER")
    yield passed(
        "uwsgi",
        "variable-scheme",
        "An address with variables may have a scheme.",
        directives="set $to UWSGI://PEER;",
        address="$to",
    )
    yield passed("uwsgi", "tls", "suwsgi speaks TLS.", address="suwsgi://PEER", tls=TLS())
    yield passed(
        "uwsgi",
        "tls-name",
        "uwsgi_ssl_server_name sends the name.",
        address="suwsgi://PEER",
        tls=TLS(),
        directives="uwsgi_ssl_server_name on; uwsgi_ssl_name a.test;",
        sni="a.test",
    )
    yield passed(
        "uwsgi",
        "tls-verify",
        "uwsgi_ssl_verify verifies the certificate.",
        address="suwsgi://PEER",
        tls=TLS(),
        directives="uwsgi_ssl_verify on; uwsgi_ssl_trusted_certificate front.pem;",
        status=502,
        logs=("upstream SSL certificate verify error: (21)",),
    )
    yield passed(
        "uwsgi",
        "too-many",
        "A packet of more than 65535 bytes is an error.",
        directives="".join(f"uwsgi_param A{n} {'v' * 4000}; " for n in range(17)),
        status=500,
        logs=("uwsgi request is too big: ",),
    )


TABLE = Table(
    "gateways",
    (*shared("uwsgi"), *shared("scgi"), *uwsgi(), *together()),
    before="uwsgi_cache_path uwsgi_cache keys_zone=uwsgiz:1m;"
    " scgi_cache_path scgi_cache keys_zone=scgiz:1m;",
)
