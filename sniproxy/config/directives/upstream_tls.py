"""The directives `proxy_ssl_…`, `grpc_ssl_…` and `uwsgi_ssl_…`: TLS towards upstreams."""

from __future__ import annotations

from ...template import Template
from .cache import CacheSettings
from .directive import (
    HTTP,
    LOCATION,
    SERVER,
    Repeat,
    at_least,
    between,
    directive,
    exactly,
    settings,
)
from .slots import flag, number, some_of, string, template
from .ssl import PROTOCOLS
from .tls import (
    CacheRules,
    PasswordFile,
    certificate_cache,
    conf_command,
    password_file,
)

HSL = HTTP | SERVER | LOCATION


@settings("")
class UpstreamTLSSettings(CacheSettings):
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
