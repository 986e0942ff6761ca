"""The request head that goes to an upstream, and the response head that goes to the client (pure).

Directives: `proxy_pass`, `proxy_set_header`, `proxy_http_version`; the fields that nginx sets,
drops and hides by itself stand in the tables here.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..config.directives.proxy import Proxy, SetHeader
from ..config.model import Location
from ..facts import Facts
from ..http.uri import escape_uri
from ..message import Header, ResponseHead
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

HIDDEN_FIELDS = frozenset(
    (
        "date",
        "server",
        "x-pad",
        "x-accel-expires",
        "x-accel-redirect",
        "x-accel-limit-rate",
        "x-accel-buffering",
        "x-accel-charset",
    )
)
"""Fields of the upstream's that the client does not see (`proxy_hide_header`)."""

FRAMING_FIELDS = frozenset(("connection", "keep-alive", "transfer-encoding", "content-length"))
"""Fields of the upstream's that speak of its connection, not of the client's."""


def upstream_uri(location: Location, facts: Facts) -> str:
    """The request target for the upstream of a `proxy_pass` without variables.

    Without a URI part in `proxy_pass` the client's own target goes on untouched. With one,
    it replaces the part of the normalised path that the location's name matched.
    """
    target = location.proxy.proxy_pass
    assert target is not None
    assert target.address is not None
    replacement = target.address.uri
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

    @classmethod
    def of(cls, proxy: Proxy) -> RequestFields:
        set_fields = proxy.proxy_set_header
        names = frozenset(field.name.lower() for field in set_fields)
        return cls(proxy.proxy_http_version, set_fields, names, names.union(OWN_FIELDS))

    def head(self, facts: Facts, uri: str, lookup: Lookup, body_length: int | None) -> bytes:
        """The whole head; `body_length` None is a request without a body."""
        request = facts.request
        version = "1.1" if self.http_version == 11 else "1.0"
        lines = [f"{facts.method} {uri} HTTP/{version}"]
        for field in self.set_fields:
            value = field.value.render(lookup)
            if value:
                lines.append(f"{field.name}: {value}")
        if "host" not in self.set_names:
            lines.append(f"Host: {facts.proxy_host}")
        if body_length is not None and "content-length" not in self.set_names:
            lines.append(f"Content-Length: {body_length}")
        replaced = self.replaced
        for name, value in request.headers:
            if name.lower() not in replaced:
                lines.append(f"{name}: {value}")
        lines.append("\r\n")
        return "\r\n".join(lines).encode("latin-1")


def passed_on(head: ResponseHead) -> tuple[Header, ...]:
    """The fields of a response that reach the client, but for those that frame it."""
    return tuple(
        [
            (name, value)
            for name, value in head.headers
            if (lowered := name.lower()) not in HIDDEN_FIELDS and lowered not in FRAMING_FIELDS
        ]
    )


def rewritten_redirect(location: Location, value: str) -> str | None:
    """What `proxy_redirect default` makes of a Location field; None where it leaves it alone.

    A redirect to the upstream's own address becomes one to the place it has here.
    """
    target = location.proxy.proxy_pass
    if target is None or target.address is None:
        return None
    if target.address.uri:
        pattern = target.url
        replacement = location.name.name
    else:
        pattern, replacement = target.url + "/", "/"
    if not value.startswith(pattern):
        return None
    return replacement + value[len(pattern) :]


def rewritten_refresh(location: Location, value: str) -> str | None:
    """The same for a Refresh field (`5; url=…`), which has its redirect behind `url=`."""
    delay, found, target = value.partition("url=")
    rewritten = rewritten_redirect(location, target) if found else None
    return None if rewritten is None else f"{delay}{found}{rewritten}"
