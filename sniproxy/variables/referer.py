"""The variable of nginx's referer module."""

from __future__ import annotations

from ..config.directives.referer import Referers
from ..config.model import Server
from ..config.wildcards import WildcardNames
from ..context import RequestContext
from .variable import Variable

_SHORTEST = len("http://i.ru")
_LONGEST_HOST = 256


def _invalid_referer(ctx: RequestContext) -> str:
    rules = ctx.location.filters.referers
    if not rules.valid_referers:
        return ""
    return "" if is_valid(ctx.request.header("referer"), rules, ctx.server) else "1"


def is_valid(referer: str | None, rules: Referers, server: Server) -> bool:
    """Whether a Referer field is one that `valid_referers` lists."""
    if referer is None:
        return rules.has("none")
    scheme, separator, rest = referer.partition("://")
    if len(referer) < _SHORTEST or not separator or scheme.lower() not in ("http", "https"):
        return rules.has("blocked")
    host = _host(rest)
    if len(host) > _LONGEST_HOST:
        return False
    names, from_server = _names(rules, server), rules.has("server_names")
    path = names.find(host)
    if path is not None:
        slash = rest.find("/", len(host))
        return (rest[slash:] if slash >= 0 else "").startswith(path)
    if from_server and any(
        name.pattern is not None and name.pattern.search(host) for name in server.names
    ):
        return True
    return any(pattern.search(rest) for pattern in rules.patterns)


def _host(rest: str) -> str:
    ends = [at for at in (rest.find("/"), rest.find(":")) if at >= 0]
    return rest[: min(ends)].lower() if ends else rest.lower()


def _names(rules: Referers, server: Server) -> WildcardNames[str]:
    """The beginnings of paths by host."""
    names: WildcardNames[str] = WildcardNames()
    for name in rules.names:
        names.add(name.host, name.path)
    for served in server.names if rules.has("server_names") else ():
        if served.pattern is None:
            names.add(served.name.lower(), "")
    return names


VARIABLES = (
    Variable(
        "invalid_referer",
        _invalid_referer,
        "`1` unless the Referer field is one of `valid_referers`",
        changeable=True,
    ),
)
