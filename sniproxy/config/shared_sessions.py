"""Warn (a sniproxy extension) of locations that share TLS sessions but verify differently.

nginx stores one TLS session per peer, and all locations that pass to its address or group share
the peer. A resumed session carries the certificate and the verification result of the original
handshake. So a location may accept a peer that its own CA never signed, or reject one that it
would accept, depending on which location connected first. The same is true of the servers of
`stream {}`, which have peers of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from .directives.upstream_target import ProxyPass
from .directives.upstream_tls import ConnectionSettings
from .model import Location
from .tree import Place


@dataclass(frozen=True, slots=True)
class ConfigWarning:
    """The warning, and the `proxy_pass` it refers to."""

    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class SessionUser:
    """A location, or a server of `stream {}`, that passes to an upstream by TLS."""

    text: str
    """As warnings name it: `location "/"`."""
    settings: ConnectionSettings
    target: ProxyPass
    upstream: str
    """As warnings name the upstream."""


def location_user(location: Location) -> SessionUser | None:
    """How a location uses TLS sessions with its upstream; None if it connects without TLS."""
    target = location.proxy.proxy_pass
    if target is None or not target.tls:
        return None
    name = location.name
    text = f'location "{" ".join(filter(None, (name.modifier, name.name)))}"'
    return SessionUser(text, location.proxy, target, target.proxy_host)


def shared_sessions(
    users: Iterable[SessionUser], groups: Collection[str]
) -> Iterator[ConfigWarning]:
    """At most one warning per upstream; `groups` are lower-case names of `upstream` blocks."""
    first: dict[tuple[str, int], SessionUser] = {}
    warned: set[tuple[str, int]] = set()
    for user in users:
        target = user.target
        if target.address is None or not user.settings.ssl_session_reuse:
            continue
        host = target.address.host.lower()
        upstream = (host, 0 if host in groups else target.address.port)
        other = first.setdefault(upstream, user)
        differing = list(_differing(other.settings, user.settings))
        if differing and upstream not in warned:
            warned.add(upstream)
            yield ConfigWarning(
                f"{other.text} and {user.text} share the TLS sessions of"
                f' "{user.upstream}" and differ in {" and ".join(differing)}:'
                " a resumed session keeps the certificate and the verification result of its"
                f' original handshake (fix: "{user.settings.PREFIX}ssl_session_reuse off")',
                Place(target.file, target.line),
            )


def _differing(one: ConnectionSettings, other: ConnectionSettings) -> Iterator[str]:
    """Names of the directives, relevant to a session, in which two users differ."""
    prefix = other.PREFIX
    if one.ssl_verify is not other.ssl_verify:
        yield f"{prefix}ssl_verify"
    elif one.ssl_verify:
        if one.ssl_trusted_certificate != other.ssl_trusted_certificate:
            yield f"{prefix}ssl_trusted_certificate"
        if one.ssl_verify_depth != other.ssl_verify_depth:
            yield f"{prefix}ssl_verify_depth"
        if one.ssl_crl != other.ssl_crl:
            yield f"{prefix}ssl_crl"
    if _uses_name(one) and _uses_name(other) and one.ssl_name != other.ssl_name:
        yield f"{prefix}ssl_name"


def _uses_name(settings: ConnectionSettings) -> bool:
    return settings.ssl_verify or settings.ssl_server_name
