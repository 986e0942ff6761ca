"""`ssl_certificate` and its kin: several, encrypted ones, text in place of files, variables."""

from __future__ import annotations

from collections.abc import Iterator

from sniproxy.testing.client import ClientTLSOptions
from sniproxy.testing.upstreams.catalog import TLS12
from tests.conformance.scenario import Scenario, Table, get

HANDSHAKING = " while SSL handshaking, client: 127.0.0.1, server: 127.0.0."
NO_CERTIFICATE = (
    f"SSL_do_handshake() failed (SSL: error:0A000179:SSL routines::cert cb error){HANDSHAKING}"
)
FACTS = "$server_name $ssl_server_name"
CHAIN = (
    'ssl_certificate "data:CONTENT(deep-2.pem)"; ssl_certificate_key "data:CONTENT(deep-2.key)";'
)
PASSPHRASES = "ssl_password_file passphrases;"


def rendered(
    name: str, rule: str, tls: ClientTLSOptions, *, logs: tuple[str, ...] = ()
) -> Scenario:
    """A client that is told which certificate by its common name; with `logs` by none."""
    host = tls.server_name or "front.test"
    return Scenario(
        name,
        rule,
        "return 204;",
        (),
        proxy_pass="none",
        requests=(get(path="/", host=host),),
        tls=tls,
        status=() if logs else 200,
        logs=(*logs, NO_CERTIFICATE) if logs else (),
    )


def several() -> Iterator[Scenario]:
    for cipher in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"):
        for host in ("two.test", "two-reversed.test"):
            yield rendered(
                f"{host.removesuffix('.test')}-{cipher[6:9].lower()}",
                "of certificates with different kinds of keys the cipher chooses",
                ClientTLSOptions(host, max_version=TLS12, ciphers=cipher),
            )
    yield rendered(
        "two-1.3", "so do the client's signatures in TLS 1.3", ClientTLSOptions("two.test")
    )
    yield rendered(
        "doubled", "of two with the same kind the last one counts", ClientTLSOptions("doubled.test")
    )
    yield rendered(
        "chain",
        "intermediates are sent from the file",
        ClientTLSOptions("deep.test", trusted_ca="root"),
    )
    yield rendered(
        "chains", "each with its own", ClientTLSOptions("chains.test", trusted_ca="root")
    )
    yield rendered(
        "more-keys", "keys without a certificate do not count", ClientTLSOptions("more.test")
    )


def texts() -> Iterator[Scenario]:
    yield rendered("data", "the PEM itself behind data:", ClientTLSOptions("data.test"))
    yield rendered(
        "data-chain", "also with its chain", ClientTLSOptions("data-chain.test", trusted_ca="root")
    )
    yield rendered("encrypted", "ssl_password_file opens keys", ClientTLSOptions("encrypted.test"))


NAMED, FILE, KEY, LOCKED, BOTH, CACHED, VERIFYING = (f"127.0.0.{n}" for n in range(2, 9))
"""Servers whose certificates are called as the SNI is."""


def by_variables() -> Iterator[Scenario]:
    for name in ("front", "second", "deep-2"):
        yield rendered(
            f"named-{name}",
            "variables name certificate and key for each handshake",
            ClientTLSOptions(name, trusted_ca="root", address=NAMED),
        )
    for name, sni, address, log in (
        ("missing", "nix", NAMED, "cannot load certificate"),
        ("missing-key", "root", NAMED, "cannot load certificate key"),
        ("no-certificate", "passphrases", FILE, "cannot load certificate"),
        ("other-key", "second", KEY, "SSL_use_PrivateKey("),
        ("locked", "client-encrypted", KEY, "cannot load certificate key"),
        ("empty", None, NAMED, "cannot load certificate"),
    ):
        yield rendered(
            name,
            "a certificate that does not load is told, and the handshake fails",
            ClientTLSOptions(sni, address=address),
            logs=(log,),
        )
    yield rendered(
        "key-only",
        "a variable in the key makes templates of both",
        ClientTLSOptions("front", address=KEY),
    )
    yield rendered(
        "named-encrypted",
        "the passphrases hold for them too",
        ClientTLSOptions("client", address=LOCKED),
    )
    for cipher in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"):
        yield rendered(
            f"named-two-{cipher[6:9].lower()}",
            "several may be named",
            ClientTLSOptions("front", max_version=TLS12, ciphers=cipher, address=BOTH),
        )
    yield rendered(
        "cached", "ssl_certificate_cache keeps them", ClientTLSOptions("front", address=CACHED)
    )
    yield rendered(
        "captures",
        "captures of the server's name are not there yet",
        ClientTLSOptions("front.capturing.test"),
        logs=("cannot load certificate",),
    )
    verifying = ClientTLSOptions("front", certificate="client", address=VERIFYING)
    yield rendered("named-verifying", "clients are verified there as elsewhere", verifying)
    yield Scenario(
        "named-refusing",
        "and refused",
        "return 204;",
        (),
        proxy_pass="none",
        requests=(get(path="/", host="x"),),
        status=400,
        tls=ClientTLSOptions("front", certificate="self-signed", address=VERIFYING),
        logs=("client SSL certificate verify error: (18:) while reading client request headers",),
    )
    yield Scenario(
        "named-resumed",
        "their sessions are resumed",
        "return 204;",
        (),
        proxy_pass="none",
        requests=(get(path="/", host="x"),),
        repeat=2,
        resumed=(False, True),
        tls=ClientTLSOptions("front", resume=True, address=NAMED),
    )


def server(name: str, certificates: str, listen: str = "FRONT_TLS ssl") -> str:
    return f"""
    server {{
        listen {listen};
        server_name {name};
        {certificates}
        location / {{ return 200 "{FACTS}"; }}
    }}
"""


def pair(certificate: str, key: str = "") -> str:
    key = key or f"{certificate}.key"
    return f"ssl_certificate {certificate}.pem; ssl_certificate_key {key};"


STRICT = "ssl_verify_client on; ssl_client_certificate client-root.pem;"

TABLE = Table(
    "server-certificates",
    (*several(), *texts(), *by_variables()),
    http="".join(
        (
            server("two.test", pair("front") + pair("rsa")),
            server("two-reversed.test", pair("rsa") + pair("front")),
            server("doubled.test", pair("front") + pair("second")),
            server("deep.test", pair("deep-3")),
            server("chains.test", pair("deep-3") + pair("rsa")),
            server("more.test", pair("front") + "ssl_certificate_key rsa.key;"),
            server("data.test", CHAIN.replace("deep-2", "second")),
            server("data-chain.test", CHAIN),
            server("encrypted.test", pair("client", "client-encrypted.key") + PASSPHRASES),
            server("named.test", pair("$ssl_server_name"), f"{NAMED}:TLS_PORT ssl"),
            server(
                "file.test",
                "ssl_certificate $ssl_server_name; ssl_certificate_key front.key;",
                f"{FILE}:TLS_PORT ssl",
            ),
            server("key.test", pair("front", "$ssl_server_name.key"), f"{KEY}:TLS_PORT ssl"),
            server(
                "locked.test",
                pair("$ssl_server_name", "$ssl_server_name-encrypted.key") + PASSPHRASES,
                f"{LOCKED}:TLS_PORT ssl",
            ),
            server("both.test", pair("$ssl_server_name") + pair("rsa"), f"{BOTH}:TLS_PORT ssl"),
            server(
                "cached.test",
                pair("$ssl_server_name") + "ssl_certificate_cache max=2 valid=1m inactive=1m;",
                f"{CACHED}:TLS_PORT ssl",
            ),
            server("strict.test", pair("$ssl_server_name") + STRICT, f"{VERIFYING}:TLS_PORT ssl"),
            server(r"~^(?<file>.+)\.capturing\.test$", pair("$file")),
        )
    ),
)
