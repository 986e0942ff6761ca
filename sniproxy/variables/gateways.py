"""Variables of nginx's FastCGI module: the URI as the name of a script and a path."""

from __future__ import annotations

from ..context import RequestContext
from .variable import Variable


def _split(ctx: RequestContext) -> tuple[str, str]:
    """The URI, as `fastcgi_split_path_info` divides it."""
    pattern = ctx.location.upstreams.fastcgi.fastcgi_split_path_info
    match = None if pattern is None else pattern.search(ctx.uri)
    if match is None:
        return ctx.uri, ""
    return match[1] or "", match[2] or ""


def _script_name(ctx: RequestContext) -> str:
    name = _split(ctx)[0]
    if not name.endswith("/"):
        return name
    return name + (ctx.location.upstreams.fastcgi.fastcgi_index or "")


VARIABLES = (
    Variable(
        "fastcgi_script_name",
        _script_name,
        "the URI, or its first part by `fastcgi_split_path_info`; after a slash `fastcgi_index`",
    ),
    Variable(
        "fastcgi_path_info",
        lambda ctx: _split(ctx)[1],
        "the second part of the URI by `fastcgi_split_path_info`",
    ),
)
