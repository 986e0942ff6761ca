"""What is offered in a handshake: `proxy_ssl_protocols`, `proxy_ssl_ciphers`, and OpenSSL's own
settings by `proxy_ssl_conf_command`."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from sniproxy.testing.upstreams import TLS, UpstreamSpec, catalog
from sniproxy.testing.upstreams.catalog import HANDSHAKE_FAILURE, TLS12, handshake_failed
from tests.conformance.scenario import GET, Scenario, Table

PROTOCOL_VERSION = handshake_failed("0A00042E", "tlsv1 alert protocol version:SSL alert number 70")
NO_PROTOCOLS = handshake_failed("0A0000BF", "no protocols available")
AES128, AES256 = "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"


def one_cipher(name: str) -> UpstreamSpec:
    tls = TLS(max_version=TLS12, ciphers=name)
    return UpstreamSpec(f"only-{name}", f"takes {name} alone, in TLS 1.2", tls=tls)


def one_group(name: str, maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> UpstreamSpec:
    tls = TLS(max_version=maximum, group=name)
    return UpstreamSpec(f"only-{name}", f"exchanges keys in {name} alone", tls=tls)


# The directives, the upstream, what goes wrong ("" is nothing), and the rule.
ROWS: tuple[tuple[str, str, UpstreamSpec, str, str], ...] = (
    ("default-good", "", catalog.GOOD, "", "TLS 1.2 and 1.3 are offered"),
    ("default-1.2", "", catalog.GOOD_12, "", "an upstream may choose TLS 1.2"),
    ("default-1.3", "", catalog.GOOD_13, "", "an upstream may choose TLS 1.3"),
    ("1.2-good", "proxy_ssl_protocols TLSv1.2;", catalog.GOOD, "", "TLS 1.2 alone is offered"),
    ("1.2-1.2", "proxy_ssl_protocols TLSv1.2;", catalog.GOOD_12, "", "and can be chosen"),
    (
        "1.2-1.3",
        "proxy_ssl_protocols TLSv1.2;",
        catalog.GOOD_13,
        PROTOCOL_VERSION,
        "an upstream of TLS 1.3 refuses it",
    ),
    ("1.3-good", "proxy_ssl_protocols TLSv1.3;", catalog.GOOD, "", "TLS 1.3 alone is offered"),
    (
        "1.3-1.2",
        "proxy_ssl_protocols TLSv1.3;",
        catalog.GOOD_12,
        PROTOCOL_VERSION,
        "an upstream of TLS 1.2 refuses it",
    ),
    (
        "SSLv2",
        "proxy_ssl_protocols SSLv2;",
        catalog.GOOD,
        NO_PROTOCOLS,
        "what the library has not leaves nothing to offer",
    ),
    (
        "gap",
        "proxy_ssl_protocols TLSv1.1 TLSv1.3;",
        catalog.GOOD,
        "",
        "a gap between two protocols leaves the higher one",
    ),
    (
        "cipher",
        f"proxy_ssl_ciphers {AES128};",
        catalog.GOOD_12,
        "",
        "the list names the ciphers of TLS 1.2",
    ),
    (
        "cipher-1.3",
        f"proxy_ssl_ciphers {AES128};",
        catalog.GOOD_13,
        "",
        "those of TLS 1.3 are not of the list",
    ),
    (
        "cipher-refused",
        f"proxy_ssl_ciphers {AES128};",
        one_cipher(AES256),
        HANDSHAKE_FAILURE,
        "an upstream that wants another one refuses",
    ),
    (
        "cipher-excluded",
        "proxy_ssl_ciphers DEFAULT:!AES256;",
        catalog.GOOD_12,
        "",
        "the list is of OpenSSL's language",
    ),
    (
        "no-ciphers",
        f"proxy_ssl_ciphers {AES128}; proxy_ssl_protocols TLSv1.2;",
        catalog.GOOD_13,
        PROTOCOL_VERSION,
        "ciphers and protocols go together",
    ),
)

COMMANDS: tuple[tuple[str, str, UpstreamSpec, str, str], ...] = (
    (
        "min-1.3",
        "MinProtocol TLSv1.3",
        catalog.GOOD_12,
        PROTOCOL_VERSION,
        "a lower bound takes protocols away",
    ),
    ("min-1.3-met", "MinProtocol TLSv1.3", catalog.GOOD, "", "what is above it is offered"),
    (
        "max-1.2",
        "MaxProtocol TLSv1.2",
        catalog.GOOD_13,
        PROTOCOL_VERSION,
        "an upper bound takes protocols away",
    ),
    ("max-1.2-met", "MaxProtocol TLSv1.2", catalog.GOOD, "", "what is below it is offered"),
    ("max-none", "MaxProtocol None", catalog.GOOD_13, "", "None is no bound"),
    ("min-ssl3", "MinProtocol SSLv3", catalog.GOOD, "", "a bound adds no protocols"),
    (
        "bounds-crossed",
        "MinProtocol TLSv1.3; proxy_ssl_conf_command MaxProtocol TLSv1.2",
        catalog.GOOD,
        NO_PROTOCOLS,
        "bounds that cross leave nothing",
    ),
    (
        "cipher-string",
        f"CipherString {AES128}",
        catalog.GOOD_12,
        "",
        "CipherString is what proxy_ssl_ciphers is",
    ),
    (
        "cipher-string-last",
        f"CipherString {AES128}; proxy_ssl_ciphers {AES256}",
        catalog.GOOD_12,
        "",
        "and counts after it, wherever it stands",
    ),
    (
        "ciphersuites",
        "Ciphersuites TLS_CHACHA20_POLY1305_SHA256",
        catalog.GOOD_13,
        "",
        "Ciphersuites are those of TLS 1.3",
    ),
    (
        "ciphersuites-1.2",
        "Ciphersuites TLS_CHACHA20_POLY1305_SHA256",
        catalog.GOOD_12,
        "",
        "and of no other",
    ),
    ("groups", "Groups P-384:X25519", one_group("secp384r1"), "", "the groups are offered"),
    (
        "groups-refused",
        "Groups X25519",
        one_group("secp384r1", TLS12),
        HANDSHAKE_FAILURE,
        "an upstream that wants another one refuses",
    ),
    (
        "groups-refused-1.3",
        "Groups X25519",
        one_group("secp384r1"),
        HANDSHAKE_FAILURE,
        "in TLS 1.3 too",
    ),
    ("curves", "Curves P-384", one_group("secp384r1"), "", "Curves are Groups"),
    (
        "sigalgs",
        "SignatureAlgorithms ECDSA+SHA256",
        catalog.GOOD,
        "",
        "the algorithm of the upstream's key is offered",
    ),
    (
        "sigalgs-refused",
        "SignatureAlgorithms RSA-PSS+SHA256",
        catalog.GOOD_13,
        HANDSHAKE_FAILURE,
        "an upstream with another key refuses",
    ),
    ("no-tickets", "Options -SessionTicket", catalog.GOOD, "", "options are OpenSSL's"),
    (
        "some-options",
        "Options PrioritizeChaCha,KTLS,UnsafeLegacyServerConnect",
        catalog.GOOD,
        "",
        "most of them change nothing that an upstream could see",
    ),
    (
        "two",
        "Options KTLS; proxy_ssl_conf_command MaxProtocol TLSv1.2",
        catalog.GOOD,
        "",
        "there may be several commands",
    ),
)


def rows() -> Iterator[Scenario]:
    commands = [
        (f"command-{name}", f"proxy_ssl_conf_command {command};", upstream, logged, rule)
        for name, command, upstream, logged, rule in COMMANDS
    ]
    for name, directives, upstream, logged, rule in (*ROWS, *commands):
        yield Scenario(
            name,
            rule,
            directives,
            (upstream,),
            status=502 if logged else 200,
            logs=(logged,) if logged else (),
        )


OTHERS = (
    Scenario(
        "commands-replaced",
        "a location that has a command has none of the location around",
        "proxy_ssl_conf_command MinProtocol TLSv1.3;"
        " location PATH/inner { proxy_pass https://PEER; proxy_ssl_conf_command Options KTLS; }"
        " location PATH/same { proxy_pass https://PEER; proxy_ssl_ciphers HIGH; }",
        (catalog.GOOD_12,),
        requests=tuple(
            GET.replace("PATH", f"PATH{path}").replace("Connection: close\r\n", extra)
            for path, extra in (("/inner", ""), ("/same", "Connection: close\r\n"))
        ),
        status=(200, 502),
        logs=(PROTOCOL_VERSION,),
    ),
    Scenario(
        "alpn-1.1",
        "no protocol is named by ALPN with HTTP/1.1",
        "proxy_http_version 1.1;",
    ),
    Scenario(
        "alpn-1.0",
        "nor with HTTP/1.0",
        "proxy_http_version 1.0;",
    ),
)

TABLE = Table("settings", (*rows(), *OTHERS))
