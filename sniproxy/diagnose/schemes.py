"""The schemes that the URL of a `proxy_pass` with variables can have (pure).

`set` with a literal value, `map` with literal values and `$scheme` are evaluated; other variables
are unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..config.lenient import StatementNode

MAX_DEPTH = 8
"""How many variables may lead to each other."""
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")


def possible_schemes(url: str, blocks: Sequence[StatementNode]) -> frozenset[str] | None:
    """The schemes that `url` can have in the innermost of `blocks`; None if that is unknown.

    `blocks` are those around the directive, `http` first.
    """
    return _schemes(url, blocks, MAX_DEPTH)


def listens_with_tls(server: StatementNode) -> bool:
    """Whether a `server` has a port with TLS."""
    if any(node.args == ("on",) for node in server.named("ssl")):
        return True
    return any(_is_tls_port(node) for node in server.named("listen"))


def _is_tls_port(listen: StatementNode) -> bool:
    return not {"ssl", "quic"}.isdisjoint(listen.args[1:])


def _schemes(text: str, blocks: Sequence[StatementNode], depth: int) -> frozenset[str] | None:
    match = _VARIABLE.match(text)
    if match is None:
        scheme, mark, _ = text.partition("://")
        return frozenset({scheme.lower()}) if mark and "$" not in scheme else None
    values = _values(match[1].lower(), blocks)
    if not depth or values is None:
        return None
    found: set[str] = set()
    for value in values:
        schemes = _schemes(value + text[match.end() :], blocks, depth - 1)
        if schemes is None:
            return None
        found |= schemes
    return frozenset(found)


def _values(variable: str, blocks: Sequence[StatementNode]) -> list[str] | None:
    """The values that the configuration gives to a variable; None if there may be others."""
    server = next((block for block in blocks if block.name == "server"), None)
    if variable == "scheme":
        if server is None:
            return None
        if not listens_with_tls(server):
            return ["http"]
        ports = {_is_tls_port(node) for node in server.named("listen")}
        return ["http", "https"] if len(ports) == 2 else ["https"]
    # A variable belongs to the request: any `set` of the server may have been run.
    values = [
        node.args[1]
        for node, _ in (() if server is None else server.walk())
        if node.name == "set" and len(node.args) == 2 and node.args[0].lower() == f"${variable}"
    ]
    for node in blocks[0].named("map"):
        if len(node.args) == 2 and node.args[1].lower() == f"${variable}":
            values += _map_values(node)
    return values or None


def _map_values(node: StatementNode) -> Iterator[str]:
    has_default = False
    for entry in node.inside:
        if entry.name in ("hostnames", "volatile", "include") and len(entry.args) < 2:
            if entry.name == "include":
                yield "$unknown"
            continue
        if len(entry.args) == 1:
            has_default = has_default or entry.name == "default"
            yield entry.args[0]
    if not has_default:
        yield ""
