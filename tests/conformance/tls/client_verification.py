"""`ssl_verify_client`: what a client's certificate means to its request."""

from __future__ import annotations

from collections.abc import Iterator

from sniproxy.testing.client import ClientTLSOptions
from sniproxy.testing.upstreams import catalog
from tests.conformance.scenario import Scenario, Table, get

FACTS = "$server_name $ssl_client_verify $ssl_client_s_dn"
UNKNOWN_AUTHORITY = (18, 19, 20, 21)

CLIENTS: tuple[tuple[str, str | None, int], ...] = (
    ("none", None, 0),
    ("client", "client", 0),
    ("strange", "client-stranger", 21),
    ("self-signed", "self-signed", 18),
    ("with-strange-root", "untrusted-with-root", 19),
    ("expired", "client-expired", 10),
    ("deep", "client-deep", 0),
    ("incomplete", "client-alone", 21),
)
"""What is called so shows that certificate, with X509_V_ERR_… to `client-root`."""

SERVERS: dict[str, str] = {
    "on.test": "ssl_verify_client on; ssl_client_certificate client-root.pem;",
    "trusting.test": "ssl_verify_client on; ssl_trusted_certificate client-root.pem;",
    "optional.test": "ssl_verify_client optional; ssl_client_certificate client-root.pem;",
    "any.test": "ssl_verify_client optional_no_ca; ssl_client_certificate client-root.pem;",
    "any-without-authority.test": "ssl_verify_client optional_no_ca;",
    "off.test": "ssl_verify_client off; ssl_client_certificate client-root.pem;",
    "depth-0.test": "ssl_verify_client on; ssl_client_certificate client-root.pem; "
    "ssl_verify_depth 0;",
    "depth-2.test": "ssl_verify_client on; ssl_client_certificate client-root.pem; "
    "ssl_verify_depth 2;",
    "both.test": "ssl_verify_client on; ssl_client_certificate client-root.pem; "
    "ssl_trusted_certificate stranger.pem;",
    "crl.test": "ssl_verify_client on; ssl_client_certificate root.pem; ssl_crl one-revoked.crl;",
    "old-crl.test": "ssl_verify_client on; ssl_client_certificate root.pem; ssl_crl old.crl;",
    "strange-crl.test": "ssl_verify_client on; ssl_client_certificate root.pem; "
    "ssl_crl strange.crl;",
    "any-crl.test": "ssl_verify_client optional_no_ca; ssl_client_certificate root.pem; "
    "ssl_crl one-revoked.crl;",
}


def server(name: str, directives: str, listen: str = "FRONT_TLS ssl") -> str:
    return f"""
    server {{
        listen {listen};
        server_name {name};
        ssl_certificate good.pem;
        ssl_certificate_key good.key;
        {directives}
        location / {{ return 200 "{FACTS}"; }}
    }}
"""


def meeting(
    name: str,
    rule: str,
    tls: ClientTLSOptions,
    result: int | None,
    *,
    host: str | None = None,
    request: str = "",
) -> Scenario:
    """`result` is what the log tells: None nothing, -1 a missing certificate, else X509_V_ERR."""
    if result is None:
        logs: tuple[str, ...] = ()
    elif result < 0:
        logs = ("client sent no required SSL certificate while reading client request headers",)
    else:
        words = f"client SSL certificate verify error: ({result}:)"
        logs = (f"{words} while reading client request headers",)
    return Scenario(
        name,
        rule,
        "return 204;",
        (),
        proxy_pass="none",
        requests=(request or get(path="/", host=host or tls.server_name or ""),),
        tls=tls,
        status=200 if result is None else 400,
        logs=logs,
    )


def judged(mode: str, certificate: str | None, error: int) -> int | None:
    """What comes of a certificate with `error` under `ssl_verify_client MODE`."""
    if error and not (mode == "optional_no_ca" and error in UNKNOWN_AUTHORITY):
        return error
    return -1 if mode == "on" and certificate is None else None


def by_mode() -> Iterator[Scenario]:
    modes = (
        ("on.test", "on"),
        ("trusting.test", "on"),
        ("optional.test", "optional"),
        ("any.test", "optional_no_ca"),
    )
    for host, mode in modes:
        for name, certificate, error in CLIENTS:
            yield meeting(
                f"{host.removesuffix('.test')}-{name}",
                f"ssl_verify_client {mode}, a client that shows {certificate or 'nothing'}",
                ClientTLSOptions(host, certificate=certificate),
                judged(mode, certificate, error),
            )
    for name, certificate, error in CLIENTS:
        if error in (0, 10, 18):
            yield meeting(
                f"on-{name}-1.2",
                f"the same in TLS 1.2 for {certificate or 'nothing'}",
                ClientTLSOptions("on.test", certificate=certificate, max_version=catalog.TLS12),
                judged("on", certificate, error),
            )


def others() -> Iterator[Scenario]:
    yield meeting(
        "off-client", "ssl_verify_client off asks for none", ClientTLSOptions("off.test"), None
    )
    yield meeting(
        "off-refused",
        "under ssl_verify_client off a certificate is not asked for, so it does not count",
        ClientTLSOptions("off.test", certificate="self-signed"),
        None,
    )
    for name, certificate, result in (
        ("client", "client", None),
        ("strange", "client-stranger", None),
        ("none", None, None),
        ("expired", "client-expired", 10),
    ):
        yield meeting(
            f"without-authority-{name}",
            "optional_no_ca needs no authority",
            ClientTLSOptions("any-without-authority.test", certificate=certificate),
            result,
        )
    for depth, result in ((0, 20), (2, None)):
        yield meeting(
            f"depth-{depth}",
            "ssl_verify_depth counts the intermediates that a chain may have",
            ClientTLSOptions(f"depth-{depth}.test", certificate="client-deep"),
            result,
        )
    for name, certificate, result in (
        ("client", "client", None),
        ("strange", "client-stranger", None),
        ("self-signed", "self-signed", 18),
    ):
        yield meeting(
            f"both-{name}",
            "authorities of ssl_client_certificate and ssl_trusted_certificate count alike",
            ClientTLSOptions("both.test", certificate=certificate),
            result,
        )
    for host, certificate, result in (
        ("crl.test", "good", None),
        ("crl.test", "revoked", 23),
        ("crl.test", "client", 21),
        ("old-crl.test", "good", 12),
        ("strange-crl.test", "good", 3),
        ("any-crl.test", "revoked", 23),
    ):
        yield meeting(
            f"{host.removesuffix('.test')}-{certificate}",
            "ssl_crl revokes, and has to be there and in force",
            ClientTLSOptions(host, certificate=certificate),
            result,
        )
    for name, certificate in (("none", None), ("client", "client")):
        yield meeting(
            f"default-{name}",
            "without an SNI the certificate is not asked for where the default server asks none, "
            "and the server of the Host judges",
            ClientTLSOptions(None, certificate=certificate),
            -1,
            host="on.test",
        )
    yield meeting(
        "address-none",
        "a default server that verifies asks without an SNI too",
        ClientTLSOptions(None, address="127.0.0.2"),
        -1,
        host="strict.test",
    )
    yield meeting(
        "address-client",
        "a default server that verifies takes a certificate without an SNI",
        ClientTLSOptions(None, certificate="client", address="127.0.0.2"),
        None,
        host="strict.test",
    )
    yield meeting(
        "address-off",
        "a name on that address that does not verify asks for none",
        ClientTLSOptions("lax.test", address="127.0.0.2"),
        None,
    )
    yield meeting(
        "address-lax-without-sni",
        "the Host may name a server that does not verify",
        ClientTLSOptions(None, certificate="self-signed", address="127.0.0.2"),
        None,
        host="lax.test",
    )
    yield Scenario(
        "kept",
        "each request of a connection is judged",
        "return 204;",
        (),
        proxy_pass="none",
        requests=(
            "GET / HTTP/1.1\r\nHost: optional.test\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: lax.test\r\n\r\n",
            get(path="/", host="optional.test"),
        ),
        tls=ClientTLSOptions(None, address="127.0.0.2"),
        status=(200, 200, 200),
    )
    yield Scenario(
        "plain",
        "plain HTTP on the TLS port is told before a missing certificate",
        "return 204;",
        (),
        proxy_pass="none",
        requests=(get(path="/", host="on.test"),),
        plain_to_tls_port=True,
        status=400,
        logs=("client sent plain HTTP request to HTTPS port while reading client request headers",),
    )
    yield meeting(
        "http-1.0",
        "a request of HTTP/1.0 without a Host is for the default server",
        ClientTLSOptions(None, address="127.0.0.2"),
        -1,
        request="GET / HTTP/1.0\r\n\r\n",
    )
    yield Scenario(
        "http-0.9",
        "a refusal of HTTP/0.9 is its page alone",
        "return 204;",
        (),
        proxy_pass="none",
        requests=("GET /\r\n",),
        tls=ClientTLSOptions(None, address="127.0.0.2"),
        status=0,
        logs=("client sent no required SSL certificate while reading client request",),
    )


STRICT = "ssl_verify_client on; ssl_client_certificate client-root.pem;"
LISTEN = "127.0.0.2:TLS_PORT ssl"

TABLE = Table(
    "client-verification",
    (*by_mode(), *others()),
    http="".join(
        [server(name, output) for name, output in SERVERS.items()]
        + [
            server("strict.test", STRICT, LISTEN),
            server("lax.test", "", LISTEN),
            server("optional.test", SERVERS["optional.test"], LISTEN),
        ]
    ),
)
