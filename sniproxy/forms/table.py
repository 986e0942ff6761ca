"""What each setting of a connection to an upstream is in each form: the one table of them.

A cell is a list of lines `slot: text`: where the text goes (the slots of the form's skeleton in
`skeletons.py`), and the text, with placeholders from `Cure.values`. The slot `note` is a comment,
`once` a command to run before. A setting without a cell does not exist in the form.

nginx, Nginx Proxy Manager, SWAG and TOML have no cells: they take the directives themselves.

Where the names are from, and what was tried: docs/diagnosis.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Cell = tuple[str, ...]

FORMS = {
    "nginx": "nginx",
    "ingress-nginx": "ingress-nginx",
    "nginx-proxy-manager": "Nginx Proxy Manager",
    "swag": "SWAG",
    "caddy": "Caddy",
    "traefik": "Traefik",
    "haproxy": "HAProxy",
    "envoy": "Envoy",
    "apache": "Apache",
    "toml": "sniproxy's TOML",
}
"""The forms, as `--for` takes them, with the names of their programs."""

INGRESS = "nginx.ingress.kubernetes.io"
SYSTEM_CA_BY_DEFAULT = frozenset({"caddy", "traefik"})
"""Forms that verify with the system's authorities by default: none has to be written."""
VERIFIED_BY_DEFAULT = frozenset({"caddy", "traefik", "haproxy", "apache"})
"""Forms of programs that check certificates, or names in them, unless it is switched off."""


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A setting, in each form that has it."""

    name: str
    """What it is, for the comment in forms that do not have it."""
    cells: Mapping[str, Cell]


def _annotation(name: str, value: str) -> str:
    return f'annotation: {INGRESS}/{name}: "{value}"'


def _snippet(*directives: str) -> Cell:
    return tuple(f"snippet: {directive}" for directive in directives)


_GO_SENDS = "note: (it is written in Go, which does not insist on this)"

SETTINGS: Mapping[str, SettingRow] = {
    "tls": SettingRow(
        "TLS",
        {
            "ingress-nginx": (_annotation("backend-protocol", "{backend_protocol}"),),
            "caddy": (),
            "traefik": (),
            "haproxy": ("server: ssl",),
            # By default it speaks TLS 1.2 alone to upstreams.
            "envoy": ("params: tls_maximum_protocol_version: {newest_envoy}",),
            "apache": ("tls: SSLProxyEngine on",),
        },
    ),
    "plain": SettingRow(
        "plain HTTP",
        {
            "ingress-nginx": (_annotation("backend-protocol", "HTTP"),),
            **dict.fromkeys(("caddy", "traefik", "haproxy", "envoy", "apache"), ()),
        },
    ),
    "sni": SettingRow(
        "the name sent as SNI",
        {
            "ingress-nginx": (
                "secret:",
                _annotation("proxy-ssl-server-name", "on"),
                _annotation("proxy-ssl-name", "{name}"),
            ),
            "caddy": ("transport: tls_server_name {name}",),
            "traefik": ('transport: serverName: "{name}"',),
            "haproxy": ("server: sni str({name})",),
            "envoy": ('tls: sni: "{name}"',),
            "apache": (),  # {site} in the skeleton
        },
    ),
    "host": SettingRow(
        "the Host header",
        {
            "ingress-nginx": (_annotation("upstream-vhost", "{host_header}"),),
            "caddy": ("proxy: header_up Host {host_header}",),
            "traefik": ('middleware: Host: "{host_header}"',),
            "haproxy": ("backend: http-request set-header Host {host_header}",),
            "envoy": ('route: host_rewrite_literal: "{host_header}"',),
            "apache": (),  # {site} in the skeleton
        },
    ),
    "verify": SettingRow(
        "verification of the certificate",
        {
            "ingress-nginx": (
                "secret: --from-file=ca.crt={ca}",
                _annotation("proxy-ssl-verify", "on"),
            ),
            "caddy": ("transport: tls_trusted_ca_certs {ca}",),
            "traefik": ('transport: rootCAs: ["{ca}"]',),
            "haproxy": ("server: verify required ca-file {ca}",),
            "envoy": (
                'validation: trusted_ca: {filename: "{ca}"}',
                "validation: match_typed_subject_alt_names:",
                'validation: - {san_type: DNS, matcher: {exact: "{name}"}}',
            ),
            "apache": ("tls: SSLProxyVerify require", "tls: SSLProxyCACertificateFile {ca}"),
        },
    ),
    "verify-off": SettingRow(
        "no verification of the certificate",
        {
            "ingress-nginx": (_annotation("proxy-ssl-verify", "off"),),
            "caddy": ("transport: tls_insecure_skip_verify",),
            "traefik": ("transport: insecureSkipVerify: true",),
            "haproxy": ("server: verify none",),
            "envoy": (),
            "apache": (
                "tls: SSLProxyVerify none",
                "tls: SSLProxyCheckPeerName off",
                "tls: SSLProxyCheckPeerExpire off",
            ),
        },
    ),
    "depth": SettingRow(
        "the length of the certificate chain",
        {
            "ingress-nginx": (_annotation("proxy-ssl-verify-depth", "{depth}"),),
            # These limit it nowhere near the length of a chain in use.
            **dict.fromkeys(("caddy", "traefik", "haproxy", "envoy"), ()),
            "apache": ("tls: SSLProxyVerifyDepth {depth_with_root}",),
        },
    ),
    "crl": SettingRow(
        "lists of revoked certificates",
        {
            "ingress-nginx": _snippet("proxy_ssl_crl {crl};"),
            "haproxy": ("server: crl-file {crl}",),
            "envoy": ('validation: crl: {filename: "{crl}"}',),
            "apache": (
                "tls: SSLProxyCARevocationFile {crl}",
                "tls: SSLProxyCARevocationCheck chain",
            ),
        },
    ),
    "client-certificate": SettingRow(
        "our certificate",
        {
            "ingress-nginx": (
                "secret: --from-file=tls.crt={certificate} --from-file=tls.key={key}",
            ),
            "caddy": ("transport: tls_client_auth {certificate} {key}",),
            "traefik": (
                'transport: certificates: [{certFile: "{certificate}", keyFile: "{key}"}]',
            ),
            "haproxy": (
                "once: cat {certificate} {key} > /etc/haproxy/upstream.pem",
                "server: crt /etc/haproxy/upstream.pem",
            ),
            "envoy": (
                "common: tls_certificates:",
                'common: - certificate_chain: {filename: "{certificate}"}',
                'common:   private_key: {filename: "{key}"}',
            ),
            "apache": (
                "once: cat {certificate} {key} > /etc/apache2/upstream.pem",
                "tls: SSLProxyMachineCertificateFile /etc/apache2/upstream.pem",
            ),
        },
    ),
    "protocols": SettingRow(
        "versions of TLS",
        {
            # The skeleton has proxy-ssl-protocols; it has an effect only with ca.crt.
            "ingress-nginx": ("secret: --from-file=ca.crt={ca}",),
            "traefik": ("transport: minVersion: {oldest_go}",),
            "haproxy": ("server: ssl-min-ver {oldest}",),
            "envoy": ("params: tls_minimum_protocol_version: {oldest_envoy}",),
            "apache": ("tls: SSLProxyProtocol {plus_protocols}",),
        },
    ),
    "protocols-limited": SettingRow(
        "versions of TLS",
        {
            "ingress-nginx": ("secret: --from-file=ca.crt={ca}",),
            "traefik": (
                "transport: minVersion: {oldest_go}",
                "transport: maxVersion: {newest_go}",
            ),
            "haproxy": ("server: ssl-min-ver {oldest} ssl-max-ver {newest}",),
            "envoy": ("params: tls_minimum_protocol_version: {oldest_envoy}",),
            "apache": ("tls: SSLProxyProtocol {plus_protocols}",),
        },
    ),
    "ciphers": SettingRow(
        "ciphers",
        {
            # The annotation proxy-ssl-ciphers refuses "@" and "=".
            "ingress-nginx": _snippet("proxy_ssl_ciphers {ciphers};"),
            "haproxy": ("server: ciphers {ciphers}",),
            "apache": ("tls: SSLProxyCipherSuite {ciphers}",),
        },
    ),
    "legacy": SettingRow(
        "servers without secure renegotiation",
        {
            "ingress-nginx": _snippet("proxy_ssl_conf_command Options UnsafeLegacyServerConnect;"),
            "caddy": (_GO_SENDS,),
            "traefik": (_GO_SENDS,),
        },
    ),
    "http1": SettingRow(
        "HTTP/1.1",
        {
            "ingress-nginx": (_annotation("proxy-http-version", "1.1"),),
            "caddy": ("transport: versions 1.1",),
            "traefik": ("transport: disableHTTP2: true",),
            "haproxy": (),
            "envoy": (),
            "apache": (),
        },
    ),
    "http2": SettingRow(
        "HTTP/2",
        {
            "ingress-nginx": (),  # {backend_protocol} of TLS
            "caddy": ("transport: versions 2",),
            "traefik": (),
            "haproxy": ("server: alpn h2",),
            "envoy": ("options: explicit_http_config: {http2_protocol_options: {}}",),
            "apache": (),  # {apache_scheme} in the skeleton
        },
    ),
    "connect-timeout": SettingRow(
        "the time for a connection",
        {
            "ingress-nginx": (_annotation("proxy-connect-timeout", "{connect_timeout}"),),
            "caddy": ("transport: dial_timeout {connect_timeout}s",),
            "traefik": ("timeouts: dialTimeout: {connect_timeout}s",),
            "haproxy": ("backend: timeout connect {connect_timeout}s",),
            "envoy": ("cluster: connect_timeout: {connect_timeout}s",),
            "apache": ("worker: connectiontimeout={connect_timeout}",),
        },
    ),
    "read-timeout": SettingRow(
        "the time for a response",
        {
            "ingress-nginx": (_annotation("proxy-read-timeout", "{read_timeout}"),),
            "caddy": ("transport: response_header_timeout {read_timeout}s",),
            "traefik": ("timeouts: responseHeaderTimeout: {read_timeout}s",),
            "haproxy": ("backend: timeout server {read_timeout}s",),
            "envoy": ("route: timeout: {read_timeout}s",),
            "apache": ("worker: timeout={read_timeout}",),
        },
    ),
    "send-timeout": SettingRow(
        "the time for sending a request",
        {
            "ingress-nginx": (_annotation("proxy-send-timeout", "{send_timeout}"),),
            "caddy": ("transport: write_timeout {send_timeout}s",),
            **dict.fromkeys(("traefik", "haproxy", "envoy", "apache"), ()),
        },
    ),
    "header-size": SettingRow(
        "the size of response headers",
        {
            "ingress-nginx": (_annotation("proxy-buffer-size", "{header_k}k"),),
            # Go takes 1 MB and more by default, Envoy 60 kB.
            **dict.fromkeys(("caddy", "traefik", "envoy"), ()),
            "haproxy": ("global: tune.bufsize {header_size}",),
            "apache": ("worker: responsefieldsize={header_size}",),
        },
    ),
}
