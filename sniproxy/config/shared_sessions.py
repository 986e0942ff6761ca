"""Warn (a sniproxy extension) of locations that share TLS sessions but verify differently.

nginx stores one TLS session per peer, and all locations that pass to its address or group share
the peer. A resumed session carries the certificate and the verification result of the original
handshake. So a location may accept a peer that its own CA never signed, or reject one that it
would accept, depending on which location connected first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from .directives.proxy import ProxySettings
from .model import Location
from .tree import Place


@dataclass(frozen=True, slots=True)
class ConfigWarning:
    """The warning, and the `proxy_pass` it refers to."""

    text: str
    place: Place


def shared_sessions(
    locations: Iterable[Location], groups: Collection[str]
) -> Iterator[ConfigWarning]:
    """At most one warning per upstream; `groups` are lower-case names of `upstream` blocks."""
    first: dict[tuple[str, int], Location] = {}
    warned: set[tuple[str, int]] = set()
    for location in locations:
        target = location.proxy.proxy_pass
        if target is None or target.address is None or not target.tls:
            continue
        if not location.proxy.ssl_session_reuse:
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
                " a resumed session keeps the certificate and the verification result of its"
                ' original handshake (fix: "proxy_ssl_session_reuse off")',
                Place(target.file, target.line),
            )


def _differing(one: ProxySettings, other: ProxySettings) -> Iterator[str]:
    """Names of the directives, relevant to a session, in which two locations differ."""
    if one.ssl_verify is not other.ssl_verify:
        yield "proxy_ssl_verify"
    elif one.ssl_verify:
        if one.ssl_trusted_certificate != other.ssl_trusted_certificate:
            yield "proxy_ssl_trusted_certificate"
        if one.ssl_verify_depth != other.ssl_verify_depth:
            yield "proxy_ssl_verify_depth"
        if one.ssl_crl != other.ssl_crl:
            yield "proxy_ssl_crl"
    if _uses_name(one) and _uses_name(other) and one.ssl_name != other.ssl_name:
        yield "proxy_ssl_name"


def _uses_name(proxy: ProxySettings) -> bool:
    return proxy.ssl_verify or proxy.ssl_server_name


def _describe(location: Location) -> str:
    name = location.name
    return f'location "{" ".join(filter(None, (name.modifier, name.name)))}"'
