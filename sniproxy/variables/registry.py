"""The registry of all variables, and the lookup that templates use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from ..context import RequestContext
from ..models import Level
from ..template import Template, VariableLookup
from . import (
    browser,
    connections,
    core,
    dates,
    files,
    gateways,
    proxied,
    proxy_protocol,
    referer,
    secure_link,
    slices,
    ssl,
    upstream,
    userid,
)
from .maps import map_value
from .variable import Variable

# Variables of nginx modules that sniproxy lacks, and fields that are variables of their own in
# nginx. None of them may be redefined.
_RESERVED_NAMES = """
    http_cookie http_referer
    http_user_agent http_via http_x_forwarded_for
    proxy_internal_body_length
    sent_http_cache_control sent_http_content_length sent_http_content_type sent_http_keep_alive
    sent_http_last_modified sent_http_link sent_http_location sent_http_transfer_encoding
"""
RESERVED = frozenset(_RESERVED_NAMES.split())


# Their values depend on other variables, hence on the lookup below.
_FROM_VARIABLES = (
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
    Variable(
        "uid_set",
        lambda ctx: userid.uid_set(ctx, lookup(ctx)),
        "the identifier in the cookie that is sent (`userid`)",
    ),
)
VARIABLES: tuple[Variable, ...] = (
    *core.VARIABLES,
    *_FROM_VARIABLES,
    *dates.VARIABLES,
    *slices.VARIABLES,
    *proxied.VARIABLES,
    *gateways.VARIABLES,
    *referer.VARIABLES,
    *browser.VARIABLES,
    *userid.VARIABLES,
    *connections.VARIABLES,
    secure_link.EXPIRES,
    *proxy_protocol.VARIABLES,
    *(replace(variable, changeable=True) for variable in ssl.VARIABLES),
    *upstream.VARIABLES,
)
_SET_IN_PLACE = frozenset({"args", "limit_rate"})
"""Variables that `set` changes together with what they stand for."""
BY_NAME: dict[str, Callable[[RequestContext], str | None]] = {
    variable.name: variable.value
    for variable in VARIABLES
    if not variable.changeable or variable.name in _SET_IN_PLACE
}
"""The variables whose values are always nginx's own."""
REDEFINABLE: dict[str, Callable[[RequestContext], str | None]] = {
    variable.name: variable.value for variable in VARIABLES if variable.name not in BY_NAME
}
"""The variables that have the value of `set`, `map` and the like if a configuration uses these."""
_NOT_CHANGEABLE = frozenset(variable.name for variable in VARIABLES if not variable.changeable)
PREFIXES: tuple[tuple[str, Callable[[RequestContext, str], str | None]], ...] = (
    *core.PREFIXES,
    *proxy_protocol.PREFIXES,
    *upstream.PREFIXES,
)


def is_variable(name: str) -> bool:
    """Whether a configuration may use `$name`."""
    return (
        name in BY_NAME
        or name in REDEFINABLE
        or name.isdigit()
        or any(name.startswith(p) for p, _ in PREFIXES)
    )


def definition_error(name: str) -> str | None:
    """Why a configuration may not define `$name` (lower-case), or None if it may."""
    if name in RESERVED or name in _NOT_CHANGEABLE:
        return f'the duplicate "{name}" variable'
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


def any_is_set(conditions: Sequence[Sequence[Template]], ctx: RequestContext) -> bool:
    """Whether a value is neither empty nor `0` (`ngx_http_test_predicates`)."""
    if not conditions:
        return False
    values = lookup(ctx)
    return any(
        condition.render(values) not in ("", "0") for group in conditions for condition in group
    )


def _value(ctx: RequestContext, name: str) -> str | None:
    of = BY_NAME.get(name)
    if of is not None:
        return of(ctx)
    if name in ctx.variables:
        return ctx.variables[name]
    table = ctx.server.map_variables.get(name)
    if table is not None:
        return map_value(name, table, ctx, lookup(ctx))
    of = REDEFINABLE.get(name)
    if of is not None:
        return of(ctx)
    for prefix, of_suffix in PREFIXES:
        if name.startswith(prefix):
            return of_suffix(ctx, name[len(prefix) :])
    if name in ctx.server.set_variables:
        return _not_set(ctx, name)
    return _capture(ctx, int(name)) if name.isdigit() else None


def _not_set(ctx: RequestContext, name: str) -> str:
    """The value of a variable before its `set`: empty, and a warning for the first time."""
    if ctx.location.rewrite.uninitialized_variable_warn and ctx.connection.write_log is not None:
        text = f'using uninitialized "{name}" variable'
        ctx.connection.write_log(Level.WARN, text)
    ctx.variables[name] = ""
    return ""


def _capture(ctx: RequestContext, group: int) -> str | None:
    match = ctx.captures
    return match[group] if match is not None and group <= match.re.groups else None
