"""The site that the scripts attack: one server for each kind of setting, and its certificates."""

from __future__ import annotations

import base64
from pathlib import Path

from tests.tls.authority import make

CIPHERS = "HIGH:!aNULL:!MD5:@SECLEVEL=0"
"""nginx's default. Most scripts offer signatures that OpenSSL's default level refuses."""
GROUPS = "X25519:P-256:X448:P-521:P-384"

SITE = f"""
    access_log off;
    ssl_session_cache shared:sessions:1m;
    ssl_ecdh_curve {GROUPS};
    ssl_certificate CERTIFICATES/rsa.crt;
    ssl_certificate_key CERTIFICATES/rsa.key;
    ssl_ciphers {CIPHERS};
    ssl_dhparam CERTIFICATES/ffdhe2048.pem;
    client_header_timeout 2s;
    {{servers}}
"""
_SERVER = """
    server {{
        listen 127.0.0.1:@PORT{number}@ ssl;
        server_name localhost;
        {settings}
        location / {{ return 200 "hello\\n"; }}
    }}
"""

SERVERS = {
    "rsa": "",
    "ecdsa": "ssl_certificate CERTIFICATES/ecdsa.crt; ssl_certificate_key CERTIFICATES/ecdsa.key;",
    "client": "ssl_verify_client optional_no_ca;",
    "tls12": "ssl_protocols TLSv1.2;",
    "tls13": "ssl_protocols TLSv1.3;",
    "cached": "ssl_session_tickets off;",
}
"""The directives of each server, by the name that `scripts.toml` uses."""


def dh_parameters() -> bytes:
    """The group ffdhe2048 of RFC 7919 in PEM."""
    # RFC 7919, appendix A.1; e is the sum of 1/k!.
    scaled, factor = 0, 1 << 2200
    for k in range(1, 400):
        scaled += factor
        factor //= k
    prime = (1 << 2048) - (1 << 1984) + (((scaled >> 282) + 560316) << 64) - 1
    number = b"\x02\x82\x01\x01\0" + prime.to_bytes(256)
    encoded = base64.encodebytes(b"\x30\x82\x01\x08" + number + b"\x02\x01\x02")
    return b"-----BEGIN DH PARAMETERS-----\n" + encoded + b"-----END DH PARAMETERS-----\n"


def certificates(folder: Path) -> None:
    """Write the certificates of the servers, those for clients, and DH parameters."""
    make("localhost", "localhost4", use_rsa=True).write(folder, "rsa")
    make("localhost", "localhost4").write(folder, "ecdsa")
    make("client.test", use_rsa=True).write(folder, "client")
    make("client.test").write(folder, "client-ecdsa")
    (folder / "ffdhe2048.pem").write_bytes(dh_parameters())


def site(folder: Path) -> str:
    """The content of `http {}`, with the certificates of `folder`."""
    servers = "".join(
        _SERVER.format(number=port_name(name), settings=settings)
        for name, settings in SERVERS.items()
    )
    return SITE.format(servers=servers).replace("CERTIFICATES", str(folder))


def port_name(server: str) -> str:
    """The suffix of the placeholder of a server's port."""
    return str(list(SERVERS).index(server) + 1)
