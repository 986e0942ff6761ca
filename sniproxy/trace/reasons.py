"""Describe why `routing` selected a server or location (pure)."""

from __future__ import annotations

from typing import Any, Protocol

from ..config.directives.core import LocationName, ServerName
from ..config.model import Location
from ..config.tree import Place
from ..routing import LocationSearch, ServerNames
from .steps import Choice, LocationStep


class Placed(Protocol):
    """A block of the configuration."""

    @property
    def place(self) -> Place: ...


OUTSIDE = "(server)"

_BY_MODIFIER = {
    "=": "exact",
    "^~": "longest prefix, and ^~ asks no regular expression",
    "": "longest prefix",
    "~": "first regular expression that matches",
    "~*": "first regular expression that matches, in any case",
    "@": "named",
}


def place(of: Placed) -> str:
    return f"{of.place.file}:{of.place.line}"


def server(names: ServerNames[Any], host: str, what: str, listening: str) -> Choice:
    """The server for `host` at an address, and the reason; `what` is where `host` comes from."""
    chosen, _ = names.match(host)
    return Choice(chosen.name or "(no name)", _why(names, host, what, listening), place(chosen))


def _why(names: ServerNames[Any], host: str, what: str, listening: str) -> str:
    if len(names.servers) == 1:
        return f"the only server of {listening}"
    name = names.reason(host)
    if name is not None and not host:
        return f'no {what}: matches server_name ""'
    if name is not None:
        return f"by {what}: {_kind(name, host)}"
    request = f"no other has {host} among its names" if host else f"no {what}"
    return f"default server of {listening}: {request}"


def _kind(name: ServerName, host: str) -> str:
    if name.pattern is not None:
        return f"regular expression ~{name.name}"
    if name.name == host or name.name == f".{host}":
        return f'exact name "{host}"'
    return f"wildcard {name.name}"


def location_name(name: LocationName) -> str:
    """The name as written; `(server)` outside of locations."""
    modifier = name.modifier.strip("@")
    return f"{modifier} {name.name}".strip() or OUTSIDE


def located(path: str, explained: LocationSearch) -> LocationStep:
    """The step for the location search of `path`."""
    found = explained.found.location
    passed = tuple(location_name(one.name) for one in explained.prefixes)
    if found is None:
        why = "no location matches"
        return LocationStep(path, OUTSIDE, why, "", passed)
    why = _BY_MODIFIER[found.name.modifier]
    if explained.found.add_slash:
        why = "its name is the path with a trailing slash: redirect"
    elif not found.name.modifier and explained.patterns:
        why += ", no regular expression beside it matches"
    for outer in explained.outer[:1]:
        why += f"; inside {location_name(outer.name)}"
    return LocationStep(path, location_name(found.name), why, place(found), passed)


def named(found: Location) -> LocationStep:
    """The step for a named location."""
    name = found.name.name
    return LocationStep(name, name, _BY_MODIFIER["@"], place(found))
