"""Find mistakes in the TLS settings of a configuration without connecting (pure).

Each rule is a mistake that people made and asked about. A finding may carry its fix: settings,
a URL, or the right name of a directive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from ..config.directives.upstream_tls import ConnectionSettings
from ..config.lenient import StatementNode
from ..config.shared_sessions import SessionUser, shared_sessions
from ..config.tree import Place
from ..template import compile_template
from .known_values import listens_with_tls
from .model import is_name
from .pass_sites import PassSite, ProxyPassGroup


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding about one directive."""

    rule: str
    place: Place
    text: str
    site: PassSite | None = None
    wanted: ConnectionSettings | None = None
    """The settings that fix it."""
    url: str = ""
    """The URL for `proxy_pass` that fixes it."""
    rename: tuple[StatementNode, str] | None = None
    """A directive and the name it should have."""
    insert: tuple[StatementNode, tuple[str, ...]] | None = None
    """Statements to insert after a directive."""
    replace: tuple[StatementNode, str] | None = None
    """A statement and the text that it should have."""
    advice: bool = False
    """Whether it is advice only: nothing fails."""

    @property
    def has_fix(self) -> bool:
        fixes = (self.wanted, self.rename, self.insert, self.replace)
        return bool(self.url) or any(fix is not None for fix in fixes)


def lint(
    sites: Sequence[PassSite],
    authorities: str,
    proven: Mapping[PassSite, ConnectionSettings] = MappingProxyType({}),
) -> list[Finding]:
    """Check the directives `sites` that pass by TLS: `proxy_pass`, `grpc_pass`, `uwsgi_pass`.

    `authorities` is the CA file to propose. `proven` has the settings with which a connection
    succeeded: findings about these are advice. The `wanted` settings of a site's last finding
    include those of its earlier ones.
    """
    found: list[Finding] = []
    wanted = dict(proven)
    for site in sites:
        for rule in RULES:
            finding = rule(site, wanted.get(site, site.settings), authorities)
            if finding is None or (finding.advice and site in proven):
                continue
            if site in proven:
                finding = replace(finding, wanted=None, advice=True)
            found.append(finding)
            wanted[site] = finding.wanted or wanted.get(site, site.settings)
    found += _shared_sessions(sites, wanted)
    found += _shared_connections(sites, wanted)
    return found


# --- one location ----------------------------------------------------------------------------


def _missing_sni(site: PassSite, settings: ConnectionSettings, authorities: str) -> Finding | None:
    if site.default_name.startswith("unix:") and settings.ssl_name is None:
        return None
    default, prefix = site.default_name, settings.PREFIX
    is_usable = settings.ssl_name is not None or (
        (site.group is None or site.group.name.lower() in _hosts(site.group)) and is_name(default)
    )
    if site.target.template is not None:
        is_usable = True
    if settings.ssl_server_name:
        return None if is_usable else _unusable_name(site, settings)
    if settings.ssl_name is not None:
        text = (
            f"{prefix}ssl_name {settings.ssl_name.source} alone sends no SNI: that needs "
            f"{prefix}ssl_server_name on"
        )
    else:
        passes = f"{site.node.name} {site.target.url}"
        text = f"{passes} sends no SNI: {prefix}ssl_server_name is off by default"
    if is_usable:
        return _finding("sni-missing", site, text, replace(settings, ssl_server_name=True))
    name = site.better_name()
    if name is None:
        why = f'"{default}" is the name of a group' if site.group else f"{default} is an address"
        return _finding("sni-missing", site, f"{text}; {why}, so it needs {prefix}ssl_name too")
    return _finding(
        "sni-missing",
        site,
        f"{text}; the name would be {name}",
        replace(settings, ssl_server_name=True, ssl_name=compile_template(name)),
    )


def _unusable_name(site: PassSite, settings: ConnectionSettings) -> Finding:
    """The SNI is sent, but the default name is not a name of the upstream."""
    default, name = site.default_name, site.better_name()
    name_directive = f"{settings.PREFIX}ssl_name"
    wanted = None
    if name is not None:
        wanted = replace(settings, ssl_name=compile_template(name))
    if site.group is not None:
        text = f'the name sent is that of the group, "{default}": set {name_directive}'
        return _finding("name-of-group", site, text, wanted)
    text = f"nothing is sent, since {default} is an address: set {name_directive}"
    return _finding("sni-missing", site, text, wanted)


def _hosts(group: ProxyPassGroup) -> set[str]:
    return {peer.host.lower() for peer in group.peers}


def _group_verified(
    site: PassSite, settings: ConnectionSettings, authorities: str
) -> Finding | None:
    """Verification of a name that no certificate of the upstream can have."""
    if not settings.ssl_verify or settings.ssl_name is not None:
        return None
    if site.group is not None and site.group.name.lower() not in _hosts(site.group):
        text = f'the certificate would have to be for "{site.group.name}", the name of the group'
    elif site.default_name and not is_name(site.default_name):
        text = f"the certificate would have to name {site.default_name} as a DNS name"
    else:
        return None
    name = site.better_name()
    wanted = None if name is None else replace(settings, ssl_name=compile_template(name))
    return _finding("name-mismatch", site, f"{text}: set {settings.PREFIX}ssl_name", wanted)


def _missing_trusted_certificate(
    site: PassSite, settings: ConnectionSettings, authorities: str
) -> Finding | None:
    if not settings.ssl_verify or settings.ssl_trusted_certificate:
        return None
    wanted = None
    if authorities:
        wanted = replace(settings, ssl_trusted_certificate=authorities)
    prefix = settings.PREFIX
    text = f"{prefix}ssl_verify without {prefix}ssl_trusted_certificate: nginx does not start"
    return _finding("verify-not-configured", site, text, wanted)


def _default_depth(
    site: PassSite, settings: ConnectionSettings, authorities: str
) -> Finding | None:
    if not settings.ssl_verify or site.has_directive(f"{settings.PREFIX}ssl_verify_depth"):
        return None
    text = (
        f"{settings.PREFIX}ssl_verify_depth is 1 by default: a chain with two intermediates, or a "
        "cross-signed root, fails as error 20; without --offline this is tested"
    )
    return replace(_finding("verify-depth", site, text), advice=True)


def _wrong_port(site: PassSite, settings: ConnectionSettings, authorities: str) -> Finding | None:
    address = site.target.address
    if address is None:
        return None
    if site.group is None:
        if address.port != 80:
            return None
        text = f"{site.target.url} is TLS to the port of HTTP"
        return _finding("plain-http-upstream", site, text)
    portless = [peer.url for peer in site.group.peers if peer.port == 80]
    if not portless:
        return None
    text = f'{portless[0]} of the group "{site.group.name}" has port 80 unless it says :443'
    return _finding("plain-http-upstream", site, text)


Rule = Callable[[PassSite, ConnectionSettings, str], Finding | None]
RULES: tuple[Rule, ...] = (
    _missing_sni,
    _group_verified,
    _missing_trusted_certificate,
    _default_depth,
    _wrong_port,
)


def _finding(
    rule: str, site: PassSite, text: str, wanted: ConnectionSettings | None = None
) -> Finding:
    return Finding(rule, site.node.place, text, site, wanted)


# --- client directives used for upstreams ----------------------------------------------------

NONEXISTENT_DIRECTIVES = frozenset(
    {"ssl_server_name", "ssl_name", "ssl_verify", "ssl_session_reuse"}
)
"""Directives that exist only with the prefix of a module that passes requests."""
FIELDS = {row.field for row in ConnectionSettings.DIRECTIVES}
CLIENT_TRUST_DIRECTIVES = ("ssl_verify_client", "ssl_stapling", "ssl_ocsp")
"""Directives that use `ssl_trusted_certificate`."""


def misplaced_client_directives(sites: Sequence[PassSite]) -> Iterator[Finding]:
    """Client directives that are meant for upstreams; they are fixed before the other rules run."""
    seen: set[StatementNode] = set()
    for site in sites:
        for block in site.blocks:
            if block in seen or block.name in ("http", "stream"):
                continue
            seen.add(block)
            if block.name == "server":
                yield from _listen_without_ssl(block)
            for node in block.inside:
                if _is_meant_for_upstream(node, block, site):
                    yield _misplaced(node, block, site.settings.PREFIX)


def _is_meant_for_upstream(node: StatementNode, block: StatementNode, site: PassSite) -> bool:
    if node.name in NONEXISTENT_DIRECTIVES:
        return True
    if node.name not in FIELDS or not node.name.startswith("ssl_"):
        return False
    if block.name != "server":
        return True
    if node.name in OWN_CERTIFICATE or next(block.named("ssl_certificate"), None) is not None:
        return False  # the site's own TLS, whose `listen … ssl` may be missing
    if not listens_with_tls(block):
        return True
    unused = not any(
        trust.args != ("off",)
        for around in site.blocks
        for name in CLIENT_TRUST_DIRECTIVES
        for trust in around.named(name)
    )
    return (
        node.name == "ssl_trusted_certificate"
        and unused
        and site.settings.ssl_verify
        and not site.settings.ssl_trusted_certificate
    )


OWN_CERTIFICATE = frozenset({"ssl_certificate", "ssl_certificate_key"})


def _listen_without_ssl(server: StatementNode) -> Iterator[Finding]:
    """A certificate, and no port with TLS: `listen 443;` where `ssl` was meant."""
    if next(server.named("ssl_certificate"), None) is None or listens_with_tls(server):
        return
    for node in server.named("listen"):
        if node.args and node.args[0].rpartition(":")[2] in ("443", "8443"):
            wanted = " ".join(("listen", node.args[0], "ssl", *node.args[1:]))
            yield Finding(
                "listen-without-ssl",
                node.place,
                f"listen {node.args[0]} has no TLS although the server has a certificate: it takes "
                f"`{wanted}` (the directive `ssl on` no longer exists)",
                replace=(node, f"{wanted};"),
            )


def _misplaced(node: StatementNode, block: StatementNode, prefix: str) -> Finding:
    wanted = f"{prefix}{node.name}"
    if node.name in NONEXISTENT_DIRECTIVES:
        text = f'there is no directive "{node.name}": it is {wanted}'
    elif block.name == "server":
        text = f"{node.name} is for clients, but not used here: for upstreams it is {wanted}"
        if listens_with_tls(block):
            text = f"{node.name} is for clients, and nothing uses it: for upstreams it is {wanted}"
    else:
        text = f"{node.name} is for clients, and not allowed here: for upstreams it is {wanted}"
    is_free = next(block.named(wanted), None) is None
    return Finding("wrong-side", node.place, text, rename=(node, wanted) if is_free else None)


# --- several locations -----------------------------------------------------------------------


def _shared_sessions(
    sites: Sequence[PassSite], wanted: dict[PassSite, ConnectionSettings]
) -> Iterator[Finding]:
    """Compare each location with the first one that has the same upstream."""
    first: dict[tuple[int, str, int], PassSite] = {}
    for site in sites:
        settings = wanted.get(site, site.settings)
        if site.target.address is None or not settings.ssl_session_reuse:
            continue
        other = first.setdefault(site.upstream_key, site)
        groups = [site.group.name.lower()] if site.group else []
        pair = [
            SessionUser(
                one.session_user, wanted.get(one, one.settings), one.target, one.upstream_name
            )
            for one in (other, site)
        ]
        for advice in shared_sessions(pair, groups):
            yield _finding(
                "shared-sessions",
                site,
                advice.text.partition(" (fix: ")[0],
                replace(settings, ssl_session_reuse=False),
            )


def _shared_connections(
    sites: Sequence[PassSite], wanted: dict[PassSite, ConnectionSettings]
) -> Iterator[Finding]:
    """Locations that share idle connections, but differ in name or verification."""
    members_of: dict[ProxyPassGroup, list[PassSite]] = {}
    for site in sites:
        if site.group is not None:
            members_of.setdefault(site.group, []).append(site)
    for group, members in members_of.items():
        keepalive = list(group.node.named("keepalive"))
        if not keepalive or "local" in keepalive[-1].args or keepalive[-1].args[:1] == ("0",):
            continue
        first = members[0]
        for site in members[1:]:
            differ = _identity(site.settings) != _identity(first.settings)
            would_differ = _identity(wanted.get(site, site.settings)) != _identity(
                wanted.get(first, first.settings)
            )
            if differ or would_differ:
                when = "" if differ else " after the changes proposed here"
                found = _finding(
                    "shared-connections",
                    site,
                    f'{first.label} and {site.label} share the idle connections of "{group.name}" '
                    f"and differ in name or verification{when}: a connection that was opened for "
                    "one is used for the other (fix: a group for each, or keepalive N local)",
                )
                yield found if differ else replace(found, advice=True)
                break


def _identity(settings: ConnectionSettings) -> tuple[object, ...]:
    """The settings that an established connection depends on."""
    return (
        settings.ssl_server_name,
        settings.ssl_name,
        settings.ssl_verify,
        settings.ssl_trusted_certificate,
        settings.ssl_certificate,
    )


# --- groups --------------------------------------------------------------------------------------


def unshared_names(root: StatementNode) -> Iterator[Finding]:
    """`server … resolve` in a group without `zone`."""
    for outermost in root.inside:
        for group in outermost.named("upstream"):
            servers = [server for server in group.named("server") if "resolve" in server.args[1:]]
            if servers and group.args and not any(group.named("zone")):
                name = group.args[0]
                text = f'"resolve" needs a zone in the upstream "{name}": nginx does not start'
                zone = (f"zone {name} 64k;",)
                place = servers[0].place
                yield Finding("resolve-without-zone", place, text, insert=(servers[-1], zone))
