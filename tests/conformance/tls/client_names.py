"""SNI beside Host: which server a connection and its requests come to, and 421."""

from __future__ import annotations

from collections.abc import Iterator

from sniproxy.testing.client import ClientTLSOptions
from tests.conformance.scenario import Scenario, Table, get
from tests.conformance.tls.client_verification import server

MISDIRECTED = (
    "client attempted to request the server name different from the one that was negotiated"
    " while reading client request headers"
)
MISDIRECTED_BY_LINE = MISDIRECTED.replace("headers", "line")
LOST = "client sent no required SSL certificate while reading client request headers"
ALONE, SECOND, REFUSING = "127.0.0.2", "127.0.0.3", "127.0.0.4"


def raw(line: str, *fields: str) -> str:
    return "\r\n".join([line, *fields, "", ""])


HOSTS: tuple[tuple[str, str | None, str, int, str | None], ...] = (
    ("same", "on.test", "on.test", 400, LOST),
    ("same-upper-case", "ON.test", "on.TEST:443", 400, LOST),
    ("same-dots", "on.test.", "on.test.", 400, LOST),
    ("from-lax-to-strict", "off.test", "on.test", 421, MISDIRECTED),
    ("from-lax-to-optional", "off.test", "optional.test", 421, MISDIRECTED),
    ("from-strict-to-lax", "on.test", "off.test", 200, None),
    ("from-strict-to-strict", "on.test", "optional.test", 421, MISDIRECTED),
    ("from-default-to-strict", "front.test", "on.test", 421, MISDIRECTED),
    ("from-strict-to-unknown", "on.test", "unknown.test", 200, None),
    ("from-unknown-to-strict", "unknown.test", "on.test", 400, LOST),
    ("without-to-strict", None, "on.test", 400, LOST),
    ("without-to-optional", None, "optional.test", 200, None),
    ("wildcard-same", "a.wild.test", "a.wild.test", 400, LOST),
    ("wildcard-other", "a.wild.test", "b.wild.test", 421, MISDIRECTED),
    ("regex-same", "x1.regex.test", "x1.regex.test", 400, LOST),
    ("regex-other", "x1.regex.test", "x2.regex.test", 421, MISDIRECTED),
    ("from-lax-to-wildcard", "off.test", "a.wild.test", 421, MISDIRECTED),
)
"""Name, SNI, Host, status, and how the log line begins."""

RAW: tuple[tuple[str, str, int, str], ...] = (
    ("absolute", raw("GET http://on.test/ HTTP/1.1", "Host: off.test"), 421, MISDIRECTED_BY_LINE),
    ("referrer-before", raw("GET / HTTP/1.1", "Referer: a", "Host: on.test"), 421, MISDIRECTED),
    ("referrer-behind", raw("GET / HTTP/1.1", "Host: on.test", "Referer: a"), 421, MISDIRECTED),
    ("bad-line-behind", raw("GET / HTTP/1.1", "Host: on.test", "bad"), 421, MISDIRECTED),
    (
        "bad-line-before",
        raw("GET / HTTP/1.1", ": bad", "Host: on.test"),
        400,
        'client sent invalid header line: "\\x3a..."',
    ),
    (
        "body-behind",
        raw("POST / HTTP/1.1", "Host: on.test", "Content-Length: 1") + "x",
        421,
        MISDIRECTED,
    ),
    (
        "keep-alive",
        raw("GET / HTTP/1.1", "Connection: keep-alive", "Host: on.test"),
        421,
        MISDIRECTED,
    ),
    ("no-host", raw("GET / HTTP/1.1"), 400, 'client sent HTTP/1.1 request without "Host" header'),
    (
        "bad-method",
        raw("bad / HTTP/1.1"),
        400,
        "client sent invalid method while reading client request line",
    ),
)
"""From off.test: what is sent, the status, and how the log line begins."""


def scenario(
    name: str,
    rule: str,
    sni: str | None,
    sends: str,
    status: int,
    log: str | None,
    *,
    address: str = "127.0.0.1",
) -> Scenario:
    return Scenario(
        name,
        rule,
        "return 204;",
        (),
        proxy_pass="none",
        requests=(sends,),
        tls=ClientTLSOptions(sni, address=address),
        status=status,
        logs=(log,) if log else (),
    )


def by_host() -> Iterator[Scenario]:
    for name, sni, host, status, log in HOSTS:
        yield scenario(
            name,
            "A Host whose server requests certificates must equal an SNI that names a server.",
            sni,
            get(path="/", host=host),
            status,
            log,
        )
    for name, sends, status, log in RAW:
        yield scenario(
            name,
            "A mismatched Host is rejected as soon as it is read, by the server of the SNI.",
            "off.test",
            sends,
            status,
            log,
        )


ADDRESSES = (
    scenario(
        "alone-other",
        "A single server accepts any Host.",
        "alone.test",
        get(path="/", host="other.test"),
        400,
        LOST,
        address=ALONE,
    ),
    scenario(
        "alone-unknown",
        "A single server accepts any SNI.",
        "other.test",
        get(path="/", host="alone.test"),
        400,
        LOST,
        address=ALONE,
    ),
    scenario(
        "default-strict",
        "An unknown Host is served by the default server.",
        "lax.test",
        get(path="/", host="unknown.test"),
        421,
        MISDIRECTED,
        address=SECOND,
    ),
    scenario(
        "default-1.0",
        "A request without Host is served by the default server.",
        "lax.test",
        raw("GET / HTTP/1.0"),
        421,
        MISDIRECTED,
        address=SECOND,
    ),
    scenario(
        "default-0.9",
        "An HTTP/0.9 request is served by the default server.",
        "lax.test",
        "GET /\r\n",
        0,
        MISDIRECTED_BY_LINE,
        address=SECOND,
    ),
    scenario(
        "default-unknown",
        "If the SNI names no server, the Host may be a different name.",
        "unknown.test",
        get(path="/", host="lax.test"),
        200,
        None,
        address=SECOND,
    ),
    scenario(
        "bare",
        "A server without a certificate presents that of the default server.",
        "bare.test",
        get(path="/", host="bare.test"),
        200,
        None,
        address=SECOND,
    ),
    scenario(
        "bare-upper",
        "A Host can choose a server without a certificate, after a handshake with the default one.",
        None,
        get(path="/", host="bare.test"),
        200,
        None,
        address=SECOND,
    ),
)


def rejected(name: str, rule: str, sni: str | None, address: str) -> Scenario:
    return Scenario(
        name,
        rule,
        "return 204;",
        (),
        proxy_pass="none",
        requests=(get(path="/", host="x"),),
        tls=ClientTLSOptions(sni, address=address),
        status=(),
        logs=("handshake rejected while SSL handshaking, client: 127.0.0.1, server: 127.0.0.",),
    )


REJECTED = (
    rejected(
        "rejected",
        "ssl_reject_handshake rejects handshakes for the names of its server.",
        "reject.test",
        "127.0.0.1",
    ),
    rejected(
        "rejected-with-certificate",
        "ssl_reject_handshake rejects handshakes even if the server has a certificate.",
        "reject-too.test",
        "127.0.0.1",
    ),
    rejected(
        "rejected-default",
        "ssl_reject_handshake in the default server rejects unknown names.",
        "unknown.test",
        REFUSING,
    ),
    rejected(
        "rejected-without-sni",
        "ssl_reject_handshake in the default server rejects clients without SNI.",
        None,
        REFUSING,
    ),
    rejected(
        "rejected-itself",
        "ssl_reject_handshake in the default server rejects its own name.",
        "refusing.test",
        REFUSING,
    ),
    rejected(
        "rejected-bad-name",
        "ssl_reject_handshake in the default server rejects an SNI that is not a host name.",
        "a/b.test",
        REFUSING,
    ),
    scenario(
        "not-rejected",
        "ssl_reject_handshake does not affect the other servers of the address.",
        "open.test",
        get(path="/", host="open.test"),
        200,
        None,
        address=REFUSING,
    ),
    scenario(
        "host-of-rejected",
        "A Host may name a server that rejects handshakes.",
        "open.test",
        get(path="/", host="refusing.test"),
        200,
        None,
        address=REFUSING,
    ),
)

STRICT = "ssl_verify_client on; ssl_client_certificate client-root.pem;"
BARE = 'return 200 "$server_name";'

TABLE = Table(
    "client-names",
    (*by_host(), *ADDRESSES, *REJECTED),
    server="location / { return 200 $server_name; }",
    http="".join(
        (
            server("off.test", ""),
            server("on.test", STRICT),
            server("*.wild.test", STRICT),
            server(r"~^x\d\.regex\.test$", STRICT),
            server("optional.test", STRICT.replace(" on;", " optional;")),
            "server { listen FRONT_TLS ssl; server_name reject.test; ssl_reject_handshake on; }",
            server("reject-too.test", "ssl_reject_handshake on;"),
            server("alone.test", STRICT, f"{ALONE}:TLS_PORT ssl"),
            server("strict.test", STRICT, f"{SECOND}:TLS_PORT ssl"),
            server("lax.test", "", f"{SECOND}:TLS_PORT ssl"),
            f"server {{ listen {SECOND}:TLS_PORT ssl; server_name bare.test; {BARE} }}",
            f"server {{ listen {REFUSING}:TLS_PORT ssl; server_name refusing.test;"
            f" ssl_reject_handshake on; {BARE} }}",
            server("open.test", "", f"{REFUSING}:TLS_PORT ssl"),
        )
    ),
)
