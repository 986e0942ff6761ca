"""The registry of all variables, and the lookup that templates use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from ..context import RequestContext
from ..template import VariableLookup
from . import core, files, proxied, proxy_protocol, referer, secure_link, ssl, upstream
from .maps import map_value
from .variable import Variable

# Variables of nginx modules that sniproxy lacks, and fields that are variables of their own in
# nginx. None of them may be redefined.
_RESERVED_NAMES = """
    date_gmt date_local fastcgi_script_name http_cookie http_referer
    http_user_agent http_via http_x_forwarded_for
    proxy_internal_body_length
    sent_http_cache_control sent_http_content_length sent_http_content_type sent_http_keep_alive
    sent_http_last_modified sent_http_link sent_http_location sent_http_transfer_encoding uid_got
"""
RESERVED = frozenset(_RESERVED_NAMES.split())


# Their values depend on the variables inside `root` and `alias`, hence on the lookup below.
_FILE_VARIABLES = (
    Variable(
        "document_root",
        lambda ctx: files.document_root(ctx, lookup(ctx)),
        "directory of the files (`root` or `alias`)",
    ),
    Variable(
        "realpath_root",
        lambda ctx: files.realpath_root(ctx, lookup(ctx)),
        "$document_root with symbolic links resolved",
    ),
    Variable(
        "request_filename",
        lambda ctx: files.file_name(ctx, lookup(ctx)),
        "file name for the request",
    ),
    Variable(
        "secure_link",
        lambda ctx: secure_link.secure_link(ctx, lookup(ctx)),
        "`1` if the link has the right signature, `0` if it has expired, else empty",
    ),
)
VARIABLES: tuple[Variable, ...] = (
    *core.VARIABLES,
    *_FILE_VARIABLES,
    *proxied.VARIABLES,
    *referer.VARIABLES,
    secure_link.EXPIRES,
    *proxy_protocol.VARIABLES,
    *(replace(variable, changeable=True) for variable in ssl.VARIABLES),
    *upstream.VARIABLES,
)
BY_NAME: dict[str, Callable[[RequestContext], str | None]] = {
    variable.name: variable.value for variable in VARIABLES
}
_NOT_CHANGEABLE = frozenset(variable.name for variable in VARIABLES if not variable.changeable)
# nginx allows all changeable variables to be redefined; sniproxy supports `set` of these.
_ASSIGNABLE = frozenset({"args", "limit_rate"})
PREFIXES: tuple[tuple[str, Callable[[RequestContext, str], str | None]], ...] = (
    *core.PREFIXES,
    *proxy_protocol.PREFIXES,
    *upstream.PREFIXES,
)


def is_variable(name: str) -> bool:
    """Whether a configuration may use `$name`."""
    return name in BY_NAME or name.isdigit() or any(name.startswith(p) for p, _ in PREFIXES)


def definition_error(name: str) -> str | None:
    """Why a configuration may not define `$name` (lower-case), or None if it may."""
    if name in RESERVED or name in _NOT_CHANGEABLE:
        return f'the duplicate "{name}" variable'
    if name in BY_NAME and name not in _ASSIGNABLE:
        return f'sniproxy cannot change the "{name}" variable yet'
    return None


def getter(name: str) -> Callable[[RequestContext], str | None]:
    """The function that evaluates one variable: for formats that are rendered often."""
    return BY_NAME.get(name) or core.request_header_getter(name, _value) or partial(_by_name, name)


def _by_name(name: str, ctx: RequestContext) -> str | None:
    return _value(ctx, name)


def lookup(ctx: RequestContext) -> VariableLookup:
    """The function that evaluates variables for one request."""
    # Not a closure: one that refers to itself would keep `ctx` alive until garbage collection.
    return partial(_value, ctx)


def _value(ctx: RequestContext, name: str) -> str | None:
    of = BY_NAME.get(name)
    if of is not None:
        return of(ctx)
    if name in ctx.variables:
        return ctx.variables[name]
    table = ctx.server.map_variables.get(name)
    if table is not None:
        return map_value(name, table, ctx, lookup(ctx))
    for prefix, of_suffix in PREFIXES:
        if name.startswith(prefix):
            return of_suffix(ctx, name[len(prefix) :])
    return _capture(ctx, int(name)) if name.isdigit() else None


def _capture(ctx: RequestContext, group: int) -> str | None:
    match = ctx.captures
    return match[group] if match is not None and group <= match.re.groups else None
