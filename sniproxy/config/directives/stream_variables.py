"""The names of the variables inside `stream {}`; `stream/session_variables.py` evaluates them."""

from __future__ import annotations

_CORE = """
    binary_remote_addr remote_addr remote_port proxy_protocol_addr proxy_protocol_port
    proxy_protocol_server_addr proxy_protocol_server_port server_addr server_port server_name
    bytes_sent bytes_received session_time status connection nginx_version hostname pid msec
    time_iso8601 time_local protocol
"""
_MODULES = """
    realip_remote_addr realip_remote_port limit_conn_status
    ssl_preread_protocol ssl_preread_server_name ssl_preread_alpn_protocols
    upstream_addr upstream_bytes_sent upstream_bytes_received upstream_connect_time
    upstream_first_byte_time upstream_session_time
"""
_CHANGEABLE = """
    ssl_protocol ssl_cipher ssl_ciphers ssl_curve ssl_curves ssl_sigalg ssl_sigalgs ssl_session_id
    ssl_session_reused ssl_server_name ssl_alpn_protocol ssl_ech_status
    ssl_ech_outer_server_name ssl_client_cert ssl_client_raw_cert ssl_client_escaped_cert
    ssl_client_s_dn ssl_client_i_dn ssl_client_serial ssl_client_fingerprint ssl_client_verify
    ssl_client_v_start ssl_client_v_end ssl_client_v_remain ssl_client_sigalg
    upstream_ssl_server_name upstream_ssl_protocol upstream_ssl_cipher
    upstream_ssl_session_reused upstream_ssl_verify
"""
FIXED = frozenset((_CORE + _MODULES).split())
"""Variables that a configuration may not redefine."""
CHANGEABLE = frozenset(_CHANGEABLE.split())
PREFIXES = ("proxy_protocol_tlv_",)


def is_stream_variable(name: str) -> bool:
    """Whether `$name` (lower-case) exists without being defined by the configuration."""
    return name in FIXED or name in CHANGEABLE or name.isdigit() or name.startswith(PREFIXES)


def stream_definition_error(name: str) -> str | None:
    """Why a configuration may not define `$name` (lower-case), or None if it may."""
    return f'the duplicate "{name}" variable' if name in FIXED else None
