"""The request head that goes to an upstream (pure).

Directives: `proxy_pass`, `proxy_set_header`, `proxy_http_version`, `proxy_pass_request_headers`;
the fields that nginx sets and drops by itself stand in the table here.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..config.directives.proxy import Proxy, ProxyPass, SetHeader
from ..config.model import Location
from ..facts import Facts
from ..http.uri import escape_uri
from ..script import Lookup

OWN_FIELDS = (
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
"""Fields of the client's that are never passed on as they are."""


def upstream_uri(location: Location, target: ProxyPass, facts: Facts) -> str:
    """The request target for an upstream; `target` is the `proxy_pass` without its variables.

    Without a URI part in `proxy_pass` the client's own target goes on untouched. With one,
    it replaces the part of the normalised path that the location's name matched; if it came
    from variables, it is the whole.
    """
    assert target.address is not None
    replacement = target.address.uri
    if replacement and target.template is not None:
        return replacement if replacement.startswith("/") else f"/{replacement}"
    if not replacement and facts.uri_is_clients and facts.request.target.startswith("/"):
        return facts.request.target
    matched = len(location.name.name) if replacement and facts.location_matched else 0
    rest = facts.uri[matched:]
    if facts.internal or "%" in facts.request.target.partition("?")[0]:
        rest = escape_uri(rest)
    if not facts.location_matched:
        replacement = ""
    return replacement + rest + (f"?{facts.args}" if facts.args else "")


@dataclass(frozen=True, slots=True)
class RequestFields:
    """The header fields of a location's requests, as far as the configuration settles them."""

    http_version: int
    set_fields: tuple[SetHeader, ...]
    """What the configuration sets; nginx's own fields come behind it."""
    set_names: frozenset[str]
    replaced: frozenset[str]
    """The client's fields that do not go on, lower-case."""
    passes_headers: bool

    @classmethod
    def of(cls, proxy: Proxy) -> RequestFields:
        set_fields = proxy.proxy_set_header
        names = frozenset(field.name.lower() for field in set_fields)
        return cls(
            proxy.proxy_http_version,
            set_fields,
            names,
            names.union(OWN_FIELDS),
            proxy.proxy_pass_request_headers,
        )

    def head(
        self,
        facts: Facts,
        method: str,
        uri: str,
        lookup: Lookup,
        body_length: int | None,
        *,
        chunked: bool = False,
    ) -> bytes:
        """The whole head; `body_length` None is a request without a body, or a `chunked` one."""
        version = "1.1" if self.http_version == 11 else "1.0"
        lines = [f"{method} {uri} HTTP/{version}"]
        for field in self.set_fields:
            value = field.value.render(lookup)
            if value:
                lines.append(f"{field.name}: {value}")
        if "host" not in self.set_names:
            lines.append(f"Host: {facts.proxy_host}")
        if body_length is not None and "content-length" not in self.set_names:
            lines.append(f"Content-Length: {body_length}")
        if chunked and "transfer-encoding" not in self.set_names:
            lines.append("Transfer-Encoding: chunked")
        if self.passes_headers:
            replaced = self.replaced
            for name, value in facts.request.headers:
                if name.lower() not in replaced:
                    lines.append(f"{name}: {value}")
        lines.append("\r\n")
        return "\r\n".join(lines).encode("latin-1")
