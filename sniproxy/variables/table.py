"""All variables put together, and how a template finds one."""

from __future__ import annotations

from collections.abc import Callable

from ..facts import Facts
from ..script import Lookup
from . import core, proxy, ssl, upstream
from .row import Variable

ROWS: tuple[Variable, ...] = (*core.ROWS, *proxy.ROWS, *ssl.ROWS, *upstream.ROWS)
BY_NAME: dict[str, Callable[[Facts], str]] = {row.name: row.value for row in ROWS}
PREFIXES: tuple[tuple[str, Callable[[Facts, str], str]], ...] = (*core.PREFIXES, *upstream.PREFIXES)


def is_variable(name: str) -> bool:
    """Whether a configuration may use `$name`."""
    return name in BY_NAME or name.isdigit() or any(name.startswith(p) for p, _ in PREFIXES)


def lookup(facts: Facts) -> Lookup:
    """What templates are rendered with for one request."""

    def value(name: str) -> str:
        of = BY_NAME.get(name)
        if of is not None:
            return of(facts)
        for prefix, of_suffix in PREFIXES:
            if name.startswith(prefix):
                return of_suffix(facts, name[len(prefix) :])
        return _capture(facts, name)

    return value


def _capture(facts: Facts, name: str) -> str:
    if facts.captures is None:
        return ""
    try:
        return facts.captures[int(name) if name.isdigit() else name] or ""
    except IndexError:
        return ""
