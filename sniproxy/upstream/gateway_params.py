"""The parameters of requests to application servers (pure): `fastcgi_param` and its kin.

The fields of the request follow as `HTTP_…`, unless a parameter has that name.
"""

from __future__ import annotations

from ..config.directives.gateways import GatewaySettings, Param
from ..context import RequestContext
from ..template import compile_template
from ..variables import lookup

_DEFAULTS = (("HTTP_HOST", "$host$is_request_port$request_port"),)
_STORED_DEFAULTS = (
    *_DEFAULTS,
    ("HTTP_IF_MODIFIED_SINCE", "$upstream_cache_last_modified"),
    ("HTTP_IF_UNMODIFIED_SINCE", ""),
    ("HTTP_IF_NONE_MATCH", "$upstream_cache_etag"),
    ("HTTP_IF_MATCH", ""),
    ("HTTP_RANGE", ""),
    ("HTTP_IF_RANGE", ""),
)
"""For requests whose responses are to be cached."""
_FIELD = "HTTP_"
_UPPER = {**{ord(c): c.upper() for c in "abcdefghijklmnopqrstuvwxyz"}, ord("-"): "_"}
"""nginx changes no other characters of a field's name."""


class GatewayParams:
    """The parameters of a location's requests."""

    __slots__ = ("_params", "_passes_fields", "_replaced")

    def __init__(self, settings: GatewaySettings, *, stores: bool = False) -> None:
        """`stores` is whether responses are to be cached."""
        params = list(settings.params)
        taken = {param.name.lower() for param in params}
        for name, value in _STORED_DEFAULTS if stores else _DEFAULTS:
            if name.lower() not in taken:
                params.append(Param(name, compile_template(value), skips_empty=True))
        fields = [param for param in params if param.name.startswith(_FIELD) and param.name[5:]]
        self._replaced = frozenset(param.name.lower() for param in fields)
        """Names of parameters, in lower case, in whose place no field is sent."""
        without_value = [param for param in fields if not param.value.source]
        self._params = tuple([param for param in params if param not in without_value])
        self._passes_fields = settings.pass_request_headers

    def pairs(self, ctx: RequestContext) -> list[tuple[str, str]]:
        """Names and values of the parameters of a request, in nginx's order."""
        values = lookup(ctx)
        found = []
        for param in self._params:
            value = param.value.render(values)
            if value or not param.skips_empty:
                found.append((param.name, value))
        if self._passes_fields:
            found += self._fields(ctx)
        return found

    def _fields(self, ctx: RequestContext) -> list[tuple[str, str]]:
        joined: dict[str, tuple[str, str]] = {}
        for name, value in ctx.request.headers:
            key = name.lower()
            first = joined.get(key)
            if first is None:
                joined[key] = (_FIELD + name.translate(_UPPER), value)
            else:
                separator = "; " if key == "cookie" else ", "
                joined[key] = (first[0], f"{first[1]}{separator}{value}")
        replaced = self._replaced
        return [
            pair for key, pair in joined.items() if f"http_{key.replace('-', '_')}" not in replaced
        ]
