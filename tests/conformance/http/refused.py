"""Heads that are refused: their pages, their fields, and what their access lines know of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from tests.conformance.scenario import Scenario, Table

HOST = "Host: {}\r\n"

BAD_LINES = {
    "method": "get /a?b HTTP/1.1\r\n",
    "method-cut": "GE",
    "no-path": "GET a HTTP/1.1\r\n",
    "version": "GET /a?b HTTP/2.0\r\n",
    "version-text": "GET /a?b HTTX/1.1\r\n",
    "host-in-line": "GET http://a_b!/a?b HTTP/1.1\r\n",
    "bad-uri": "GET /../a?b HTTP/1.1\r\n",
    "bad-escape": "GET /%zz?b HTTP/1.1\r\n",
    "too-long": f"GET /{'a' * 9000}?b HTTP/1.1\r\n",
    "nul": "GET /\0?b HTTP/1.1\r\n",
    "tls": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
    "old-post": "POST /a\r\n",
}
BAD_FIELDS = {
    "no-host": "X: y\r\n\r\n",
    "bad-host": "X: y\r\nHost: a b\r\nY: z\r\n\r\n",
    "two-hosts": HOST + "Host: b.test\r\n\r\n",
    "bad-name": HOST + "bad name: x\r\n\r\n",
    "bad-name-before-host": "bad name: x\r\n" + HOST + "\r\n",
    "bad-length": HOST + "Content-Length: x\r\n\r\n",
    "two-lengths": HOST + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "encoding": HOST + "Transfer-Encoding: gzip\r\n\r\n",
    "too-large": HOST + f"X: {'x' * 9000}\r\n\r\n",
    "too-large-unread": HOST + f"X: {'x' * 9000}\r\nY: {'y' * 20000}\r\n\r\n",
    "too-many": HOST + "".join(f"X-{n}: y\r\n" for n in range(1001)) + "\r\n",
    "referrer": HOST + "Referer: http://r.test/\r\nUser-Agent: me\r\nAuthorization: Basic dTpw\r\n"
    "bad name: x\r\n\r\n",
}
LINES = {"get": "GET /path/x?query=1 HTTP/1.1\r\n", "post": "POST http://{}/abs HTTP/1.1\r\n"}
CUT = {
    "line": "GET /a?b HT",
    "line-ended": "GET /a?b HTTP/1.1\r\n",
    "field": "GET /a?b HTTP/1.1\r\nX: y",
    "host": "GET /a?b HTTP/1.1\r\n" + HOST + "X: y\r\n",
    "host-and-part": "GET /a?b HTTP/1.1\r\n" + HOST + "Referer: z\r\nX: y",
    "in-line": "GET http://{}/a?b HTTP/1.1\r\nX: y",
}


STATUSES = {
    r"line-version": 505,
    r"line-too-long": 414,
    r"line-old-post|line-(method-)?cut": 0,
    r"paged-\w+-encoding": 302,
    r"paged-(\w+-too-.*|trace)": 200,
    r"\w+-\w+-encoding": 501,
    r"\w+-(conne|trace)": 405,
}
"""The answers to scenarios of these names; all others are 400."""


def refused(name: str, text: str, *, half_close: bool = False) -> Scenario:
    status = next((s for names, s in STATUSES.items() if re.fullmatch(names, name)), 400)
    return Scenario(
        name,
        "Variables of a rejected request have what was read before the error.",
        "",
        (),
        proxy_pass="none",
        requests=(text,),
        half_close=half_close,
        status=0 if half_close else status,
        access_log_lines=1,
        logs=("",),
    )


def heads() -> Iterator[Scenario]:
    for name, line in BAD_LINES.items():
        rest = "Host: known.test\r\n\r\n" if line.endswith("\n") else ""
        yield refused(f"line-{name}", line + rest, half_close=not rest)
    for host in ("unknown.test", "known.test", "paged.test"):
        short = host.partition(".")[0]
        for kind, line in LINES.items():
            for name, fields in BAD_FIELDS.items():
                yield refused(f"{short}-{kind}-{name}", (line + fields).replace("{}", host))
        for method in ("CONNECT a.test:80", "TRACE /a?b"):
            yield refused(
                f"{short}-{method[:5].lower()}", f"{method} HTTP/1.1\r\nHost: {host}\r\n\r\n"
            )
        for name, text in CUT.items():
            yield refused(f"cut-{short}-{name}", text.replace("{}", host), half_close=True)
    for name in ("bad-name", "bad-length"):
        text = (LINES["get"] + BAD_FIELDS[name]).replace("{}", "proxied.test")
        logs = ("client sent invalid", "client 127.0.0.1 closed keepalive connection")
        yield replace(refused(f"proxied-{name}", text), access_log_lines=2, logs=logs)


NAMES = (
    "status",
    "uri",
    "args",
    "request_uri",
    "request_length",
    "server_protocol",
    "request",
    "request_method",
    "host",
    "server_name",
    "http_host",
    "http_x",
    "http_referer",
    "http_user_agent",
    "remote_user",
    "body_bytes_sent",
    "bytes_sent",
    "is_args",
    "scheme",
    "connection_requests",
    "request_completion",
    "content_length",
    "document_root",
    "request_filename",
    "sent_http_content_type",
    "sent_http_content_length",
    "sent_http_connection",
    "sent_http_x_always",
)
FACTS = "|".join(f"${name}" for name in NAMES)


def server(names: str, directives: str, listen: str = "FRONT") -> str:
    return f"""
    server {{
        listen {listen};
        server_name {names};
        access_log access.log facts;
        add_header X-Always $status-$uri always;
        {directives}
        location / {{ return 200 "$uri $args $request_uri"; }}
    }}
"""


PAGES = """
    error_page 400 /bad;
    error_page 405 414 = /refused;
    error_page 494 =200 @large;
    error_page 501 http://elsewhere.test/;
    location = /bad { add_header X-Page bad always; return 200 "bad $status $uri $args\\n"; }
    location = /refused { return 200 "refused $status $uri $request_uri $request_method\\n"; }
    location @large { return 200 "large $status $uri\\n"; }
"""

UP = "error_page 400 /up; location = /up { proxy_pass http://FRONT; }"

TABLE = Table(
    "refused",
    tuple(heads()),
    http=f"""
    log_format facts '{FACTS}';
    {server("default.test", "", "FRONT default_server")}
    {server("known.test", "server_tokens off;")}
    {server("paged.test", PAGES)}
    {server("proxied.test", UP)}
""",
)
