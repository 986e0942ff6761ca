"""Directives about connections to upstreams, of all modules that make some, in http and stream.

Among them `proxy_ssl_…`, `grpc_ssl_…` and `uwsgi_ssl_…`: TLS towards upstreams.
"""

from __future__ import annotations

from ...template import Template
from .directive import (
    HTTP,
    LOCATION,
    SERVER,
    Repeat,
    Settings,
    at_least,
    between,
    directive,
    exactly,
    settings,
)
from .slots import flag, number, size, some_of, string, template, time
from .ssl import PROTOCOLS
from .tls import (
    CacheRules,
    PasswordFile,
    certificate_cache,
    conf_command,
    password_file,
)
from .upstream_target import Bind, bind_address

HSL = HTTP | SERVER | LOCATION


@settings("")
class UpstreamTLSSettings(Settings):
    """How TLS connections to the upstream of a location are made."""

    ssl_server_name: bool = directive(
        HSL, flag, "send the server name in the TLS handshake (SNI)", default="off"
    )
    ssl_name: Template | None = directive(
        HSL,
        template,
        "name for SNI and for verifying the certificate; by default the upstream's",
    )
    ssl_verify: bool = directive(HSL, flag, "verify the upstream's certificate", default="off")
    ssl_verify_depth: int = directive(
        HSL, number, "maximum depth of the upstream's certificate chain", default="1"
    )
    ssl_trusted_certificate: str | None = directive(
        HSL, string, "PEM file of trusted CAs for verifying the upstream"
    )
    ssl_certificate: Template | None = directive(
        HSL, template, "PEM file with the client certificate; empty for none"
    )
    ssl_certificate_key: Template | None = directive(
        HSL, template, "PEM file with the client certificate's key"
    )
    ssl_certificate_cache: CacheRules | None = directive(
        HSL, certificate_cache, "cache for certificates whose file names contain variables",
        arity=between(1, 3), default="off",
    )  # fmt: skip
    ssl_password_file: PasswordFile | None = directive(
        HSL, password_file, "file with passphrases for the private key, one per line"
    )
    ssl_crl: str | None = directive(
        HSL, string, "PEM file of revocation lists; each certificate in the chain needs one"
    )
    ssl_conf_command: tuple[tuple[str, str], ...] = directive(
        HSL, conf_command,
        "OpenSSL configuration command: Options, MinProtocol, MaxProtocol, CipherString, "
        "Ciphersuites, Groups, Curves or SignatureAlgorithms",
        arity=exactly(2), repeat=Repeat.APPENDED,
    )  # fmt: skip
    ssl_key_log: str | None = directive(
        HSL, string,
        "file for TLS secrets in SSLKEYLOGFILE format; in nginx a commercial feature",
        extension=True,
    )  # fmt: skip
    ssl_protocols: frozenset[str] = directive(
        HSL, some_of(*PROTOCOLS), "TLS protocol versions offered to the upstream",
        arity=at_least(1), default="TLSv1.2 TLSv1.3", repeat=Repeat.MERGED,
    )  # fmt: skip
    ssl_ciphers: str = directive(
        HSL, string, "ciphers offered to the upstream, in OpenSSL's format", default="DEFAULT"
    )
    ssl_session_reuse: bool = directive(
        HSL, flag, "resume TLS sessions with the same peer", default="on"
    )


@settings("")
class ConnectionSettings(UpstreamTLSSettings):
    """How connections to upstreams are made."""

    bind: Bind | None = directive(
        HSL, bind_address, "local address of connections to the upstream", arity=between(1, 2)
    )
    socket_keepalive: bool = directive(
        HSL, flag, "enable TCP keepalive (SO_KEEPALIVE) on upstream connections", default="off"
    )
    socket_rcvbuf: int | None = directive(HSL, size, "receive buffer size of upstream sockets")
    socket_sndbuf: int | None = directive(HSL, size, "send buffer size of upstream sockets")
    connect_timeout: float = directive(
        HSL, time, "timeout for connecting, and separately for the TLS handshake", default="60s"
    )
    next_upstream_tries: int = directive(
        HSL, number, "maximum number of peers tried; 0 means unlimited", default="0"
    )
    next_upstream_timeout: float = directive(
        HSL, time, "time limit for trying further peers; 0 means unlimited", default="0"
    )
