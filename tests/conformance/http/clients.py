"""TLS towards the client: certificate by SNI, what goes wrong in its handshake."""

from __future__ import annotations

from sniproxy.testing.client import ClientTLSOptions
from sniproxy.testing.upstreams import catalog
from tests.conformance.scenario import GET, Scenario, Table, get, request

KEEP = "GET PATH HTTP/1.1\r\nHost: front.test\r\n\r\n"
HANDSHAKING = " while SSL handshaking, client: 127.0.0.1, server: 127.0.0.1:"
RETURN = "return 200 $scheme;"


def asking(name: str, rule: str, tls: ClientTLSOptions, sends: str = GET) -> Scenario:
    """A client whose answer and certificate tell where it has come to."""
    return Scenario(name, rule, RETURN, (), proxy_pass="none", requests=(sends,), tls=tls)


SCENARIOS = (
    asking("tls-1.2", "TLS 1.2 is spoken", ClientTLSOptions(max_version=catalog.TLS12)),
    asking("tls-1.3", "TLS 1.3 is spoken", ClientTLSOptions(min_version=catalog.TLS13)),
    asking("trusted", "the chain is sent", ClientTLSOptions(trusted_ca="root")),
    asking(
        "second-server",
        "SNI chooses the certificate, Host the server",
        ClientTLSOptions("second.test"),
        get(path="/", host="second.test"),
    ),
    asking(
        "wildcard-server",
        "SNI finds a server_name with a wildcard",
        ClientTLSOptions("a.b.second.test"),
        get(path="/", host="a.b.second.test"),
    ),
    asking(
        "upper-case",
        "SNI is compared without case",
        ClientTLSOptions("SECOND.test"),
        get(path="/", host="SECOND.test"),
    ),
    asking("no-sni", "without SNI the first server's certificate is shown", ClientTLSOptions(None)),
    asking("unknown-sni", "so it is with an unknown SNI", ClientTLSOptions("unknown.test")),
    asking(
        "sni-and-host",
        "the Host may be another than the SNI",
        ClientTLSOptions("front.test"),
        get(path="/", host="second.test"),
    ),
    Scenario(
        "keep-alive",
        "several requests on one TLS connection",
        RETURN,
        (),
        proxy_pass="none",
        requests=(KEEP, KEEP, GET),
        tls=ClientTLSOptions(),
    ),
    Scenario(
        "proxied",
        "TLS on both sides",
        "proxy_ssl_server_name on; proxy_ssl_name upstream.test;",
        tls=ClientTLSOptions(),
        requests=(request("POST", body="x" * 20000),),
        sni="upstream.test",
        logs=("a client request body is buffered to a temporary file",),
    ),
    Scenario(
        "name-passed-on",
        "the client's SNI may be the upstream's",
        "proxy_ssl_server_name on; proxy_ssl_name $ssl_server_name;",
        tls=ClientTLSOptions("unknown.test"),
        sni="unknown.test",
    ),
    Scenario(
        "bad-gateway",
        "a 502 over TLS",
        upstreams=(catalog.ABSENT,),
        tls=ClientTLSOptions(),
        status=502,
        logs=(catalog.ABSENT.expected_log,),
    ),
    Scenario(
        "distrusting",
        "a client that does not trust the certificate leaves a line at info",
        RETURN,
        (),
        proxy_pass="none",
        tls=ClientTLSOptions(trusted_ca="stranger"),
        status=(),
        logs=(
            "SSL_do_handshake() failed (SSL: error:0A000418:SSL routines::tlsv1 alert unknown ca:"
            f"SSL alert number 48){HANDSHAKING}",
        ),
    ),
    Scenario(
        "distrusting-1.2",
        "the same in TLS 1.2",
        RETURN,
        (),
        proxy_pass="none",
        tls=ClientTLSOptions(trusted_ca="stranger", max_version=catalog.TLS12),
        status=(),
        logs=(
            "SSL_do_handshake() failed (SSL: error:0A000418:SSL routines::tlsv1 alert unknown ca:"
            f"SSL alert number 48){HANDSHAKING}",
        ),
    ),
    Scenario(
        "plain-http",
        "plain HTTP on a TLS port gets a 400 page of its own",
        RETURN,
        (),
        proxy_pass="none",
        plain_to_tls_port=True,
        status=400,
        logs=("client sent plain HTTP request to HTTPS port while reading client request headers",),
    ),
    Scenario(
        "garbage",
        "what is neither TLS nor HTTP gets a 400 as well",
        RETURN,
        (),
        proxy_pass="none",
        plain_to_tls_port=True,
        requests=("\x01\x02\x03\r\n\r\n",),
        status=400,
        logs=("client sent invalid method while reading client request line",),
    ),
)

TABLE = Table(
    "clients",
    SCENARIOS,
    http="""
    server {
        listen FRONT_TLS ssl;
        server_name second.test *.second.test;
        ssl_certificate second.pem;
        ssl_certificate_key second.key;
        location / { return 200 "second $scheme"; }
    }
""",
)
