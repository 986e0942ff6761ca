"""A request that nobody has sent, as a location would pass it on (pure)."""

from __future__ import annotations

import functools
from dataclasses import replace

from ..config import parse
from ..config.directives.core import LocationName
from ..config.directives.proxy import Proxy
from ..config.model import Server
from ..facts import Connection, Facts
from ..message import Request

AGENT = ("User-Agent", "sniproxy-diagnose")


def make_context(
    proxy: Proxy, name: LocationName, path: str, host: str, server_name: str = ""
) -> Facts:
    """The facts of a GET for `path`, as a client of ours would send it to `host`."""
    server = default_server()
    location = replace(server.outside, name=name, proxy=proxy)
    plain, _, args = path.partition("?")
    fields = (("Host", host), AGENT, ("Accept", "*/*"), ("Connection", "close"))
    request = Request(
        f"GET {path} HTTP/1.1", "GET", path, plain, args, 11, fields, host.lower().split(":")[0]
    )
    connection = Connection(1, "127.0.0.1", 0, "127.0.0.1", 443)
    return Facts(connection, request, server, location, plain, args, "GET")


@functools.cache
def default_server() -> Server:
    """A server with nginx's defaults."""
    http = parse("events {} http { server {} }").http
    assert http is not None
    return http.servers[0]
