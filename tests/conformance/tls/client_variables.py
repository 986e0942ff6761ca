"""`$ssl_…`: every variable of the http ssl module, over each kind of connection."""

from __future__ import annotations

from collections.abc import Iterator

from sniproxy.testing.client import ClientTLSOptions
from sniproxy.testing.upstreams.catalog import TLS12, TLS13
from tests.conformance.scenario import Scenario, Table, get

VARIABLES = (
    "ssl_protocol",
    "ssl_cipher",
    "ssl_ciphers",
    "ssl_curve",
    "ssl_curves",
    "ssl_sigalg",
    "ssl_sigalgs",
    "ssl_session_reused",
    "ssl_early_data",
    "ssl_server_name",
    "ssl_alpn_protocol",
    "ssl_ech_status",
    "ssl_ech_outer_server_name",
    "ssl_client_cert",
    "ssl_client_raw_cert",
    "ssl_client_escaped_cert",
    "ssl_client_s_dn",
    "ssl_client_i_dn",
    "ssl_client_s_dn_legacy",
    "ssl_client_i_dn_legacy",
    "ssl_client_serial",
    "ssl_client_fingerprint",
    "ssl_client_verify",
    "ssl_client_v_start",
    "ssl_client_v_end",
    "ssl_client_v_remain",
    "ssl_client_sigalg",
    "https",
    "scheme",
)
"""All but `$ssl_session_id`, which no two connections share."""

PAGE = 'return 200 "' + "".join(f"{name}=${name}\\n" for name in VARIABLES) + '";'
LOGGED = "".join(f" {name}=${name}" for name in VARIABLES)


def rendered(name: str, rule: str, tls: ClientTLSOptions | None, **others: int) -> Scenario:
    host = (tls.server_name if tls else None) or "front.test"
    repeat = others.get("repeat", 1)
    return Scenario(
        name,
        rule,
        "return 204;",
        (),
        proxy_pass="none",
        tls=tls,
        repeat=repeat,
        requests=(get(path="/", host=host),),
    )


def connections() -> Iterator[Scenario]:
    yield rendered("plain", "without TLS there is none", None)
    for version, number in ((TLS12, "1.2"), (TLS13, "1.3")):
        yield rendered(
            f"tls-{number}",
            "of the handshake and of the hello",
            ClientTLSOptions("verifying.test", min_version=version, max_version=version),
        )
        for certificate in ("client", "client-odd", "client-deep", "self-signed", "client-alone"):
            yield rendered(
                f"{certificate}-{number}",
                "of the client's certificate",
                ClientTLSOptions(
                    "verifying.test",
                    certificate=certificate,
                    min_version=version,
                    max_version=version,
                ),
            )
        yield rendered(
            f"resumed-{number}",
            "of a session that is resumed",
            ClientTLSOptions(
                "verifying.test",
                certificate="client-odd",
                min_version=version,
                max_version=version,
                resume=True,
            ),
            repeat=2,
        )
        yield rendered(
            f"group-{number}",
            "of one group",
            ClientTLSOptions(
                "verifying.test", min_version=version, max_version=version, group="prime256v1"
            ),
        )
    yield rendered("no-sni", "without an SNI", ClientTLSOptions(None))
    yield rendered(
        "sni-as-sent", "the SNI is shown as it was sent", ClientTLSOptions("VERIFYING.test")
    )
    yield rendered("alpn", "with ALPN", ClientTLSOptions("verifying.test", alpn=("h2", "http/1.1")))
    yield rendered(
        "default", "clients of a server that does not verify", ClientTLSOptions("front.test")
    )
    yield rendered(
        "ciphers",
        "ciphers in the client's order",
        ClientTLSOptions(
            "verifying.test",
            max_version=TLS12,
            ciphers="ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-GCM-SHA256",
        ),
    )


TABLE = Table(
    "client-variables",
    tuple(connections()),
    server=f"location / {{ {PAGE} }}",
    http=f"""
    log_format all "{LOGGED}";
    server {{
        listen FRONT_TLS ssl;
        server_name verifying.test;
        ssl_certificate good.pem;
        ssl_certificate_key good.key;
        ssl_verify_client optional_no_ca;
        ssl_client_certificate client-root.pem;
        access_log access.log all;
        location / {{ {PAGE} }}
    }}
""",
)
