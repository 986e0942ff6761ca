"""A warning of ours: locations that share the TLS sessions of a peer and want different things.

nginx keeps one session a peer, and a peer belongs to whatever locations pass to its address
or group. A resumed session shows no certificate: it brings the one that it began with, and
the verdict on its chain. So a location can find good what its own authority never signed, or
refuse what it would have accepted, depending on who came first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from .directives.proxy import Proxy
from .model import Location
from .tree import Place


@dataclass(frozen=True, slots=True)
class ConfigWarning:
    """What to say, and the `proxy_pass` to say it of."""

    text: str
    place: Place


def shared_sessions(
    locations: Iterable[Location], groups: Collection[str]
) -> Iterator[ConfigWarning]:
    """One warning an upstream; `groups` are the lower-cased names of `upstream` blocks."""
    first: dict[tuple[str, int], Location] = {}
    warned: set[tuple[str, int]] = set()
    for location in locations:
        target = location.proxy.proxy_pass
        if target is None or target.address is None or not target.tls:
            continue
        if not location.proxy.proxy_ssl_session_reuse:
            continue
        host = target.address.host.lower()
        upstream = (host, 0 if host in groups else target.address.port)
        other = first.setdefault(upstream, location)
        differing = list(_differing(other.proxy, location.proxy))
        if differing and upstream not in warned:
            warned.add(upstream)
            yield ConfigWarning(
                f"{_describe(other)} and {_describe(location)} share the TLS sessions of"
                f' "{target.proxy_host}" and differ in {" and ".join(differing)}:'
                " a resumed session keeps the certificate and the verdict of the first one"
                ' (cure: "proxy_ssl_session_reuse off")',
                Place(target.file, target.line),
            )


def _differing(one: Proxy, other: Proxy) -> Iterator[str]:
    """The directives that a session's maker and its user should agree on."""
    if one.proxy_ssl_verify is not other.proxy_ssl_verify:
        yield "proxy_ssl_verify"
    elif one.proxy_ssl_verify:
        if one.proxy_ssl_trusted_certificate != other.proxy_ssl_trusted_certificate:
            yield "proxy_ssl_trusted_certificate"
        if one.proxy_ssl_verify_depth != other.proxy_ssl_verify_depth:
            yield "proxy_ssl_verify_depth"
        if one.proxy_ssl_crl != other.proxy_ssl_crl:
            yield "proxy_ssl_crl"
    if _uses_name(one) and _uses_name(other) and one.proxy_ssl_name != other.proxy_ssl_name:
        yield "proxy_ssl_name"


def _uses_name(proxy: Proxy) -> bool:
    return proxy.proxy_ssl_verify or proxy.proxy_ssl_server_name


def _describe(location: Location) -> str:
    name = location.name
    return f'location "{" ".join(filter(None, (name.modifier, name.name)))}"'
