"""Variables of nginx's http proxy module."""

from __future__ import annotations

from ..context import RequestContext
from .variable import Variable


def _forwarded_for(ctx: RequestContext) -> str:
    forwarded = [v for n, v in ctx.request.headers if n.lower() == "x-forwarded-for"]
    return ", ".join([*forwarded, ctx.connection.client_address])


VARIABLES = (
    Variable(
        "proxy_host", lambda f: f.proxy_host, "host and port of `proxy_pass`", changeable=True
    ),
    Variable("proxy_port", lambda f: f.proxy_port, "port of `proxy_pass`", changeable=True),
    Variable(
        "proxy_add_x_forwarded_for",
        _forwarded_for,
        "X-Forwarded-For with the client's address appended",
    ),
)
