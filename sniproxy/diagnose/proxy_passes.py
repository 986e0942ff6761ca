"""Find the `proxy_pass` directives of a configuration, with the settings in effect there (pure).

The levels `http`, `server`, `location` and `if`, or `stream` and `server`, are merged by the
directive table of the proxy module, as when serving requests; invalid directives are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..config.addresses import AddressError, parse_address
from ..config.directives.directive import Args, Directive
from ..config.directives.gateways import UwsgiSettings
from ..config.directives.grpc import GrpcSettings
from ..config.directives.proxy import ProxySettings
from ..config.directives.stream_core import StreamContent
from ..config.directives.stream_proxy import StreamProxySettings
from ..config.directives.upstream_settings import UpstreamSettings
from ..config.directives.upstream_target import ProxyPass
from ..config.directives.upstream_tls import ConnectionSettings
from ..config.lenient import ParsedConfig, StatementNode
from ..config.reader import freeze_values, store_value
from ..models import ConfigError
from .pass_sites import (
    GrpcPassSite,
    PassSite,
    ProxyPassGroup,
    ProxyPassSite,
    StreamPassSite,
    UwsgiPassSite,
)

TLS_MODULES: tuple[type[UpstreamSettings], ...] = (ProxySettings, GrpcSettings, UwsgiSettings)
"""The modules that can pass requests by TLS."""


def find_tls_passes(parsed: ParsedConfig) -> list[PassSite]:
    """The directives that pass requests or sessions by TLS, or may; in file order."""
    return [site for site in find_passes(parsed) if site.uses_tls]


def find_passes(parsed: ParsedConfig) -> list[PassSite]:
    """All directives of modules that know TLS which name an upstream; in file order."""
    found = [site for module in TLS_MODULES for site in _find_passes(parsed, "http", module)]
    found += _find_passes(parsed, "stream", StreamProxySettings)
    order = {id(node): at for at, (node, _) in enumerate(parsed.root.walk())}
    return sorted(found, key=lambda one: order[id(one.node)])


def _find_passes(
    parsed: ParsedConfig, block: str, module: type[ConnectionSettings]
) -> Iterator[PassSite]:
    """All directives of a module, in `http {}` or `stream {}`, that name an upstream."""
    rows = {row.name: row for row in module.DIRECTIVES}
    if block == "stream":
        rows |= {row.name: row for row in StreamContent.DIRECTIVES}
    for outermost in parsed.root.named(block):
        groups = {group.name.lower(): group for group in _groups(outermost, parsed)}
        pending: list[tuple[tuple[StatementNode, ...], ConnectionSettings]] = [
            ((outermost,), _resolve(module.resolve(), outermost, rows, parsed))
        ]
        while pending:
            blocks, settings = pending.pop()
            directives = list(blocks[-1].named(f"{module.PREFIX}pass"))
            target = _target(directives, settings, rows) if directives else None
            if target is not None:
                host = "" if target.address is None else target.address.host.lower()
                yield _KINDS[module](directives[-1], blocks, target, settings, groups.get(host))
            inner = [
                node
                for node in blocks[-1].inside
                if node.statement.opens_block and node.name in _LEVELS
            ]
            pending.extend(
                ((*blocks, node), _resolve(settings, node, rows, parsed))
                for node in reversed(inner)
            )


_KINDS: Mapping[type[ConnectionSettings], type[PassSite]] = {
    ProxySettings: ProxyPassSite,
    GrpcSettings: GrpcPassSite,
    UwsgiSettings: UwsgiPassSite,
    StreamProxySettings: StreamPassSite,
}


def _target(
    directives: Sequence[StatementNode],
    settings: ConnectionSettings,
    rows: Mapping[str, Directive],
) -> ProxyPass | None:
    """The target of the directives of a block; None if they are invalid."""
    if isinstance(settings, UpstreamSettings):
        return settings.target
    node = directives[-1]
    row = rows[node.name]
    try:
        target = row.slot(Args(row.name, node.args, node.place)) if node.args else None
    except ConfigError:
        return None  # noted already
    return target if isinstance(target, ProxyPass) else None


_LEVELS = frozenset({"server", "location", "if", "limit_except"})


def _groups(outermost: StatementNode, parsed: ParsedConfig) -> Iterator[ProxyPassGroup]:
    for node in outermost.named("upstream"):
        peers = []
        for server in node.named("server"):
            try:
                peers.append(parse_address(server.args[0] if server.args else "", 80))
            except AddressError as error:
                parsed.skipped.append(f"{server.place}: {error}")
        if node.args:
            yield ProxyPassGroup(node.args[0], node, tuple(peers))


def _resolve(
    around: ConnectionSettings,
    block: StatementNode,
    rows: Mapping[str, Directive],
    parsed: ParsedConfig,
) -> ConnectionSettings:
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
