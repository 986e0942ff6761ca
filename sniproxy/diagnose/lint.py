"""What the text of a configuration shows without connecting to anybody (pure).

Each rule is a mistake that people made and asked about. A finding may come with the settings,
or the name of a directive, that cure it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from ..config.directives.proxy import Proxy
from ..config.shared_sessions import shared_sessions
from ..config.tree import Place
from ..script import compile_template
from .attempts import is_name
from .pretend import bare_server
from .reading import Node
from .spots import ROWS, Group, Spot


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say about a place."""

    rule: str
    place: Place
    text: str
    spot: Spot | None = None
    wanted: Proxy | None = None
    """The settings that cure it."""
    url: str = ""
    """What `proxy_pass` has to say instead."""
    rename: tuple[Node, str] | None = None
    """A directive with the name that it should have."""
    advice: bool = False
    """Nothing that fails."""


def lint(
    spots: Sequence[Spot], authorities: str, proven: Mapping[Spot, Proxy] = MappingProxyType({})
) -> list[Finding]:
    """What is wrong with `spots`, which are those of TLS.

    `authorities` is the system's store, for a proposal. `proven` are settings with which a
    connection was made: what they lack is advice. The last finding of a spot with settings has
    those that cure all before it too.
    """
    found: list[Finding] = []
    wanted = dict(proven)
    for spot in spots:
        for rule in RULES:
            finding = rule(spot, wanted.get(spot, spot.proxy), authorities)
            if finding is None or (finding.advice and spot in proven):
                continue
            if spot in proven:
                finding = replace(finding, wanted=None, advice=True)
            found.append(finding)
            wanted[spot] = finding.wanted or wanted.get(spot, spot.proxy)
    found += _sharing_sessions(spots, wanted)
    found += _sharing_connections(spots, wanted)
    return found


# --- one location ----------------------------------------------------------------------------


def _missing_sni(spot: Spot, proxy: Proxy, authorities: str) -> Finding | None:
    if spot.default_name.startswith("unix:") and proxy.proxy_ssl_name is None:
        return None
    default = spot.default_name
    is_usable = proxy.proxy_ssl_name is not None or (
        (spot.group is None or spot.group.name.lower() in _hosts(spot.group)) and is_name(default)
    )
    if spot.target.template is not None:
        is_usable = True
    if proxy.proxy_ssl_server_name:
        return None if is_usable else _useless_name(spot, proxy)
    if proxy.proxy_ssl_name is not None:
        said = (
            f"proxy_ssl_name {proxy.proxy_ssl_name.source} alone sends nothing: SNI needs "
            "proxy_ssl_server_name on"
        )
    else:
        said = f"proxy_pass {spot.target.url} sends no SNI: proxy_ssl_server_name is off by default"
    if is_usable:
        return _finding("sni-missing", spot, said, replace(proxy, proxy_ssl_server_name=True))
    name = spot.better_name()
    if name is None:
        why = f'"{default}" is the name of a group' if spot.group else f"{default} is an address"
        return _finding("sni-missing", spot, f"{said}; {why}, so it needs proxy_ssl_name too")
    return _finding(
        "sni-missing",
        spot,
        f"{said}; the name would be {name}",
        replace(proxy, proxy_ssl_server_name=True, proxy_ssl_name=compile_template(name)),
    )


def _useless_name(spot: Spot, proxy: Proxy) -> Finding:
    """`proxy_ssl_server_name on` where the default is no name of the upstream's."""
    default, name = spot.default_name, spot.better_name()
    wanted = None
    if name is not None:
        wanted = replace(proxy, proxy_ssl_name=compile_template(name))
    if spot.group is not None:
        text = f'the name sent is that of the group, "{default}": say proxy_ssl_name'
        return _finding("name-of-group", spot, text, wanted)
    text = f"nothing is sent, since {default} is an address: say proxy_ssl_name"
    return _finding("sni-missing", spot, text, wanted)


def _hosts(group: Group) -> set[str]:
    return {peer.host.lower() for peer in group.peers}


def _group_verified(spot: Spot, proxy: Proxy, authorities: str) -> Finding | None:
    """A certificate that has to be one for the name of a group."""
    if not proxy.proxy_ssl_verify or proxy.proxy_ssl_name is not None:
        return None
    if spot.group is not None and spot.group.name.lower() not in _hosts(spot.group):
        text = f'the certificate would have to be for "{spot.group.name}", the name of the group'
    elif spot.default_name and not is_name(spot.default_name):
        text = f"the certificate would have to name {spot.default_name} as a DNS name"
    else:
        return None
    name = spot.better_name()
    wanted = None if name is None else replace(proxy, proxy_ssl_name=compile_template(name))
    return _finding("name-mismatch", spot, f"{text}: say proxy_ssl_name", wanted)


def _no_authorities(spot: Spot, proxy: Proxy, authorities: str) -> Finding | None:
    if not proxy.proxy_ssl_verify or proxy.proxy_ssl_trusted_certificate:
        return None
    wanted = None
    if authorities:
        wanted = replace(proxy, proxy_ssl_trusted_certificate=authorities)
    text = "proxy_ssl_verify without proxy_ssl_trusted_certificate: nginx does not start"
    return _finding("verify-not-configured", spot, text, wanted)


def _no_depth(spot: Spot, proxy: Proxy, authorities: str) -> Finding | None:
    if not proxy.proxy_ssl_verify or spot.says("proxy_ssl_verify_depth"):
        return None
    text = (
        "proxy_ssl_verify_depth is 1 by default: a chain with two intermediates, or a "
        "cross-signed root, fails as error 20; without --offline it is tried"
    )
    return replace(_finding("verify-depth", spot, text), advice=True)


def _wrong_port(spot: Spot, proxy: Proxy, authorities: str) -> Finding | None:
    address = spot.target.address
    if address is None or not spot.target.tls:
        return None
    if spot.group is None:
        if address.port != 80:
            return None
        text = f"{spot.target.url} is TLS to the port of HTTP"
        return _finding("plain-http-upstream", spot, text)
    portless = [peer.url for peer in spot.group.peers if peer.port == 80]
    if not portless:
        return None
    text = f'{portless[0]} of the group "{spot.group.name}" has port 80 unless it says :443'
    return _finding("plain-http-upstream", spot, text)


Rule = Callable[[Spot, Proxy, str], Finding | None]
RULES: tuple[Rule, ...] = (_missing_sni, _group_verified, _no_authorities, _no_depth, _wrong_port)


def _finding(rule: str, spot: Spot, text: str, wanted: Proxy | None = None) -> Finding:
    return Finding(rule, spot.node.place, text, spot, wanted)


# --- the wrong side --------------------------------------------------------------------------

NOWHERE = frozenset({"ssl_server_name", "ssl_name", "ssl_verify", "ssl_session_reuse"})
"""Directives that do not exist, unless with `proxy_` before them."""
CLIENTS_TRUST = ("ssl_verify_client", "ssl_stapling", "ssl_ocsp")
"""What `ssl_trusted_certificate` is for."""


def wrong_sides(spots: Sequence[Spot]) -> Iterator[Finding]:
    """Directives for clients that are meant for upstreams; to be mended before the rest."""
    seen: set[Node] = set()
    for spot in spots:
        for block in spot.blocks:
            if block in seen or block.name == "http":
                continue
            seen.add(block)
            for node in block.inside:
                if _is_meant_for_upstream(node, block, spot):
                    yield _other_side(node, block)


def _is_meant_for_upstream(node: Node, block: Node, spot: Spot) -> bool:
    if node.name in NOWHERE:
        return True
    if f"proxy_{node.name}" not in ROWS or not node.name.startswith("ssl_"):
        return False
    if block.name != "server":
        return True
    if not _listens_with_tls(block):
        return True
    unused = not any(
        said.args != ("off",)
        for around in spot.blocks
        for name in CLIENTS_TRUST
        for said in around.named(name)
    )
    return (
        node.name == "ssl_trusted_certificate"
        and unused
        and spot.proxy.proxy_ssl_verify
        and not spot.proxy.proxy_ssl_trusted_certificate
    )


def _listens_with_tls(server: Node) -> bool:
    switched = any(node.args == ("on",) for node in server.named("ssl"))
    words = itertools.chain.from_iterable(node.args[1:] for node in server.named("listen"))
    return switched or not {"ssl", "quic"}.isdisjoint(words)


def _other_side(node: Node, block: Node) -> Finding:
    wanted = f"proxy_{node.name}"
    if node.name in NOWHERE:
        text = f'there is no directive "{node.name}": it is {wanted}'
    elif block.name == "server":
        text = f"{node.name} is for clients, which do not come by TLS here: it is {wanted}"
        if _listens_with_tls(block):
            text = f"{node.name} is for clients, and nothing uses it: for upstreams it is {wanted}"
    else:
        text = f"{node.name} is for clients, and not allowed here: for upstreams it is {wanted}"
    is_free = next(block.named(wanted), None) is None
    return Finding("wrong-side", node.place, text, rename=(node, wanted) if is_free else None)


# --- several locations -----------------------------------------------------------------------


def _sharing_sessions(spots: Sequence[Spot], wanted: dict[Spot, Proxy]) -> Iterator[Finding]:
    """Each location against the first one with the same upstream."""
    first: dict[tuple[str, int], Spot] = {}
    outside = bare_server().outside
    for spot in spots:
        address = spot.target.address
        proxy = wanted.get(spot, spot.proxy)
        if address is None or not proxy.proxy_ssl_session_reuse:
            continue
        key = (address.host.lower(), 0 if spot.group else address.port)
        other = first.setdefault(key, spot)
        groups = [spot.group.name.lower()] if spot.group else []
        pair = [
            replace(outside, name=one.location, proxy=wanted.get(one, one.proxy))
            for one in (other, spot)
        ]
        for advice in shared_sessions(pair, groups):
            yield _finding(
                "shared-sessions",
                spot,
                advice.text.partition(" (cure: ")[0],
                replace(proxy, proxy_ssl_session_reuse=False),
            )


def _sharing_connections(spots: Sequence[Spot], wanted: dict[Spot, Proxy]) -> Iterator[Finding]:
    """Locations that use each other's kept connections, whatever those were verified for."""
    for group, own in itertools.groupby(
        sorted((s for s in spots if s.group), key=_group_name), key=_group_name
    ):
        members = list(own)
        node = members[0].group.node if members[0].group else None
        said = [] if node is None else list(node.named("keepalive"))
        if not said or "local" in said[-1].args or said[-1].args[:1] == ("0",):
            continue
        first = _identity(wanted.get(members[0], members[0].proxy))
        for spot in members[1:]:
            if _identity(wanted.get(spot, spot.proxy)) != first:
                yield _finding(
                    "shared-connections",
                    spot,
                    f'{members[0].label} and {spot.label} share the kept connections of "{group}" '
                    "and differ in name or verification: a connection that was opened for one "
                    "answers for the other (cure: a group for each, or keepalive N local)",
                )
                break


def _group_name(spot: Spot) -> str:
    return "" if spot.group is None else spot.group.name


def _identity(proxy: Proxy) -> tuple[object, ...]:
    """What a connection is opened with."""
    return (
        proxy.proxy_ssl_server_name,
        proxy.proxy_ssl_name,
        proxy.proxy_ssl_verify,
        proxy.proxy_ssl_trusted_certificate,
        proxy.proxy_ssl_certificate,
    )
