"""Sessions of clients: what is resumed, what is not, and where none crosses over.

nginx lets a session cross to another server that has the same certificate and names the same
authorities to clients; here none does, so such pairs do not stand in this table.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from sniproxy.testing.client import ClientTLSOptions
from sniproxy.testing.upstreams.catalog import TLS12, TLS13
from tests.conformance.scenario import Scenario, Table, get

FACTS = "$server_name $ssl_session_reused $ssl_client_verify $ssl_client_s_dn $ssl_protocol"
VERSIONS = {"1.2": TLS12, "1.3": TLS13}
STRICT = "ssl_verify_client on; ssl_client_certificate client-root.pem;"

# Address, the directives of its default server, and whether a session is resumed.
CACHES: tuple[tuple[str, str, bool], ...] = (
    ("127.0.0.2", "ssl_session_cache none;", True),
    ("127.0.0.3", "ssl_session_cache off;", True),
    ("127.0.0.4", "ssl_session_cache builtin;", True),
    ("127.0.0.5", "ssl_session_cache shared:one:1m;", True),
    ("127.0.0.6", "ssl_session_tickets off;", False),
    ("127.0.0.7", "ssl_session_tickets off; ssl_session_cache off;", False),
    ("127.0.0.8", "ssl_session_tickets off; ssl_session_cache builtin;", True),
    ("127.0.0.9", "ssl_session_tickets off; ssl_session_cache builtin:10;", True),
    ("127.0.0.10", "ssl_session_tickets off; ssl_session_cache shared:two:1m;", True),
    ("127.0.0.11", "ssl_session_tickets off; ssl_session_cache builtin:10 shared:three:1m;", True),
    ("127.0.0.12", "ssl_session_tickets off; ssl_session_cache shared:four:1m none;", False),
    ("127.0.0.13", "ssl_session_timeout 1d;", True),
)


def meetings(
    name: str,
    rule: str,
    tls: ClientTLSOptions,
    resumed: bool,
    *,
    status: int = 200,
    logs: tuple[str, ...] = (),
    host: str | None = None,
) -> Scenario:
    """Two connections, the second one with the session of the first."""
    host = host or tls.next_server_name or tls.server_name or "x"
    return Scenario(
        name,
        rule,
        "return 204;",
        (),
        proxy_pass="none",
        requests=(get(path="/", host=host),),
        tls=tls,
        repeat=2,
        status=(status, status),
        resumed=(False, resumed),
        logs=logs,
    )


def client(
    version: ssl.TLSVersion, name: str | None = None, **others: str | None
) -> ClientTLSOptions:
    return ClientTLSOptions(name, min_version=version, max_version=version, resume=True, **others)  # type: ignore[arg-type]


def caches() -> Iterator[Scenario]:
    for number, version in VERSIONS.items():
        for address, output, resumed in CACHES:
            yield meetings(
                f"{address.rpartition('.')[2]}-{number}",
                f"{output} a session is {'' if resumed else 'not '}resumed",
                client(version, address=address),
                resumed,
            )


def servers() -> Iterator[Scenario]:
    for number, version in VERSIONS.items():
        yield meetings(
            f"same-{number}",
            "a session of a server that an SNI names",
            client(version, "second.test"),
            True,
        )
        yield meetings(
            f"other-certificate-{number}",
            "none crosses to a server with another certificate",
            client(version, "second.test", next_server_name="front.test"),
            False,
        )
        yield meetings(
            f"unnamed-{number}",
            "the default server's session is taken with its name",
            client(version, None, next_server_name="front.test"),
            True,
        )
        yield meetings(
            f"unknown-{number}",
            "and with an unknown one",
            client(version, "front.test", next_server_name="unknown.test"),
            True,
        )


def verified() -> Iterator[Scenario]:
    error = "client SSL certificate verify error: (18:) while reading client request headers"
    missing = "client sent no required SSL certificate while reading client request headers"
    for number, version in VERSIONS.items():
        yield meetings(
            f"verified-{number}",
            "a resumed session brings the client's certificate along",
            client(version, "strict.test", certificate="client"),
            True,
        )
        yield meetings(
            f"refused-{number}",
            "and what was wrong with it",
            client(version, "strict.test", certificate="self-signed"),
            True,
            status=400,
            logs=(error, error),
        )
        yield meetings(
            f"missing-{number}",
            "and that there was none",
            client(version, "strict.test"),
            True,
            status=400,
            logs=(missing, missing),
        )
        yield meetings(
            f"other-authority-{number}",
            "no session crosses to a server that asks for another authority",
            client(version, "strict.test", certificate="client", next_server_name="stranger.test"),
            False,
            host="front.test",
        )


def server(name: str, directives: str, listen: str, certificate: str = "good") -> str:
    return f"""
    server {{
        listen {listen};
        server_name {name};
        ssl_certificate {certificate}.pem;
        ssl_certificate_key {certificate}.key;
        {directives}
        location / {{ return 200 "{FACTS}"; }}
    }}
"""


OPTIONAL = "ssl_verify_client optional_no_ca; ssl_client_certificate stranger.pem;"

TABLE = Table(
    "client-sessions",
    (*caches(), *servers(), *verified()),
    server=f'location / {{ return 200 "{FACTS}"; }}',
    http="".join(
        (
            *(server("x", output, f"{address}:TLS_PORT ssl") for address, output, _ in CACHES),
            server("second.test", "", "FRONT_TLS ssl", "second"),
            server("strict.test", STRICT, "FRONT_TLS ssl"),
            server("stranger.test", OPTIONAL, "FRONT_TLS ssl"),
        )
    ),
)
