"""The variables of `stream {}`, evaluated on the state of a session."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import cast

from ..template import VariableLookup
from ..variables import core, proxy_protocol, ssl, upstream
from ..variables.maps import map_value
from ..variables.variable import Variable, seconds
from .session_context import SessionContext

Evaluate = Callable[[SessionContext], str | None]

_SHARED = (
    *("binary_remote_addr", "remote_addr", "remote_port", "server_addr", "server_port"),
    *("server_name", "connection", "nginx_version", "hostname", "pid", "msec", "time_iso8601"),
    *("time_local", "bytes_sent", "realip_remote_addr", "realip_remote_port"),
    *("limit_conn_status", "upstream_addr", "upstream_bytes_sent", "upstream_bytes_received"),
    "upstream_connect_time",
)
"""Variables of http modules that depend only on what requests and sessions have in common."""


def _of_http(variables: tuple[Variable, ...]) -> dict[str, Evaluate]:
    return {variable.name: cast(Evaluate, variable.value) for variable in variables}


def _all_of_http() -> dict[str, Evaluate]:
    plain = _of_http((*core.VARIABLES, *upstream.VARIABLES))
    return {
        **{name: value for name, value in plain.items() if name in _SHARED},
        **_of_http(proxy_protocol.VARIABLES),
    }


def _preread_protocol(ctx: SessionContext) -> str | None:
    return None if ctx.hello is None else ctx.hello.protocol


def _preread_server_name(ctx: SessionContext) -> str | None:
    return None if ctx.hello is None else ctx.hello.server_name


def _preread_alpn(ctx: SessionContext) -> str | None:
    return None if ctx.hello is None else ctx.hello.alpn


_ONLY_HTTP = ("ssl_early_data", "ssl_client_s_dn_legacy", "ssl_client_i_dn_legacy")
_OF_UPSTREAM = _of_http(upstream.VARIABLES)

FIXED: dict[str, Evaluate] = {
    **_all_of_http(),
    "bytes_received": lambda ctx: str(ctx.received),
    "session_time": lambda ctx: seconds(time.time() - ctx.started),
    "status": lambda ctx: f"{ctx.status:03d}",
    "protocol": lambda ctx: "UDP" if ctx.is_udp else "TCP",
    "ssl_preread_protocol": _preread_protocol,
    "ssl_preread_server_name": _preread_server_name,
    "ssl_preread_alpn_protocols": _preread_alpn,
    "upstream_first_byte_time": _OF_UPSTREAM["upstream_header_time"],
    "upstream_session_time": _OF_UPSTREAM["upstream_response_time"],
}
"""The variables whose values are always nginx's own."""
_BEFORE_HANDSHAKE = {
    "ssl_protocol": "TLSv1.3",
    "ssl_cipher": "(NONE)",
    "ssl_session_reused": ".",
    "ssl_client_verify": "NONE",
}
"""What OpenSSL has for a handshake that failed; HTTP logs no request then."""


def _even_failed(name: str, value: Evaluate) -> Evaluate:
    """The variable of the ssl module; it has a value for a failed handshake too."""
    before = _BEFORE_HANDSHAKE.get(name)
    if before is None:
        return value

    def of(ctx: SessionContext) -> str | None:
        tls = ctx.connection.tls
        return before if tls is not None and not tls.established else value(ctx)

    return of


def _server_name(ctx: SessionContext) -> str | None:
    """The SNI, unless the handshake was rejected because of it."""
    tls = ctx.connection.tls
    if tls is None or (not tls.established and ctx.server.ssl.ssl_reject_handshake):
        return None
    return tls.server_name or None


CHANGEABLE: dict[str, Evaluate] = {
    name: _server_name if name == "ssl_server_name" else _even_failed(name, value)
    for name, value in {**_of_http(ssl.VARIABLES), **_OF_UPSTREAM}.items()
    if name not in FIXED and name.startswith(("ssl_", "upstream_ssl_")) and name not in _ONLY_HTTP
}
"""The variables that have the value of `set`, `map` and the like if a configuration uses these."""
_PREFIXES = tuple(
    (prefix, cast(Callable[[SessionContext, str], "str | None"], value))
    for prefix, value in proxy_protocol.PREFIXES
)


_OWN = {
    "bytes_received": "bytes received from the client",
    "session_time": "duration of the session in seconds",
    "status": "status of the session: 200, 400, 403, 500, 502 or 503",
    "protocol": "`TCP` or `UDP`",
    "ssl_preread_protocol": "highest TLS version that the client supports (`ssl_preread`)",
    "ssl_preread_server_name": "server name requested by the client (`ssl_preread`)",
    "ssl_preread_alpn_protocols": "protocols offered by ALPN, separated by commas (`ssl_preread`)",
    "upstream_first_byte_time": "time to receive the first byte from each peer",
    "upstream_session_time": "time that a session with each peer took",
}


def descriptions() -> dict[str, str]:
    """What each variable is, by name."""
    modules = (core.VARIABLES, proxy_protocol.VARIABLES, ssl.VARIABLES, upstream.VARIABLES)
    of_http = {variable.name: variable.doc for module in modules for variable in module}
    return {name: _OWN.get(name) or of_http[name] for name in (*FIXED, *CHANGEABLE)}


def session_lookup(ctx: SessionContext) -> VariableLookup:
    """The function that evaluates variables for one session."""
    return partial(_value, ctx)


def session_getter(name: str) -> Evaluate:
    """The function that evaluates one variable: for formats that are rendered often."""
    return FIXED.get(name) or partial(_by_name, name)


def _by_name(name: str, ctx: SessionContext) -> str | None:
    return _value(ctx, name)


def _value(ctx: SessionContext, name: str) -> str | None:
    of = FIXED.get(name)
    if of is not None:
        return of(ctx)
    if name in ctx.variables:
        return ctx.variables[name]
    table = ctx.server.map_variables.get(name)
    if table is not None:
        return map_value(name, table, ctx, session_lookup(ctx))
    of = CHANGEABLE.get(name)
    if of is not None:
        return of(ctx)
    for prefix, of_suffix in _PREFIXES:
        if name.startswith(prefix):
            return of_suffix(ctx, name[len(prefix) :])
    if name in ctx.server.set_variables:
        return ""
    if name.isdigit() and ctx.captures is not None and int(name) <= ctx.captures.re.groups:
        return ctx.captures[int(name)]
    return None
