"""Build the request heads sent to upstreams (pure).

Directives: `proxy_pass`, `proxy_set_header`, `proxy_http_version`, `proxy_pass_request_headers`;
the fields that nginx sets and removes by default.
"""

from __future__ import annotations

from ..config.directives.proxy import ProxyPass, ProxySettings, SetHeader
from ..config.model import Location
from ..context import RequestContext
from ..http.uri import escape_uri
from ..variables import lookup

NEVER_FORWARDED = (
    "host",
    "connection",
    "proxy-connection",
    "content-length",
    "transfer-encoding",
    "te",
    "keep-alive",
    "expect",
    "upgrade",
)
"""Request fields that are never forwarded unchanged."""


CONDITIONAL_FIELDS = (
    "if-modified-since",
    "if-unmodified-since",
    "if-none-match",
    "if-match",
    "range",
    "if-range",
)
"""Request fields that are not forwarded if the response is to be cached."""


def upstream_uri(location: Location, target: ProxyPass, ctx: RequestContext) -> str:
    """The request target for an upstream; `target` is the `proxy_pass` without its variables.

    If `proxy_pass` has no URI part, the client's target is used unchanged. Otherwise the URI
    part replaces the part of the normalized path that the location's name matched; if it
    contains variables, it is the complete target.
    """
    assert target.address is not None
    replacement = target.address.uri
    if replacement and target.template is not None:
        return replacement if replacement.startswith("/") else f"/{replacement}"
    if not replacement and ctx.uri_unchanged and ctx.request.target.startswith("/"):
        return ctx.request.target
    matched = len(location.name.name) if replacement and ctx.uri_matches_location else 0
    rest = ctx.uri[matched:]
    if ctx.internal or "%" in ctx.request.target.partition("?")[0]:
        rest = escape_uri(rest)
    if not ctx.uri_matches_location:
        replacement = ""
    return replacement + rest + (f"?{ctx.args}" if ctx.args else "")


class RequestHeaderBuilder:
    """Builds the heads of a location's requests.

    The constant parts are formatted once, as a text with slots for fields that contain variables
    or depend on the request body.
    """

    __slots__ = ("_passes_headers", "_replaced", "_set_fields", "_set_names", "_version")

    def __init__(self, proxy: ProxySettings, *, cached: bool = False) -> None:
        """`cached` is whether responses are to be cached."""
        self._version = " HTTP/1.1\r\n" if proxy.proxy_http_version == 11 else " HTTP/1.0\r\n"
        self._set_names = frozenset(field.name.lower() for field in proxy.proxy_set_header)
        self._replaced = self._set_names.union(
            NEVER_FORWARDED, CONDITIONAL_FIELDS if cached else ()
        )
        self._passes_headers = proxy.proxy_pass_request_headers
        self._set_fields: list[str | SetHeader] = []
        """Constant fields as text, the others as configured."""
        for field in proxy.proxy_set_header:
            if not field.value.is_constant:
                self._set_fields.append(field)
            elif field.value.source:
                self._set_fields.append(f"{field.name}: {field.value.source}\r\n")

    def validators(self, last_modified: str, etag: str) -> str:
        """The fields that ask whether a stored response has changed (`proxy_cache_revalidate`)."""
        fields = (("If-Modified-Since", last_modified), ("If-None-Match", etag))
        return "".join(
            f"{name}: {value}\r\n"
            for name, value in fields
            if value and name.lower() not in self._set_names
        )

    def build(
        self,
        ctx: RequestContext,
        method: str,
        uri: str,
        body_length: int | None,
        validators: str = "",
        *,
        chunked: bool = False,
    ) -> bytes:
        """Build the head; `body_length` is None without a body and for a `chunked` one."""
        head = method + " " + uri + self._version
        values = None
        for field in self._set_fields:
            if isinstance(field, str):
                head += field
                continue
            values = values or lookup(ctx)
            value = field.value.render(values)
            if value:
                head += f"{field.name}: {value}\r\n"
        if "host" not in self._set_names:
            head += f"Host: {ctx.proxy_host}\r\n"
        if body_length is not None and "content-length" not in self._set_names:
            head += f"Content-Length: {body_length}\r\n"
        if chunked and "transfer-encoding" not in self._set_names:
            head += "Transfer-Encoding: chunked\r\n"
        head += validators
        if self._passes_headers:
            request, replaced = ctx.request, self._replaced
            names = request.names or [name.lower() for name, _ in request.headers]
            for position, lower_name in enumerate(names):
                if lower_name not in replaced:
                    name, value = request.headers[position]
                    head += f"{name}: {value}\r\n"
        return (head + "\r\n").encode("latin-1")
