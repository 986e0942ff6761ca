"""All variables put together, and how a template finds one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..facts import Facts
from ..script import Lookup
from . import core, files, proxy, ssl, upstream
from .maps import map_value
from .variable import Variable

VARIABLES: tuple[Variable, ...] = (
    *core.VARIABLES,
    *files.file_variables(lambda facts: lookup(facts)),
    *proxy.VARIABLES,
    *ssl.VARIABLES,
    *upstream.VARIABLES,
)
BY_NAME: dict[str, Callable[[Facts], str | None]] = {row.name: row.value for row in VARIABLES}
PREFIXES: tuple[tuple[str, Callable[[Facts, str], str | None]], ...] = (
    *core.PREFIXES,
    *upstream.PREFIXES,
)


def is_variable(name: str) -> bool:
    """Whether a configuration may use `$name`."""
    return name in BY_NAME or name.isdigit() or any(name.startswith(p) for p, _ in PREFIXES)


def lookup(facts: Facts) -> Lookup:
    """What templates are rendered with for one request."""
    # No closure: one that knew itself would leave the facts to the garbage collector.
    return partial(_value, facts)


def _value(facts: Facts, name: str) -> str | None:
    of = BY_NAME.get(name)
    if of is not None:
        return of(facts)
    if name in facts.variables:
        return facts.variables[name]
    table = facts.server.map_variables.get(name)
    if table is not None:
        return map_value(name, table, facts, lookup(facts))
    for prefix, of_suffix in PREFIXES:
        if name.startswith(prefix):
            return of_suffix(facts, name[len(prefix) :])
    return _capture(facts, int(name)) if name.isdigit() else None


def _capture(facts: Facts, group: int) -> str | None:
    match = facts.captures
    return match[group] if match is not None and group <= match.re.groups else None
