"""Checks of the complete `stream {}` block, in nginx's order."""

from __future__ import annotations

from .directives.stream_variables import is_stream_variable
from .postconf import (
    check_all_names,
    check_certificates,
    check_groups,
    check_keys,
    check_upstream_tls,
    check_variables,
)
from .reader import Block
from .shared_sessions import SessionUser, shared_sessions
from .stream_checks import StreamChecks
from .stream_model import Stream, StreamServer


def check_stream(
    stream: Stream, block: Block, checks: StreamChecks, *, checks_variables: bool
) -> None:
    """Raise `ConfigError` for the first error; `checks_variables`: also for unknown variables."""
    check_groups(stream.groups.values())
    for server in stream.servers:
        check_keys(server.ssl, block.end, checks)
    for server in stream.servers:
        if server.proxy.proxy_ssl:
            check_upstream_tls(server.proxy)
    check_certificates(checks.listened, [server.ssl for server in stream.servers], block)
    if checks_variables:
        check_variables(checks, is_stream_variable)
    check_all_names(checks, block)
    users = filter(None, map(_session_user, stream.servers))
    for advice in shared_sessions(users, stream.groups):
        checks.warn(advice.text, advice.place)


def _session_user(server: StreamServer) -> SessionUser | None:
    """How a server uses TLS sessions with its upstream; None if it connects without TLS."""
    target = server.target
    if target is None or not server.proxy.proxy_ssl:
        return None
    return SessionUser(f"server in {server.place}", server.proxy, target, target.url)
