"""The banner printed at start on a terminal: addresses, and a curl command for each location."""

from __future__ import annotations

from collections.abc import Iterator

from ..build import Application
from ..config.model import Location, Server
from ..runtime import Listener
from ..version import SNIPROXY_VERSION


def banner(site: Application) -> str:
    """The banner's lines, without a final newline."""
    lines = [f"sniproxy {SNIPROXY_VERSION}, configuration {site.config.file}"]
    for listener in site.runtime.listeners:
        lines.append(f"  listening on {'https' if listener.ssl else 'http'}://{listener.text}")
        lines += [f"    {command}" for command in _commands(listener)]
    return "\n".join(lines)


def _commands(listener: Listener) -> Iterator[str]:
    if not listener.ssl:
        return
    for server in listener.names.servers:
        host, resolve = _reachable_as(listener, server)
        for path in _paths(server.default_location):
            yield f"curl -k {resolve}https://{host}{path}"


def _reachable_as(listener: Listener, server: Server) -> tuple[str, str]:
    """The host and port for a curl URL of the server, and the `--resolve` option it needs."""
    address, _, port = listener.text.rpartition(":")
    address = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(address, address)
    name = server.name
    if server is listener.names.default or not name or name.startswith(("*", ".", "~")):
        return f"{address}:{port}", ""
    return f"{name}:{port}", f"--resolve {name}:{port}:{address} "


def _paths(outside: Location) -> Iterator[str]:
    plain = [loc.name.name for loc in outside.locations if loc.name.modifier in ("", "=", "^~")]
    yield from plain or ["/"]
