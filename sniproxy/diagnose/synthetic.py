"""Contexts of made-up requests, to evaluate variables and to build probes from (pure)."""

from __future__ import annotations

import functools
from dataclasses import replace

from ..config import parse
from ..config.directives.core import LocationName
from ..config.directives.proxy import ProxySettings
from ..config.directives.upstream_settings import UpstreamSettings
from ..config.model import Location, Server
from ..context import Connection, RequestContext
from ..models import RequestHead

AGENT = ("User-Agent", "sniproxy-diagnose")


def make_context(
    settings: UpstreamSettings, name: LocationName, path: str, host: str
) -> RequestContext:
    """The context of a GET for `path` with this Host, in a location with these settings."""
    server = default_server()
    location = replace(server.default_location, name=name)
    if isinstance(settings, ProxySettings):
        location = location.with_proxy(settings)
    return context_in(server, location, path, host)


def context_in(server: Server, location: Location, path: str, host: str) -> RequestContext:
    """The context of a GET for `path` with this Host, in a location of `server`."""
    plain, _, args = path.partition("?")
    fields = (("Host", host), AGENT, ("Accept", "*/*"), ("Connection", "close"))
    name = host.lower().partition(":")[0].rstrip(".")
    request = RequestHead(f"GET {path} HTTP/1.1", "GET", path, plain, args, 11, fields, name)
    connection = Connection(1, "127.0.0.1", 0, "127.0.0.1", 443)
    return RequestContext(connection, request, server, location, plain, args, "GET")


@functools.cache
def default_server() -> Server:
    """A virtual server with nginx's defaults."""
    http = parse("events {} http { server {} }").http
    assert http is not None
    return http.servers[0]
