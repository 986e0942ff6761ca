"""The state of a running configuration, as JSON values: upstreams, caches and zones of limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..build import Application
from ..handlers.proxy import ProxyHandler
from ..upstream.selector import Peer, Upstream


def group_states(site: Application) -> list[dict[str, Any]]:
    """The upstream groups with their peers, as this process sees them."""
    found: dict[int, dict[str, Any]] = {}
    for server in site.runtime.servers.values():
        for location in server.location_runtimes.values():
            handler = location.handler
            upstream = getattr(handler, "upstream", None)
            if not isinstance(handler, ProxyHandler) or not isinstance(upstream, Upstream):
                continue
            place = location.settings.place
            value = found.setdefault(id(upstream), _upstream(site, upstream))
            value["places"].append(f"{place.file}:{place.line}")
    for session_server in () if site.stream is None else site.stream.servers.values():
        upstream = getattr(session_server.handler, "upstream", None)
        if isinstance(upstream, Upstream):
            place = session_server.settings.place
            value = found.setdefault(id(upstream), _upstream(site, upstream))
            value["places"].append(f"{place.file}:{place.line}")
    for upstream in site.groups.upstreams.values():
        found.setdefault(id(upstream), _upstream(site, upstream))
    return list(found.values())


def zone_states(site: Application) -> dict[str, Any]:
    """The caches and the zones of limits, which all processes share."""
    return {"caches": list(_caches(site)), "limits": list(_limits(site))}


def _upstream(site: Application, upstream: Upstream) -> dict[str, Any]:
    pool = upstream.pool
    zone = site.groups.load_shared(upstream)
    return {
        "name": upstream.name,
        "is_group": upstream.explicit,
        "zone": zone,
        "idle_connections": None if pool is None else pool.idle_count,
        "peers": [
            *(_peer(peer, upstream, backup=False) for peer in upstream.peers),
            *(_peer(peer, upstream, backup=True) for peer in upstream.backups),
        ],
        "places": [],
    }


def _peer(peer: Peer, upstream: Upstream, *, backup: bool) -> dict[str, Any]:
    settings = peer.settings
    failed = bool(
        not upstream.single
        and settings.max_fails
        and peer.fails >= settings.max_fails
        and int(upstream.clock()) - peer.checked <= settings.fail_timeout
    )
    state = "down" if settings.down else "failed" if failed else "up"
    return {
        "address": peer.name,
        "state": state,
        "backup": backup,
        "weight": settings.weight,
        "fails": peer.fails,
        "max_fails": settings.max_fails,
        "connections": peer.connections,
        "has_session": peer.session is not None,
    }


def _caches(site: Application) -> Iterator[dict[str, Any]]:
    for name, cache in site.caches.caches.items():
        keys, size = cache.zone.usage()
        yield {
            "name": name,
            "folder": cache.folder,
            "max_size": cache.max_size,
            "inactive": cache.inactive,
            "keys": keys,
            "max_keys": cache.zone.capacity,
            "size": size,
        }


def _limits(site: Application) -> Iterator[dict[str, Any]]:
    for zone in site.limits.usage():
        yield {
            "directive": zone.directive,
            "name": zone.settings.name,
            "key": zone.settings.key.source,
            "rate": zone.settings.rate / 1000,
            "keys": zone.used,
            "max_keys": zone.capacity,
        }
