"""For each `https` `proxy_pass`: the SNI, the verified name, and which locations share sessions.

Pure: no DNS lookups, no sockets. Names that depend on the request are shown as written, or
evaluated for a given Host.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..config.directives.proxy import ProxyPass, ProxySettings
from ..config.model import Config, Http, Location, Server, iter_locations
from ..server_name import verified, why_not_sent, without_port
from ..variables import lookup
from .proxy_passes import may_be_tls
from .synthetic import context_in

NOT_SENT = "not sent"


@dataclass(frozen=True, slots=True)
class UpstreamNames:
    """One `proxy_pass` to `https`."""

    server: str
    location: str
    file: str
    line: int
    url: str
    peers: tuple[str, ...]
    """As written in the configuration."""
    name: str
    """The name that SNI and verification are derived from, without its port."""
    server_name: str
    """The SNI, or `not sent` and the reason."""
    verified: str
    """The name that is verified, with CA file and depth; or `not verified`."""
    shares: tuple[str, ...]
    """Labels of the other locations whose TLS sessions it may resume."""


def upstream_names(config: Config, host: str | None = None) -> list[UpstreamNames]:
    """Every `https` `proxy_pass` of `config`, in file order.

    With `host`, names that depend on the request are evaluated for `GET /` with that Host.
    """
    http = config.http or Http((), {}, {})
    found = list(_tls_locations(http))
    sharing: dict[str, list[str]] = {}
    for server, location, target in found:
        if location.proxy.proxy_ssl_session_reuse:
            sharing.setdefault(_upstream_key(target), []).append(_label(server, location))
    return [_describe(http, *entry, sharing, host) for entry in found]


def _tls_locations(http: Http) -> Iterator[tuple[Server, Location, ProxyPass]]:
    for server in http.servers:
        for location in iter_locations(server.default_location):
            target = location.proxy.proxy_pass
            if target is not None and (target.tls or may_be_tls(target)):
                yield server, location, target


def _upstream_key(target: ProxyPass) -> str:
    address = target.address
    return target.url if address is None else f"{address.host.lower()}:{address.port}"


def _label(server: Server, location: Location) -> str:
    modifier = location.name.modifier.strip("@")
    name = f"{modifier} {location.name.name}" if modifier else location.name.name
    return f"{server.name or '_'} {name or '(server)'}"


def _describe(
    http: Http,
    server: Server,
    location: Location,
    target: ProxyPass,
    sharing: dict[str, list[str]],
    host: str | None,
) -> UpstreamNames:
    proxy = location.proxy
    text = _name_text(proxy, target)
    depends = "$" in text
    if depends and host is not None:
        text = _evaluated(server, location, target, host)
        depends = False
    name = text if depends else without_port(text)
    label = _label(server, location)
    shared = sharing.get(_upstream_key(target), []) if proxy.proxy_ssl_session_reuse else []
    return UpstreamNames(
        server=server.name,
        location=label,
        file=target.file,
        line=target.line,
        url=target.url,
        peers=_peers(http, target),
        name=name,
        server_name=_server_name(proxy, name, depends),
        verified=_verified(proxy, name),
        shares=tuple(other for other in shared if other != label),
    )


def _name_text(proxy: ProxySettings, target: ProxyPass) -> str:
    if proxy.proxy_ssl_name is not None:
        return proxy.proxy_ssl_name.source
    return "$proxy_host" if target.address is None else target.address.host


def _evaluated(server: Server, location: Location, target: ProxyPass, host: str) -> str:
    ctx = context_in(server, location, "/", host)
    ctx.proxy_host = target.proxy_host
    template = location.proxy.proxy_ssl_name or target.template
    assert template is not None
    text = template.render(lookup(ctx))
    return text if location.proxy.proxy_ssl_name else text.partition("//")[2].partition("/")[0]


def _server_name(proxy: ProxySettings, name: str, depends: bool) -> str:
    # A value that depends on the request is assumed to be a DNS name.
    known = "$" if depends else name
    reason = why_not_sent(known, proxy_ssl_server_name=proxy.proxy_ssl_server_name)
    return f"{NOT_SENT}: {reason}" if reason else name


def _verified(proxy: ProxySettings, name: str) -> str:
    return verified(
        name,
        proxy_ssl_verify=proxy.proxy_ssl_verify,
        trusted=proxy.proxy_ssl_trusted_certificate,
        depth=proxy.proxy_ssl_verify_depth,
    )


def _peers(http: Http, target: ProxyPass) -> tuple[str, ...]:
    if target.address is None:
        return ("by variables",)
    group = http.groups.get(target.address.host.lower())
    if group is None:
        address = target.address
        return (address.host if address.is_unix else f"{address.host}:{address.port}",)
    return tuple(peer.address.url for peer in group.settings.server)
