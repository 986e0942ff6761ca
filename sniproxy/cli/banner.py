"""The banner printed at start on a terminal: addresses, and a curl command for each location.

A command whose response could surprise is followed by the reason: a redirect, an error that the
configuration asks for, a TLS upstream that gets no SNI.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..build import Application
from ..config.directives.rewrite import Return
from ..config.model import Location, Server
from ..runtime import Listener
from ..server_name import why_not_sent, without_port
from ..version import SNIPROXY_VERSION


def banner(site: Application) -> str:
    """The banner's lines, without a final newline."""
    lines = [f"sniproxy {SNIPROXY_VERSION}, configuration {site.config.file}"]
    for listener in site.runtime.listeners:
        lines.append(f"  listening on {'https' if listener.ssl else 'http'}://{listener.text}")
        lines += [f"    {line}" for line in _commands(listener)]
    if site.new_ca:
        lines += trust_lines(site.new_ca)
    return "\n".join(lines)


def trust_lines(path: str, *, is_new: bool = True) -> list[str]:
    """How to trust the development CA whose file is `path`."""
    return [
        f"  {'A development CA was created' if is_new else 'The development CA signs for it'}; "
        "browsers do not trust it until you run",
        "    sniproxy ca install",
        "  Other clients need its certificate, for example",
        f"    curl --cacert {path}",
    ]


def _commands(listener: Listener[Server]) -> Iterator[str]:
    if not listener.ssl:
        return
    options = "--haproxy-protocol " if listener.proxy_protocol else ""
    for server in listener.names.servers:
        host, resolve = _reachable_as(listener, server)
        for path, location in _paths(server.default_location):
            yield f"curl -k {options}{resolve}https://{host}{path}"
            if note := _note(server, location):
                yield f"  {note}"


def _reachable_as(listener: Listener[Server], server: Server) -> tuple[str, str]:
    """The host and port for a curl URL of the server, and the `--resolve` option it needs."""
    address, _, port = listener.text.rpartition(":")
    address = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(address, address)
    name = server.name
    if server is listener.names.default or not name or name.startswith(("*", ".", "~")):
        return f"{address}:{port}", ""
    return f"{name}:{port}", f"--resolve {name}:{port}:{address} "


def _paths(outside: Location) -> Iterator[tuple[str, Location]]:
    plain = [loc for loc in outside.locations if loc.name.modifier in ("", "=", "^~")]
    for location in plain:
        yield location.name.name, location
    if not plain:
        yield "/", outside


def _note(server: Server, location: Location) -> str:
    """The expected response, if it is not a success; "" if it cannot be predicted."""
    if server.ssl.ssl_reject_handshake:
        return "fails: ssl_reject_handshake refuses every handshake of this server"
    for place in (server.default_location, location):
        statements = place.rewrite.statements
        if statements and isinstance(statements[0], Return):
            return _returned(statements[0])
    return _without_sni(location)


def _returned(statement: Return) -> str:
    status = statement.status
    if 300 <= status < 400 and statement.text is not None:
        return f"responds {status}, a redirect to {statement.text} (curl -L follows it)"
    return f"responds {status}, as the configuration says" if status >= 300 else ""


def _without_sni(location: Location) -> str:
    proxy = location.proxy
    target = proxy.proxy_pass
    if target is None or not target.tls or target.address is None:
        return ""
    name = proxy.ssl_name
    if name is not None and not name.is_constant:
        text = "$"  # the value is assumed to be a name
    else:
        text = without_port(target.address.host if name is None else name.source)
    reason = why_not_sent(text, proxy_ssl_server_name=proxy.ssl_server_name)
    return f"the upstream {target.url} gets no SNI: {reason}" if reason else ""
