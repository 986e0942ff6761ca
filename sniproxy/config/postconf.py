"""Checks of the complete `http {}` block, in nginx's order (its postconfiguration handlers).

nginx goes module by module and server by server. Errors that need files or DNS (a certificate
that cannot be loaded, a host that is not found) come between these in nginx; `sniproxy.build`
finds them later.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

from ..models import ConfigError
from ..template import ScriptError
from .blocks import UpstreamBlock
from .directives.core import CoreServer
from .directives.gateways import GatewaySettings
from .directives.referer import hash_places
from .directives.ssl import Ssl
from .directives.upstream_settings import UpstreamSettings
from .directives.upstream_tls import UpstreamTLSSettings
from .hash_sizes import check_hash
from .listened import ListenedAddress
from .model import Http, Location, iter_locations
from .parse_checks import ParseChecks
from .reader import Block
from .shared_sessions import location_user, shared_sessions
from .tree import Place
from .wildcards import wildcard_kind

IsVariable = Callable[[str], bool]

# nginx's default connection_pool_size on 64-bit systems.
_CONNECTION_POOL_SIZE = 512


def check_http(http: Http, block: Block, checks: ParseChecks, is_variable: IsVariable) -> None:
    """Raise `ConfigError` for the first error in `http`."""
    for server in http.servers:
        _check_buffers(server.core, block.end)
    check_groups(http.groups.values())
    for server in http.servers:
        check_keys(server.ssl, block.end, checks)
    locations = [
        location for server in http.servers for location in iter_locations(server.default_location)
    ]
    for module in zip(*(location.upstreams for location in locations), strict=True):
        for settings in module:
            _check_buffering(settings, block.end)
            _check_cache(settings, block.end, checks)
            _check_upstream_ssl(settings)
            _check_params(settings, block.end)
    for server in http.servers:
        for location in iter_locations(server.default_location):
            if location.filters.secure_link.is_mixed:
                raise block.end.error(
                    '"secure_link_secret" cannot be mixed with "secure_link" and "secure_link_md5"'
                )
    for server in http.servers:
        _check_duplicate_locations(server.default_location)
    _check_charset_maps(http)
    _check_referers(http, block.end, checks)
    check_certificates(checks.listened, [server.ssl for server in http.servers], block)
    check_variables(checks, is_variable)
    check_all_names(checks, block)
    users = filter(None, map(location_user, locations))
    for advice in shared_sessions(users, http.groups):
        checks.warn(advice.text, advice.place)


def check_groups(groups: Iterable[UpstreamBlock]) -> None:
    """Raise `ConfigError` for a group without primary servers."""
    for group in groups:
        _check_resolved(group)
        if all(peer.backup for peer in group.settings.server):
            raise group.place.error(f'no servers in upstream "{group.name}"')


def _check_charset_maps(http: Http) -> None:
    for server in http.servers:
        for location in iter_locations(server.default_location):
            missing = location.filters.charset.missing_map
            if missing is not None:
                source, target = missing
                raise ConfigError(
                    f'no "charset_map" between the charsets "{source}" and "{target}"'
                )


def _check_referers(http: Http, end: Place, checks: ParseChecks) -> None:
    checked = None
    for server in http.servers:
        for location in iter_locations(server.default_location):
            rules = location.filters.referers
            hosts = [name.host for name in rules.names]
            if rules.has("server_names"):
                hosts += [name.name for name in server.names if name.pattern is None]
            taken: set[tuple[str, str]] = set()
            for host in hosts:
                places = hash_places(host.lower())
                if not taken.isdisjoint(places):
                    raise end.error(f'conflicting parameter "{host}"')
                taken.update(places)
            if not hosts and (rules.has("none") or rules.has("blocked")):
                raise ConfigError(
                    'the "none" or "blocked" referers are specified in the "valid_referers" '
                    "directive without any valid referer"
                )
            if rules.valid_referers == checked:
                continue
            checked = rules.valid_referers
            warning = check_hash(
                "referer_hash",
                [key for kind, key in taken if kind == "exact"],
                rules.referer_hash_max_size,
                rules.referer_hash_bucket_size,
                labels=[part for kind, key in taken if kind != "exact" for part in key.split(".")],
            )
            if warning is not None:
                checks.warn(warning)


def _check_buffers(core: CoreServer, end: Place) -> None:
    if core.large_client_header_buffers[1] < _CONNECTION_POOL_SIZE:
        raise end.error(
            'the "large_client_header_buffers" size must be equal to or greater than '
            '"connection_pool_size"'
        )


def check_keys(ssl: Ssl, end: Place, checks: ParseChecks) -> None:
    needed = [name for name in ssl.ssl_certificate if name != "auto"]
    if len(ssl.ssl_certificate_key) < len(needed):
        raise ConfigError(f'no "ssl_certificate_key" is defined for certificate "{needed[-1]}"')
    try:
        for template in itertools.chain(*ssl.pairs()):
            checks.variables.update(dict.fromkeys(template.variables))
    except ScriptError as error:
        raise end.error(str(error)) from None
    if ssl.ssl_ech_file and ssl.has_context:
        checks.warn('"ssl_ech_file" is not supported on this platform, ignored')


def _check_buffering(settings: UpstreamSettings, end: Place) -> None:
    name = settings.PREFIX
    count, each = settings.buffers
    largest = max(settings.buffer_size, each)
    busy = settings.busy_buffers_size
    write_size = settings.temp_file_write_size
    temporary = settings.max_temp_file_size
    at_least_one = (
        f'must be equal to or greater than the maximum of the value of "{name}buffer_size" and '
        f'one of the "{name}buffers"'
    )
    if not settings.has_directive("buffers"):
        return
    if count < 2:
        raise end.error(f'there must be at least 2 "{name}buffers"')
    if busy is None:
        busy = 2 * largest
    if busy < largest:
        raise end.error(f'"{name}busy_buffers_size" {at_least_one}')
    if busy > (count - 1) * each:
        raise end.error(
            f'"{name}busy_buffers_size" must be less than the size of all "{name}buffers" minus '
            "one buffer"
        )
    if write_size is not None and write_size < largest:
        raise end.error(f'"{name}temp_file_write_size" {at_least_one}')
    if temporary and temporary < largest:
        raise end.error(
            f'"{name}max_temp_file_size" must be equal to zero to disable temporary files usage '
            f"or {at_least_one}"
        )


def _check_cache(settings: UpstreamSettings, end: Place, checks: ParseChecks) -> None:
    zone = settings.cache
    if zone is not None and zone.is_constant and not checks.zones.is_defined(zone.source):
        raise end.error(f'"{settings.PREFIX}cache" zone "{zone.source}" is unknown')
    if zone is not None and settings.cache_key is None and settings.NEEDS_CACHE_KEY:
        name = settings.PREFIX
        checks.warn(f'no "{name}cache_key" for "{name}cache"', end)


def _check_resolved(group: UpstreamBlock) -> None:
    settings, place = group.settings, group.place
    if not any(peer.is_resolved for peer in settings.server):
        return
    if settings.zone is None:
        raise ConfigError(
            f'resolving names at run time requires upstream "{group.name}" in {place}'
            " to be in shared memory"
        )
    if settings.resolver is None:
        raise place.error(
            f'no resolver defined to resolve names at run time in upstream "{group.name}"'
        )


def _check_upstream_ssl(settings: UpstreamSettings) -> None:
    target = settings.target
    if target is not None and (target.tls or target.template):
        check_upstream_tls(settings)


def check_upstream_tls(settings: UpstreamTLSSettings) -> None:
    """Raise `ConfigError` for files that are missing for TLS towards upstreams."""
    name, certificate = settings.PREFIX, settings.ssl_certificate
    if certificate and certificate.source and settings.ssl_certificate_key is None:
        raise ConfigError(
            f'no "{name}ssl_certificate_key" is defined for certificate "{certificate}"'
        )
    if settings.ssl_verify and not settings.ssl_trusted_certificate:
        raise ConfigError(f"no {name}ssl_trusted_certificate for {name}ssl_verify")


def _check_params(settings: UpstreamSettings, end: Place) -> None:
    for param in settings.params if isinstance(settings, GatewaySettings) else ():
        if param.error:
            raise end.error(param.error)


def _check_duplicate_locations(outside: Location) -> None:
    # nginx checks only levels for which it builds a location tree: not inside regex or named ones.
    levels = [outside]
    for level in levels:
        levels.extend(one for one in level.locations if one.name.modifier in ("", "=", "^~"))
    for level in reversed(levels):
        seen: set[tuple[bool, str]] = set()
        for location in sorted(level.locations, key=_tree_order):
            name = location.name
            if name.modifier in ("@", "~", "~*"):
                continue
            kind = (name.modifier == "=", name.name)
            if kind in seen:
                raise location.place.error(f'duplicate location "{name.name}"')
            seen.add(kind)


def _tree_order(location: Location) -> str:
    # In nginx's tree a slash sorts before every other byte.
    return location.name.name.replace("/", "\0")


def check_certificates(
    addresses: Iterable[ListenedAddress], settings: Iterable[Ssl], http: Block
) -> None:
    ssl = dict(zip(http.named("server"), settings, strict=True))
    for address in addresses:
        default = address.default_server
        if not (address.ssl or address.quic) or ssl[default].ssl_certificate:
            continue
        bare = [default]
        if ssl[default].ssl_reject_handshake:
            bare = [
                server
                for server in address.servers
                if not (ssl[server].ssl_certificate or ssl[server].ssl_reject_handshake)
            ]
        if bare:
            protocol = "quic" if address.quic else "ssl"
            raise bare[0].place.error(
                f'no "ssl_certificate" is defined for the "listen ... {protocol}" directive'
            )


def check_variables(checks: ParseChecks, is_variable: IsVariable) -> None:
    for name in checks.variables:
        if name in checks.captures or is_variable(name):
            continue
        if checks.omissions.allowed:
            checks.omissions.add_variable(name)
        else:
            raise ConfigError(f'unknown "{name}" variable')


def check_all_names(checks: ParseChecks, block: Block) -> None:
    """Check the names of the virtual servers of each address."""
    for address in checks.listened:
        if len(address.servers) > 1 or _has_captures(address.default_server):
            _check_names(address, checks, block)


def _has_captures(server: Block) -> bool:
    names = server.values.get("server_name", ())
    return any(name.pattern and name.pattern.groups for one in names for name in one)


def _check_names(address: ListenedAddress, checks: ParseChecks, http: Block) -> None:
    """Warn of names shared by two servers of an address; raise for invalid wildcards."""
    seen: set[tuple[str, str]] = set()
    for server in address.servers:
        directives = server.values.get("server_name", ())
        names = [name.name for names in directives for name in names if name.pattern is None]
        for name in names if directives else [""]:
            key = wildcard_kind(name)
            if key is None:
                raise ConfigError(f'invalid server name or wildcard "{name}" on {address.text}')
            kind, stem = key
            # ".c" means both "c" and "*.c"; nginx registers whichever is free, in this order.
            for taken in (("exact", stem), ("head", stem)) if kind == "dotted" else (key,):
                if taken in seen:
                    checks.warn(f'conflicting server name "{name}" on {address.text}, ignored')
                    break
                seen.add(taken)
    warning = check_hash(
        "server_names_hash",
        [name for kind, name in seen if kind == "exact"],
        http.values.get("server_names_hash_max_size", 512),
        http.values.get("server_names_hash_bucket_size"),
        labels=[label for kind, name in seen if kind != "exact" for label in name.split(".")],
    )
    if warning is not None:
        checks.warn(warning)
