"""The values that a string with variables can have, as far as the configuration says so (pure).

`set` with a literal value, `map` with literal values and `$scheme` are evaluated; other variables
are left in the text.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from ..config.lenient import StatementNode
from ..template import ScriptError, TemplateVariable, compile_template

MAX_DEPTH = 8
"""How many variables may lead to each other."""
MAX_VALUES = 64
"""With more combinations the variables are left in the text."""


def known_values(text: str, blocks: Sequence[StatementNode]) -> list[str]:
    """The values of `text` in the innermost of `blocks`; unknown variables stay: `$request_uri`.

    `blocks` are those around the directive, `http` first.
    """
    return _values(text, blocks, MAX_DEPTH)


def possible_schemes(url: str, blocks: Sequence[StatementNode]) -> frozenset[str] | None:
    """The schemes that `url` can have there; None if that is unknown."""
    schemes = set()
    for value in known_values(url, blocks):
        scheme, mark, _ = value.partition("://")
        if not mark or "$" in scheme:
            return None
        schemes.add(scheme.lower())
    return frozenset(schemes)


def listens_with_tls(server: StatementNode) -> bool:
    """Whether a `server` has a port with TLS."""
    if any(node.args == ("on",) for node in server.named("ssl")):
        return True
    return any(_is_tls_port(node) for node in server.named("listen"))


def _is_tls_port(listen: StatementNode) -> bool:
    return not {"ssl", "quic"}.isdisjoint(listen.args[1:])


def _values(text: str, blocks: Sequence[StatementNode], depth: int) -> list[str]:
    if "$" not in text or not depth:
        return [text]
    try:
        parts = compile_template(text).parts
    except ScriptError:
        return [text]
    choices = [
        _variable_values(part.name, blocks, depth) if isinstance(part, TemplateVariable) else [part]
        for part in parts
    ]
    count = 1
    for values in choices:
        count *= len(values)
    if count > MAX_VALUES:
        return [text]
    return list(dict.fromkeys("".join(chosen) for chosen in itertools.product(*choices)))


def _variable_values(name: str, blocks: Sequence[StatementNode], depth: int) -> list[str]:
    assigned = _assigned(name, blocks)
    if assigned is None:
        return [f"${name}"]
    return [value for text in assigned for value in _values(text, blocks, depth - 1)]


def _assigned(variable: str, blocks: Sequence[StatementNode]) -> list[str] | None:
    """The texts that the configuration assigns to a variable; None if there may be others."""
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
