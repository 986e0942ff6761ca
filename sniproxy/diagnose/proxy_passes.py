"""Find the `proxy_pass` directives of a configuration, with the settings in effect there (pure).

The levels `http`, `server`, `location` and `if` are merged by the directive table of the proxy
module, as when serving requests; invalid directives are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ..config.addresses import Address, AddressError, parse_address
from ..config.directives.core import MODIFIERS, LocationName
from ..config.directives.directive import Args, Directive
from ..config.directives.gateways import UwsgiSettings
from ..config.directives.grpc import GrpcSettings
from ..config.directives.proxy import ProxySettings
from ..config.directives.upstream_settings import UpstreamSettings
from ..config.directives.upstream_target import TLS_SCHEMES, ProxyPass
from ..config.lenient import ParsedConfig, StatementNode
from ..config.reader import freeze_values, store_value
from ..models import ConfigError
from ..server_name import without_port
from .known_values import possible_schemes
from .model import is_name

TLS_MODULES: tuple[type[UpstreamSettings], ...] = (ProxySettings, GrpcSettings, UwsgiSettings)
"""The modules that can pass requests by TLS."""
S = TypeVar("S", bound="PassSite")

NO_SETTINGS = frozenset({"if", "limit_except"})
"""Blocks in which `proxy_pass` may stand and the directives of TLS may not."""


@dataclass(frozen=True, slots=True, eq=False)
class ProxyPassGroup:
    """An `upstream {}` block."""

    name: str
    node: StatementNode
    peers: tuple[Address, ...]

    @property
    def host(self) -> str | None:
        """The host name of all its servers; None if they differ or are addresses."""
        hosts = {peer.host.lower() for peer in self.peers}
        host = next(iter(hosts)) if len(hosts) == 1 else ""
        return host if is_name(host) else None


@dataclass(frozen=True, slots=True, eq=False)
class PassSite:
    """A `proxy_pass`, `grpc_pass` or `uwsgi_pass` directive and its surroundings."""

    node: StatementNode
    blocks: tuple[StatementNode, ...]
    """The enclosing blocks, the innermost last."""
    target: ProxyPass
    settings: UpstreamSettings
    """The settings of the module in effect."""
    group: ProxyPassGroup | None

    @property
    def block(self) -> StatementNode:
        return self.blocks[-1]

    @property
    def settings_block(self) -> StatementNode:
        """The innermost block where the directives of TLS may stand: not `if`, `limit_except`."""
        return next(block for block in reversed(self.blocks) if block.name not in NO_SETTINGS)

    @property
    def server(self) -> StatementNode | None:
        return next((block for block in self.blocks if block.name == "server"), None)

    @property
    def server_name(self) -> str:
        """The first name of its server that a client could request; "" if there is none."""
        names = [] if self.server is None else [n for s in self.server.named("server_name")
                                                for n in s.args]  # fmt: skip
        plain = [name for name in names if name and not name.startswith("~") and name != "_"]
        return plain[0].removeprefix("*").removeprefix(".").removesuffix(".*") if plain else ""

    @property
    def location(self) -> LocationName:
        for block in reversed(self.blocks):
            if block.name == "location" and block.args:
                modifier = block.args[0] if len(block.args) > 1 else ""
                name = block.args[-1]
                if not modifier:
                    modifier, name = _split(name)
                return LocationName(modifier, name)
        return LocationName("", "/")

    @property
    def label(self) -> str:
        """`www.example.com location /api/`."""
        location = self.location
        words = " ".join(filter(None, (location.modifier.strip("@"), location.name)))
        return f"{self.server_name or 'server'} location {words}"

    def has_directive(self, name: str) -> bool:
        """Whether the directive is set at its level or an enclosing one."""
        return any(True for block in self.blocks for _ in block.named(name))

    @property
    def default_name(self) -> str:
        """The default of `proxy_ssl_name`; "" if the URL contains variables."""
        return "" if self.target.address is None else self.target.address.host


@dataclass(frozen=True, slots=True, eq=False)
class ProxyPassSite(PassSite):
    """A `proxy_pass` directive and its surroundings."""

    @property
    def proxy(self) -> ProxySettings:
        """The proxy settings in effect."""
        assert isinstance(self.settings, ProxySettings)
        return self.settings

    @property
    def host_header(self) -> str | None:
        """The value of `proxy_set_header Host`, if set."""
        for header in self.proxy.proxy_set_header:
            if header.name.lower() == "host":
                return header.value.source
        return None

    def names(self) -> tuple[str, ...]:
        """Candidate names of the upstream, the most likely first."""
        found: list[str] = []
        template = self.proxy.ssl_name
        if template is not None:
            found.append(template.source)
        if self.group is None:
            found.append(self.default_name)
        else:
            found += [peer.host for peer in self.group.peers]
        header = self.host_header
        if header is not None:
            found.append({"$http_host": "$host"}.get(header, without_port(header)))
        usable = (name for name in found if "$" in name or is_name(name))
        return tuple(dict.fromkeys(usable))

    def better_name(self) -> str | None:
        """A name for `proxy_ssl_name`, if the default is an address or the name of a group."""
        if self.group is not None:
            if self.group.host is not None:
                return self.group.host
            if any(is_name(peer.host) for peer in self.group.peers):
                return None
        header = self.host_header
        if header in (None, "$proxy_host"):
            return None
        name = {"$http_host": "$host"}.get(header or "", without_port(header or ""))
        return name if "$" in name or is_name(name) else None


def _split(name: str) -> tuple[str, str]:
    """Split off a modifier written without a space: `~^/a`, `=/a`, `@name`."""
    for modifier in (*MODIFIERS, "@"):
        if name.startswith(modifier) and len(name) > len(modifier):
            return modifier, name if modifier == "@" else name[len(modifier) :]
    return "", name


def find_proxy_passes(parsed: ParsedConfig) -> list[ProxyPassSite]:
    """All `proxy_pass` directives in `http {}`, in file order."""
    return [
        ProxyPassSite(site.node, site.blocks, site.target, site.settings, site.group)
        for site in find_passes(parsed, ProxySettings)
    ]


def find_passes(parsed: ParsedConfig, module: type[UpstreamSettings]) -> list[PassSite]:
    """All directives of a module in `http {}` that pass requests, in file order."""
    name = f"{module.PREFIX}pass"
    rows = {row.name: row for row in module.DIRECTIVES}
    found: list[PassSite] = []
    for http in parsed.root.named("http"):
        groups = {group.name.lower(): group for group in _groups(http, parsed)}
        pending: list[tuple[tuple[StatementNode, ...], UpstreamSettings]] = [
            ((http,), _resolve(module.resolve(), http, rows, parsed))
        ]
        while pending:
            blocks, settings = pending.pop()
            directives = list(blocks[-1].named(name))
            target = settings.target
            if directives and target is not None:
                host = "" if target.address is None else target.address.host.lower()
                found.append(PassSite(directives[-1], blocks, target, settings, groups.get(host)))
            inner = [
                node
                for node in blocks[-1].inside
                if node.statement.opens_block and node.name in _LEVELS
            ]
            pending.extend(
                ((*blocks, node), _resolve(settings, node, rows, parsed))
                for node in reversed(inner)
            )
    return found


_LEVELS = frozenset({"server", "location", "if", "limit_except"})


def _groups(http: StatementNode, parsed: ParsedConfig) -> Iterator[ProxyPassGroup]:
    for node in http.named("upstream"):
        peers = []
        for server in node.named("server"):
            try:
                peers.append(parse_address(server.args[0] if server.args else "", 80))
            except AddressError as error:
                parsed.skipped.append(f"{server.place}: {error}")
        if node.args:
            yield ProxyPassGroup(node.args[0], node, tuple(peers))


def _resolve(
    around: UpstreamSettings,
    block: StatementNode,
    rows: Mapping[str, Directive],
    parsed: ParsedConfig,
) -> UpstreamSettings:
    """The settings of a block nested in one with the settings `around`."""
    values: dict[str, Any] = {}
    for node in block.inside:
        row = rows.get(node.name)
        if row is None or node.statement.opens_block:
            continue
        try:
            if len(node.args) not in row.arity:
                raise node.place.error(f'invalid number of arguments in "{node.name}" directive')
            value = row.slot(Args(row.name, node.args, node.place))
        except ConfigError as error:
            parsed.skipped.append(str(error))
            continue
        store_value(values, row, value)
    freeze_values(values)
    return around.merge(values)


def tls_proxy_passes(sites: Sequence[S]) -> list[S]:
    """Those that use TLS, or may depending on variables."""
    return [site for site in sites if site.target.tls or _may_be_tls(site)]


def _may_be_tls(site: PassSite) -> bool:
    """Whether the values that the configuration gives to the variables allow TLS."""
    if not may_be_tls(site.target):
        return False
    schemes = possible_schemes(site.target.url, site.blocks)
    return schemes is None or not TLS_SCHEMES.isdisjoint(schemes)


def may_be_tls(target: ProxyPass) -> bool:
    """Whether the URL contains variables and does not begin with `http://`."""
    if target.template is None:
        return False
    scheme, separator, _ = target.url.lower().partition("://")
    return not separator or "$" in scheme or scheme in TLS_SCHEMES
