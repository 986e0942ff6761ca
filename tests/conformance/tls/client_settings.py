"""Protocols, ciphers and groups towards clients, and what happens where nothing fits."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from sniproxy.testing.client import ClientTLSOptions
from sniproxy.testing.upstreams.catalog import TLS12, TLS13
from tests.conformance.scenario import Scenario, Table, get

TLS11 = ssl.TLSVersion.TLSv1_1
HANDSHAKING = " while SSL handshaking, client: 127.0.0.1, server: 127.0.0."
FAILED = "SSL_do_handshake() failed (SSL: error:"
UNSUPPORTED_PROTOCOL = f"{FAILED}0A000102:SSL routines::unsupported protocol){HANDSHAKING}"
NO_SHARED_CIPHER = f"{FAILED}0A0000C1:SSL routines::no shared cipher){HANDSHAKING}"
NO_SHARE = f"{FAILED}0A000065:SSL routines::no suitable key share){HANDSHAKING}"
NO_PROTOCOL = f"{FAILED}0A0000EB:SSL routines::no application protocol){HANDSHAKING}"

AES128 = "ECDHE-ECDSA-AES128-GCM-SHA256"
AES256 = "ECDHE-ECDSA-AES256-GCM-SHA384"
CHACHA = "ECDHE-ECDSA-CHACHA20-POLY1305"
OTHER, AUTO_GROUPS, LEAST = "127.0.0.2", "127.0.0.3", "127.0.0.4"


def shaking(
    name: str,
    rule: str,
    tls: ClientTLSOptions,
    failure: str | None = None,
    *,
    repeat: int = 1,
) -> Scenario:
    return Scenario(
        name,
        rule,
        "return 204;",
        (),
        proxy_pass="none",
        requests=(get(path="/", host=tls.server_name or "front.test"),),
        tls=tls,
        repeat=repeat,
        status=() if failure else (200,) * repeat,
        logs=(failure,) if failure else (),
    )


def protocols() -> Iterator[Scenario]:
    only = {"12.test": TLS12, "13.test": TLS13}
    for host, version in only.items():
        for spoken in (TLS12, TLS13):
            yield shaking(
                f"{host.removesuffix('.test')}-{spoken.name[-1]}",
                "ssl_protocols of the server that the SNI names counts",
                ClientTLSOptions(host, min_version=spoken, max_version=spoken),
                None if spoken is version else UNSUPPORTED_PROTOCOL,
            )
        yield shaking(
            f"{host.removesuffix('.test')}-both",
            "of several protocols the newest that both speak is taken",
            ClientTLSOptions(host),
        )
    yield shaking(
        "none-12",
        "without an SNI it is the default server's",
        ClientTLSOptions(None, max_version=TLS12),
    )


def ciphers() -> Iterator[Scenario]:
    yield shaking(
        "ciphers",
        "ssl_ciphers chooses among those of the client",
        ClientTLSOptions("aes256.test", max_version=TLS12, ciphers=f"{AES128}:{AES256}"),
    )
    yield shaking(
        "no-cipher",
        "no cipher in common",
        ClientTLSOptions("aes256.test", max_version=TLS12, ciphers=AES128),
        NO_SHARED_CIPHER,
    )
    yield shaking(
        "ciphers-1.3",
        "ssl_ciphers says nothing about TLS 1.3",
        ClientTLSOptions("aes256.test", min_version=TLS13),
    )
    yield shaking(
        "wrong-key-type",
        "a cipher for another kind of key",
        ClientTLSOptions("front.test", max_version=TLS12, ciphers="ECDHE-RSA-AES128-GCM-SHA256"),
        NO_SHARED_CIPHER,
    )
    for host in ("client.test", "server.test"):
        for order in (f"{AES128}:{CHACHA}", f"{CHACHA}:{AES128}"):
            yield shaking(
                f"{host.removesuffix('.test')}-{'chacha' if order[12] == 'C' else 'aes'}-first",
                "ssl_prefer_server_ciphers decides whose order counts",
                ClientTLSOptions(host, max_version=TLS12, ciphers=order),
            )
    yield shaking(
        "suites",
        "ssl_conf_command Ciphersuites chooses those of TLS 1.3",
        ClientTLSOptions("suites.test", min_version=TLS13),
    )
    yield shaking(
        "least-protocol",
        "ssl_conf_command MinProtocol",
        ClientTLSOptions("least.test", max_version=TLS12, address=LEAST),
        UNSUPPORTED_PROTOCOL,
    )
    yield shaking(
        "options",
        "ssl_conf_command Options",
        ClientTLSOptions("options.test", max_version=TLS12, ciphers=f"{AES128}:{CHACHA}"),
    )


def dhe() -> Iterator[Scenario]:
    cipher = "DHE-RSA-AES128-GCM-SHA256"
    yield shaking(
        "dhe",
        "ssl_dhparam allows DHE",
        ClientTLSOptions("dhe.test", max_version=TLS12, ciphers=cipher),
    )
    yield shaking(
        "no-dhe",
        "without it there is none",
        ClientTLSOptions("rsa.test", max_version=TLS12, ciphers=cipher),
        NO_SHARED_CIPHER,
    )


def groups() -> Iterator[Scenario]:
    for version in (TLS12, TLS13):
        for group in ("X25519", "prime256v1", "secp384r1", "secp521r1", "X448"):
            yield shaking(
                f"group-{group}-{version.name[-1]}",
                "ssl_ecdh_curve auto takes what the client offers",
                ClientTLSOptions("rsa.test", min_version=version, max_version=version, group=group),
            )
        for group in ("X25519", "secp384r1"):
            fails = NO_SHARED_CIPHER if version is TLS12 else NO_SHARE
            yield shaking(
                f"own-group-{group}-{version.name[-1]}",
                "ssl_ecdh_curve of the default server is what counts",
                ClientTLSOptions(
                    None, group=group, min_version=version, max_version=version, address=OTHER
                ),
                None if group == "secp384r1" else fails,
            )
            yield shaking(
                f"neighbours-group-{group}-{version.name[-1]}",
                "also for a server that an SNI names",
                ClientTLSOptions(
                    "lax.test", group=group, min_version=version, max_version=version, address=OTHER
                ),
                None if group == "secp384r1" else fails,
            )
            yield shaking(
                f"named-group-{group}-{version.name[-1]}",
                "whose own ssl_ecdh_curve means nothing",
                ClientTLSOptions(
                    "named.test",
                    group=group,
                    min_version=version,
                    max_version=version,
                    address=AUTO_GROUPS,
                ),
            )
    yield shaking(
        "retry",
        "a client that guesses the group wrong is asked again",
        ClientTLSOptions(None, min_version=TLS13, address=OTHER),
    )


def protocols_of_alpn() -> Iterator[Scenario]:
    for name, offered, fits in (
        ("http-1.1", ("http/1.1",), True),
        ("both", ("h2", "http/1.1"), True),
        ("http-1.0", ("http/1.0", "http/0.9"), True),
        ("nothing", ("h2",), False),
        ("other", ("spdy/3", "foo"), False),
    ):
        yield shaking(
            f"alpn-{name}",
            "of the protocols of ALPN HTTP/1 is taken; where none is, the handshake fails",
            ClientTLSOptions("front.test", alpn=offered),
            None if fits else NO_PROTOCOL,
        )


def server(
    name: str, directives: str, listen: str = "FRONT_TLS ssl", certificate: str = "good"
) -> str:
    facts = "$server_name $ssl_protocol $ssl_cipher $ssl_curve $ssl_alpn_protocol"
    return f"""
    server {{
        listen {listen};
        server_name {name};
        ssl_certificate {certificate}.pem;
        ssl_certificate_key {certificate}.key;
        {directives}
        location / {{ return 200 "{facts}"; }}
    }}
"""


P384 = "ssl_ecdh_curve secp384r1;"

TABLE = Table(
    "client-settings",
    (*protocols(), *ciphers(), *dhe(), *groups(), *protocols_of_alpn()),
    server='location / { return 200 "$ssl_protocol $ssl_cipher $ssl_curve $ssl_alpn_protocol"; }',
    http="".join(
        (
            server("12.test", "ssl_protocols TLSv1.2;"),
            server("13.test", "ssl_protocols TLSv1.3;"),
            server("aes256.test", f"ssl_ciphers {AES256};"),
            server("client.test", f"ssl_ciphers {AES128}:{CHACHA};"),
            server("server.test", f"ssl_ciphers {AES128}:{CHACHA}; ssl_prefer_server_ciphers on;"),
            server("suites.test", "ssl_conf_command Ciphersuites TLS_CHACHA20_POLY1305_SHA256;"),
            server("least.test", "ssl_conf_command MinProtocol TLSv1.3;", f"{LEAST}:TLS_PORT ssl"),
            server(
                "options.test",
                f"ssl_ciphers {CHACHA}:{AES128}; ssl_conf_command Options ServerPreference;",
            ),
            server("dhe.test", "ssl_dhparam dh.pem;", certificate="rsa"),
            server("rsa.test", "", certificate="rsa"),
            server("own.test", P384, f"{OTHER}:TLS_PORT ssl", "rsa"),
            server("lax.test", "", f"{OTHER}:TLS_PORT ssl", "rsa"),
            server("auto.test", "", f"{AUTO_GROUPS}:TLS_PORT ssl", "rsa"),
            server("named.test", P384, f"{AUTO_GROUPS}:TLS_PORT ssl", "rsa"),
        )
    ),
)
