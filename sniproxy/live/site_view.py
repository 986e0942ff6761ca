"""The state of a running configuration, as JSON values: upstreams and caches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..build import Application
from ..handlers.proxy import ProxyHandler
from ..upstream.selector import Peer, Upstream


def upstreams(site: Application) -> dict[str, Any]:
    """The upstream groups with their peers, and the caches, of this process."""
    found: dict[int, dict[str, Any]] = {}
    for server in site.runtime.servers.values():
        for location in server.location_runtimes.values():
            handler = location.handler
            upstream = getattr(handler, "upstream", None)
            if not isinstance(handler, ProxyHandler) or not isinstance(upstream, Upstream):
                continue
            place = location.settings.place
            value = found.setdefault(id(upstream), _upstream(upstream))
            value["places"].append(f"{place.file}:{place.line}")
    return {"upstreams": list(found.values()), "caches": list(_caches(site))}


def _upstream(upstream: Upstream) -> dict[str, Any]:
    pool = upstream.pool
    return {
        "name": upstream.name,
        "is_group": upstream.explicit,
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
        yield {
            "name": name,
            "folder": cache.folder,
            "max_size": cache.max_size,
            "inactive": cache.inactive,
        }
