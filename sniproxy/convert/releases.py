"""What older releases of nginx lack, from the versions in nginx's documentation.

A directive that a release does not know becomes a comment, and where a default has changed the
present one is written: the text then means the same there, as far as it can.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..config.model import Config
from .extensions import make_comment
from .source import SourceNode

HTTP3 = (
    "http3", "http3_hq", "http3_max_concurrent_streams", "http3_stream_buffer_size", "quic_bpf",
    "quic_retry", "quic_gso", "quic_host_key", "quic_active_connection_id_limit",
)  # fmt: skip
"""The directives of HTTP/3, which appeared with its module."""

GATEWAYS = ("fastcgi", "uwsgi", "scgi")

SINCE = {
    **dict.fromkeys(
        [f"{module}_socket_keepalive" for module in ("proxy", *GATEWAYS, "grpc", "memcached")],
        "1.15.6",
    ),
    "grpc_ssl_conf_command": "1.19.4",
    "grpc_ssl_certificate_cache": "1.27.4",
    "random": "1.15.1",
    "ssl_early_data": "1.15.3",
    "limit_req_dry_run": "1.17.1",
    "limit_conn_dry_run": "1.17.6",
    "auth_delay": "1.17.10",
    "ssl_ocsp": "1.19.0",
    "ssl_ocsp_cache": "1.19.0",
    "ssl_ocsp_responder": "1.19.0",
    "proxy_cookie_flags": "1.19.3",
    "proxy_ssl_conf_command": "1.19.4",
    "uwsgi_ssl_conf_command": "1.19.4",
    "ssl_conf_command": "1.19.4",
    "ssl_reject_handshake": "1.19.4",
    "keepalive_time": "1.19.10",
    **dict.fromkeys(HTTP3, "1.25.0"),
    "http2": "1.25.1",
    "proxy_pass_trailers": "1.27.2",
    "keepalive_min_timeout": "1.27.4",
    "proxy_ssl_certificate_cache": "1.27.4",
    "uwsgi_ssl_certificate_cache": "1.27.4",
    "ssl_certificate_cache": "1.27.4",
    "ssl_object_cache_inheritable": "1.27.4",
    "early_hints": "1.29.0",
    "ssl_certificate_compression": "1.29.1",
    "add_header_inherit": "1.29.3",
    "add_trailer_inherit": "1.29.3",
    "ssl_ech_file": "1.29.4",
    "sticky": "1.29.6",
    "max_headers": "1.29.8",
    "least_time": "1.31.0",
    **dict.fromkeys(
        [f"{module}_socket_rcvbuf" for module in ("proxy", *GATEWAYS, "grpc")], "1.31.3"
    ),
    **dict.fromkeys(
        [f"{module}_socket_sndbuf" for module in ("proxy", *GATEWAYS, "grpc")], "1.31.3"
    ),
    "client_body_early_read": "1.31.5",
}
"""The release in which a directive appeared, from 1.15 on."""
SINCE_IN_UPSTREAM = {"resolver": "1.27.3", "resolver_timeout": "1.27.3"}
"""The same for directives inside `upstream {}`."""
VARIABLES_SINCE = {
    "upstream_bytes_sent": "1.15.8",
    "proxy_protocol_server_addr": "1.17.6",
    "proxy_protocol_server_port": "1.17.6",
    "limit_conn_status": "1.17.6",
    "limit_req_status": "1.17.6",
    "connection_time": "1.19.10",
    "ssl_alpn_protocol": "1.21.4",
    "ssl_curve": "1.21.5",
    "is_request_port": "1.29.3",
    "request_port": "1.29.3",
    "ssl_client_sigalg": "1.29.3",
    "ssl_sigalg": "1.29.3",
    "ssl_ech_outer_server_name": "1.29.4",
    "ssl_ech_status": "1.29.4",
    "ssl_sigalgs": "1.31.2",
}
DEFAULTS = {
    "ssl_protocols": ("1.27.3", ("TLSv1.2", "TLSv1.3")),
    "proxy_ssl_protocols": ("1.27.3", ("TLSv1.2", "TLSv1.3")),
    "uwsgi_ssl_protocols": ("1.27.3", ("TLSv1.2", "TLSv1.3")),
    "grpc_ssl_protocols": ("1.27.3", ("TLSv1.2", "TLSv1.3")),
    "proxy_http_version": ("1.29.7", ("1.1",)),
}
"""Directives of `http {}` with the release that has the present default, and that default."""
KEEPALIVE_BY_DEFAULT = "1.29.7"
QUIC = "1.25.0"
HTTP2_TO_UPSTREAMS = "1.29.4"
INSTEAD = {
    "http2": "make http2 a parameter of listen instead",
    "ssl_reject_handshake": "give the server a certificate, and `return 444`",
}
"""What an older nginx has in place of a directive."""


@dataclass(frozen=True, slots=True, order=True)
class Release:
    """A release of nginx: `1.22` is the last one of that branch."""

    number: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> Release:
        """Raises ValueError for a text that is no version."""
        if not re.fullmatch(r"\d+\.\d+(\.\d+)?", text):
            raise ValueError(text)
        return cls(tuple(map(int, text.split("."))))

    def has(self, since: str) -> bool:
        """Whether it has what appeared in the release `since`."""
        wanted = tuple(map(int, since.split(".")))
        return self.number >= wanted[: len(self.number)]

    def __str__(self) -> str:
        return ".".join(map(str, self.number))


def lacking(root: SourceNode, config: Config, file: str, release: Release) -> list[str]:
    """Change the tree for an older nginx; returns notes about what it lacks."""
    notes: list[str] = []
    for block in [root, *(node for node in root.walk() if node.inside is not None)]:
        for node in list(block.children):
            since = SINCE.get(node.name)
            if block.name == "upstream":
                since = SINCE_IN_UPSTREAM.get(node.name, since)
            if since is not None and not release.has(since) and node.inside is None:
                note = f"not in nginx {release}: {node.name} appeared in {since}"
                if instead := INSTEAD.get(node.name):
                    note += f"; {instead}"
                notes.append(f"{file}:{node.line}: {note}")
                make_comment(block, node, note)
            else:
                notes += _value_notes(node, file, release)
        if block.name == "http":
            _write_defaults(block, release)
        if block.name == "upstream" and not release.has(KEEPALIVE_BY_DEFAULT):
            notes += _keepalive_notes(block, file, release)
    notes += _variable_notes(root, config, file, release)
    return notes


def _value_notes(node: SourceNode, file: str, release: Release) -> Iterator[str]:
    if node.name == "listen" and "quic" in node.args and not release.has(QUIC):
        yield (
            f"{file}:{node.line}: nginx {release} has no `listen ... quic` ({QUIC}): remove this "
            "directive"
        )
    if (node.name, node.args) == ("proxy_http_version", ("2",)) and not release.has(
        HTTP2_TO_UPSTREAMS
    ):
        yield (
            f"{file}:{node.line}: nginx {release} has no proxy_http_version 2 "
            f"({HTTP2_TO_UPSTREAMS}): use grpc_pass for a gRPC server"
        )


def _write_defaults(http: SourceNode, release: Release) -> None:
    """Write the defaults that the release does not have, at the beginning of `http {}`."""
    present = {node.name for node in http.children}
    added = [
        SourceNode(name, args, http.line, behind=f" the default since nginx {since}")
        for name, (since, args) in DEFAULTS.items()
        if name not in present and not release.has(since)
    ]
    http.children[:0] = added


def _keepalive_notes(group: SourceNode, file: str, release: Release) -> Iterator[str]:
    found = next((node for node in group.children if node.name == "keepalive"), None)
    if found is None:
        yield (
            f"{file}:{group.line}: nginx {release} keeps no connections to this group by default "
            f'(since {KEEPALIVE_BY_DEFAULT}): add keepalive, and proxy_set_header Connection ""'
        )
    elif len(found.args) == 2:
        found.args = found.args[:1]
        yield f'{file}:{found.line}: nginx {release} has no "local" ({KEEPALIVE_BY_DEFAULT})'


def _variable_notes(root: SourceNode, config: Config, file: str, release: Release) -> Iterator[str]:
    used = config.http.variables if config.http else frozenset()
    for name, since in VARIABLES_SINCE.items():
        if name not in used or release.has(since):
            continue
        for node in root.walk():
            if any(re.search(rf"\$\{{?{name}\b", arg) for arg in node.args):
                yield f"{file}:{node.line}: nginx {release} has no ${name} (since {since})"
